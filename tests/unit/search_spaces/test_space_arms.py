"""The arms of a space, what each tunes, and what is sampled of it."""

import random
from collections.abc import Mapping

import pytest

from search_spaces.space import Arm, Choice, Float, Int, SearchSpace, Value, Variant, applies
from trainables.recipe import Recipe


def test_matching_takes_patterns_with_commas_and_keeps_the_grids_order() -> None:
    space = SearchSpace(
        arms={"backbone": ("resnet18", "resnet34", "resnet50"), "head": ("linear", "mlp")}
    )
    names = [arm.name for arm in space.matching("resnet50/mlp, resnet18/*")]
    assert names == ["resnet18/linear", "resnet18/mlp", "resnet50/mlp"]
    assert space.matching("*") == space.grid()
    assert [arm.name for arm in space.matching("*34/l*")] == ["resnet34/linear"]


@pytest.mark.parametrize(
    "pattern", ["resnet99/*", "resnet18", "RESNET18/*", "", "resnet18/*,resnet99/*", "resnet18/*,"]
)
def test_a_pattern_that_matches_no_arm_lists_them(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"Known: resnet18/linear, resnet18/mlp\.$"):
        SearchSpace(arms={"backbone": ("resnet18",), "head": ("linear", "mlp")}).matching(pattern)


def test_a_dimension_is_left_out_while_its_condition_does_not_hold() -> None:
    warmup = Int(low=1, high=3, default=2, when={"scheduler": ("cosine", "step")})
    tuned = {
        "scheduler": Choice(options=("constant", "cosine"), default="constant"),
        "warmup_epochs": warmup,
    }
    (arm,) = SearchSpace(arms={"backbone": ("resnet18",)}, tuned=tuned).grid()
    assert arm.default_sample() == {"scheduler": "constant"}
    assert arm.default_recipe().warmup_epochs == Recipe().warmup_epochs
    assert arm.sample_with({"scheduler": "cosine"}) == {"scheduler": "cosine", "warmup_epochs": 2}
    assert arm.recipe({"scheduler": "cosine", "warmup_epochs": 3}).warmup_epochs == 3
    assert not applies(warmup, {})
    assert set(arm.possible("warmup_epochs")) == {0, 1, 3}


def test_an_inactive_dimension_falls_back_to_the_fixed_value() -> None:
    warmup = Int(low=2, high=3, default=2, when={"scheduler": ("cosine",)})
    tuned = {
        "scheduler": Choice(options=("constant", "cosine"), default="constant"),
        "warmup_epochs": warmup,
    }
    (arm,) = SearchSpace(
        arms={"recipe": {"a": Variant(tuned=tuned)}}, fixed={"warmup_epochs": 1}
    ).grid()
    assert arm.default_recipe().warmup_epochs == 1
    assert arm.recipe(arm.sample_with({"scheduler": "cosine"})).warmup_epochs == 2


def test_a_condition_may_name_an_arm_a_fixed_value_or_what_every_arm_tunes() -> None:
    nesterov = Choice(options=(False, True), default=False, when={"optimizer": ("sgd",)})
    space = SearchSpace(arms={"optimizer": ("sgd", "adamw")}, tuned={"nesterov": nesterov})
    assert [arm.default_sample() for arm in space.grid()] == [{"nesterov": False}, {}]
    inner = Variant(
        tuned={
            "weight_decay": Float(
                low=0, high=1, default=0, when={"mixup": (0.0,), "head": ("linear",)}
            )
        }
    )
    common = {"mixup": Choice(options=(0.0, 0.2), default=0.0)}
    (arm,) = SearchSpace(arms={"r": {"a": inner}}, tuned=common, fixed={"head": "linear"}).grid()
    assert arm.default_sample() == {"mixup": 0.0, "weight_decay": 0}


@pytest.mark.parametrize(
    ("epochs", "stage1", "warmup"),
    [(20, 5, 2), (40, 10, 4), (10, 2, 1), (8, 2, 1), (4, 1, 1), (3, 1, 1)],
)
def test_stages_and_warmup_keep_their_share_of_the_epochs(
    epochs: int, stage1: int, warmup: int
) -> None:
    recipe = {"a": Variant(fixed={"stage1_epochs": 5})}
    space = SearchSpace(arms={"recipe": recipe}, fixed={"epochs": 20, "warmup_epochs": 2})
    (arm,) = space.with_fixed(epochs=epochs).grid()
    made = arm.default_recipe()
    assert (made.epochs, made.stage1_epochs, made.warmup_epochs) == (epochs, stage1, warmup)


def test_tuned_lengths_are_scaled_with_their_options_defaults_and_conditions() -> None:
    tuned = {
        "stage1_epochs": Choice(options=(0, 5, 6, 10), default=5),
        "stage1_lr": Float(
            low=1e-4, high=1e-2, default=1e-3, log=True, when={"stage1_epochs": (5, 10)}
        ),
        "warmup_epochs": Int(low=0, high=4, default=1),
    }
    (arm,) = SearchSpace(arms={"backbone": ("resnet18",)}, tuned=tuned).with_fixed(epochs=8).grid()
    assert arm.tuned["stage1_epochs"] == Choice(options=(0, 2, 4), default=2)
    assert arm.tuned["stage1_lr"].when == {"stage1_epochs": (2, 4)}
    assert arm.tuned["warmup_epochs"] == Int(low=0, high=2, default=1)
    assert "stage1_lr" in arm.default_sample()


