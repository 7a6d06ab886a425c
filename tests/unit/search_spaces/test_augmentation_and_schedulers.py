"""Six ways to train one network from random weights, each with its own rate."""

from itertools import product

from search_spaces.augmentation_and_schedulers import SPACE
from trainables.recipe import Recipe


def test_default_recipes_are_the_papers_from_random_weights_with_all_layers_trained() -> None:
    stated = {
        **{
            "weights": "none",
            "stem": "cifar",
            "trainable_layers": 6,
            "batchnorm": "batch_stats",
            "optimizer": "sgd",
        },
        **{
            "epochs": 100,
            "batch_size": 128,
            "image_size": 32,
            "stage2_lr": 1e-2,
            "weight_decay": 0.0,
            "nesterov": False,
        },
    }
    cells = product(("none", "crop_flip"), ("constant", "step", "cosine"))
    assert {arm.name: arm.default_recipe() for arm in SPACE.grid()} == {
        f"{augmentation}/{scheduler}": Recipe(
            augmentation=augmentation, scheduler=scheduler, **stated
        )
        for augmentation, scheduler in cells
    }


def test_each_schedule_may_find_its_own_rate_in_the_same_range() -> None:
    assert {(*arm.tuned, *arm.possible("stage2_lr")) for arm in SPACE.grid()} == {
        ("stage2_lr", 1e-3, 0.3)
    }
