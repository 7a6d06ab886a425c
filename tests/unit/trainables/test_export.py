"""The exported classifier sees what validation sees, for images of any size."""

import pytest
import torch
from torch import Tensor
from torch.export import Dim

from trainables.backbones import build
from trainables.checkpoint import best, save_best
from trainables.data.augment import normalise, plain_view
from trainables.export import Classifier, centre_view, load_classifier
from trainables.recipe import Recipe

CLASSES = ("bee", "cat", "dog")
RECIPE = Recipe(weights="none", image_size=32)
SIZES = [
    (2, 32, 32),
    (1, 32, 32),
    (3, 40, 50),
    (1, 50, 40),
    (1, 9, 8),
    (2, 8, 9),
    (1, 2, 3),
    (1, 200, 100),
    (1, 31, 200),
]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    folder = tmp_path_factory.mktemp("checkpoint")
    save_best(folder, build(RECIPE, len(CLASSES)), RECIPE, CLASSES, epoch=1, score=0.5)
    path = best(folder)
    assert path
    return load_classifier(path)


@pytest.fixture(scope="module")
def exported(classifier: Classifier) -> torch.nn.Module:
    example = torch.zeros(2, 48, 64, 3, dtype=torch.uint8)
    program = torch.export.export(
        classifier, (example,), dynamic_shapes=[{0: Dim.DYNAMIC, 1: Dim.DYNAMIC, 2: Dim.DYNAMIC}]
    )
    return program.module()


def test_a_loaded_classifier_knows_its_recipe_and_classes(classifier: Classifier) -> None:
    assert classifier.recipe == RECIPE
    assert classifier.classes == CLASSES
    assert not any(module.training for module in classifier.modules())


@pytest.mark.parametrize(("number", "height", "width"), SIZES)
@torch.inference_mode()
def test_probabilities_are_those_of_the_validation_view_of_the_centre_square(
    classifier: Classifier, exported: torch.nn.Module, number: int, height: int, width: int
) -> None:
    images = _images(number, height, width)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    view = plain_view(images[:, top : top + side, left : left + side], RECIPE.image_size)
    expected = classifier.network(normalise(view)).softmax(1)
    for probabilities in (classifier(images), exported(images)):
        assert probabilities.dtype == torch.float32
        assert probabilities.shape == (number, len(CLASSES))
        torch.testing.assert_close(probabilities, expected, rtol=0, atol=1e-6)


def test_a_square_of_the_right_size_is_only_divided_by_255() -> None:
    images = _images(2, 32, 32)
    assert torch.equal(centre_view(images, 32), images.permute(0, 3, 1, 2) / 255)


def test_exporting_leaves_the_training_path_usable(exported: torch.nn.Module) -> None:
    view = normalise(plain_view(_images(1, 32, 32), 32))
    assert type(view) is Tensor
    assert view.isfinite().all()


def _images(number: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(number * 1_000_000 + height * 1000 + width)
    return torch.randint(0, 256, (number, height, width, 3), dtype=torch.uint8, generator=generator)