def test_a_scaled_stage_1_stays_shorter_than_the_whole() -> None:
    space = SearchSpace(arms={"backbone": ("resnet18",)}, fixed={"epochs": 20, "stage1_epochs": 19})
    for epochs in range(2, 50):
        recipe = space.with_fixed(epochs=epochs).grid()[0].default_recipe()
        assert 1 <= recipe.stage1_epochs < epochs


def test_a_swept_name_cannot_be_fixed() -> None:
    tuned = {"epochs": Int(low=5, high=50, default=20)}
    space = SearchSpace(arms={"backbone": ("resnet18", "resnet34")}, tuned=tuned)
    with pytest.raises(
        ValueError, match=r"must be of a name that is not varied, but got epochs=10, backbone="
    ):
        space.with_fixed(image_size=224, epochs=10, backbone="resnet50")


def test_swept_names_keep_their_values_where_others_are_fixed() -> None:
    space = SearchSpace(
        arms={
            "image_size": (64, 96),
            "recipe": {"a": Variant(fixed={"epochs": 30, "stage1_epochs": 6})},
        },
        tuned={"batch_size": Choice(options=(32, 64), default=32)},
        fixed={"head": "mlp"},
    )
    assert space.swept() == {"image_size", "epochs", "stage1_epochs", "batch_size"}
    arms = space.with_fixed(head="linear", seed=3).grid()
    recipes = [arm.default_recipe() for arm in arms]
    assert [r.image_size for r in recipes] == [64, 96]
    assert {(r.epochs, r.stage1_epochs, r.batch_size, r.head, r.seed) for r in recipes} == {
        (30, 6, 32, "linear", 3)
    }


def test_possible_values_are_those_that_a_field_can_take_in_an_arm() -> None:
    tuned = {
        "stage1_epochs": Int(low=1, high=7, default=2),
        "head": Choice(options=("linear", "mlp"), default="mlp"),
    }
    (arm,) = SearchSpace(arms={"backbone": ("resnet18",)}, tuned=tuned, fixed={"mixup": 0.1}).grid()
    assert arm.possible("stage1_epochs") == (1, 7)
    assert arm.possible("head") == ("linear", "mlp")
    assert (arm.possible("mixup"), arm.possible("backbone"), arm.possible("epochs")) == (
        (0.1,),
        ("resnet18",),
        (20,),
    )


@pytest.mark.parametrize("seed", range(30))
def test_every_sample_of_a_random_space_is_a_valid_recipe(seed: int) -> None:
    rng = random.Random(seed)
    space = _random_space(rng)
    for epochs in (None, 6, 10, rng.randint(7, 60)):
        scaled = (
            space if epochs is None else space.with_fixed(epochs=epochs, image_size=32, seed=seed)
        )
        for arm in scaled.grid():
            arm.default_recipe()
            for _ in range(10):
                sample = _draw(arm, rng)
                recipe = arm.recipe(sample)
                assert Recipe.from_sample(recipe.as_dict()) == recipe
                assert all(getattr(recipe, name) == value for name, value in sample.items())


def _random_space(rng: random.Random) -> SearchSpace:
    longest = rng.randint(2, 12)
    pool = {
        "trainable_layers": Int(low=1, high=rng.randint(1, 6), default=1),
        "stage1_epochs": rng.choice(
            (Int(low=0, high=longest, default=1), Choice(options=(0, 3, longest), default=longest))
        ),
        "stage1_lr": Float(low=1e-5, high=1e-1, default=1e-3, log=True),
        "scheduler": Choice(
            options=("constant", "step", "cosine"), default=rng.choice(("constant", "cosine"))
        ),
        "warmup_epochs": Int(
            low=1, high=rng.randint(1, 3), default=1, when={"scheduler": ("cosine",)}
        ),
        "optimizer": Choice(options=("sgd", "adamw"), default="sgd"),
        "nesterov": Choice(options=(False, True), default=True, when={"optimizer": ("sgd",)}),
        "label_smoothing": Float(low=0.0, high=rng.random() * 0.9, default=0.0),
    }
    need = {"warmup_epochs": "scheduler", "nesterov": "optimizer"}
    names = [name for name in pool if rng.random() < 0.6]
    names = [name for name in names if need.get(name, name) in names]
    common = {name: pool[name] for name in names if name not in need and name not in need.values()}
    inside = {name: pool[name] for name in names if name not in common}
    variants = {"plain": Variant(fixed={"scheduler": "step"}), "tricks": Variant(tuned=inside)}
    return SearchSpace(
        arms={"backbone": ("resnet18", "resnet50"), "recipe": variants}, tuned=common
    )


def _draw(arm: Arm, rng: random.Random) -> Mapping[str, Value]:
    sample: dict[str, Value] = {}
    for name, dim in arm.tuned.items():
        if not applies(dim, {**arm.fixed, **sample}):
            continue
        if isinstance(dim, Choice):
            sample[name] = rng.choice(dim.options)
        else:
            sample[name] = (
                rng.randint(dim.low, dim.high)
                if isinstance(dim, Int)
                else rng.uniform(dim.low, dim.high)
            )
    return sample
