"""What every study states fits together: arms, contrasts, published numbers, presets."""

from __future__ import annotations

import fnmatch
import importlib
from pathlib import Path

import pytest

from cluster.refused import Refused
from search_spaces.space import Arm
from sweeps.report.variance import ENOUGH_RECIPES
from sweeps.runner import PRESETS, Study
from sweeps.runner.options import Options
from sweeps.runner.plan import make_plan
from trainables.data.splits import EVERY
from trainables.metrics import TEST_ACCURACY, TEST_LOSS, VAL_ACCURACY

ROOT = Path(__file__).parents[3]
NAMES = sorted(path.stem for path in (ROOT / "sweeps").glob("*.py") if path.stem != "__init__")
STUDIES: dict[str, Study] = {
    name: importlib.import_module(f"sweeps.{name}").STUDY for name in NAMES
}
OWN_DATA = ("depth_on_dogs", "find_best")


def arms(study: Study, preset_name: str, tmp_path: Path) -> tuple[Arm, ...]:
    data = "digits" if study.presets[preset_name].data == "" else None
    return make_plan(
        study, Options(preset=preset_name, storage=tmp_path, data=data, dry_run=True)
    ).arms


def test_the_published_studies_are_here() -> None:
    assert {"backbone_comparison", "two_stage", "augmentation_and_schedulers", *OWN_DATA} <= set(
        NAMES
    )


@pytest.mark.parametrize("study", STUDIES.values(), ids=NAMES)
def test_contrasts_weigh_arms_that_exist_and_sum_to_zero(study: Study) -> None:
    names = [arm.name for arm in study.space.grid()]
    for contrast in study.contrasts:
        assert sum(contrast.weights.values()) == 0
        assert all(fnmatch.filter(names, pattern) for pattern in contrast.weights), contrast
    assert len({contrast.name for contrast in study.contrasts}) == len(study.contrasts)


@pytest.mark.parametrize("study", STUDIES.values(), ids=NAMES)
def test_published_numbers_belong_to_arms_and_are_shares_or_losses(study: Study) -> None:
    names = [arm.name for arm in study.space.grid()]
    for number in study.published:
        assert number.arm in names
        assert number.metric == TEST_LOSS or (
            number.metric in (TEST_ACCURACY, VAL_ACCURACY) and 0.5 < number.value < 1
        )
    if study.published:
        assert study.assumptions, "a source text always leaves something open"


@pytest.mark.parametrize("preset_name", PRESETS)
@pytest.mark.parametrize("study", STUDIES.values(), ids=NAMES)
def test_every_arm_is_valid_in_every_preset(study: Study, preset_name: str, tmp_path: Path) -> None:
    for arm in arms(study, preset_name, tmp_path):
        assert {arm.recipe(arm.sample_with({})), arm.default_recipe()} == {arm.default_recipe()}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("study", STUDIES.values(), ids=NAMES)
def test_the_full_preset_has_the_sizes_of_the_space(study: Study, tmp_path: Path) -> None:
    for arm in arms(study, "full", tmp_path):
        recipe = arm.default_recipe()
        for name in ("epochs", "batch_size", "image_size"):
            assert getattr(recipe, name) == study.space.fixed.get(
                name, getattr(study.presets["full"], name)
            )


@pytest.mark.parametrize("study", STUDIES.values(), ids=NAMES)
def test_the_demo_downloads_nothing_and_is_small(study: Study, tmp_path: Path) -> None:
    preset = study.presets["demo"]
    assert preset.data == "digits"
    # Of fewer recipes, seeds bring no degrees of freedom of their own.
    assert preset.finalist_recipes == preset.finalist_seeds == ENOUGH_RECIPES
    assert preset.trials_per_arm > 2 * ENOUGH_RECIPES, "the worst of them is no bad one"
    for arm in arms(study, "demo", tmp_path):
        recipe = arm.default_recipe()
        assert recipe.weights in ("digits-source", "none")
        assert recipe.image_size <= 32
        assert recipe.epochs <= 6


@pytest.mark.parametrize("study", STUDIES.values(), ids=NAMES)
def test_a_contrast_of_the_demo_is_whole_or_left_out(study: Study, tmp_path: Path) -> None:
    """A demo of some arms still answers one contrast of the study, if the study has any."""
    names = [arm.name for arm in arms(study, "demo", tmp_path)]
    whole = [
        c for c in study.contrasts if all(fnmatch.filter(names, pattern) for pattern in c.weights)
    ]
    assert whole or not study.contrasts


@pytest.mark.parametrize("preset_name", ["laptop", "full"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("depth_on_dogs", "the Kaggle folder of dog-breed-identification"),
        ("find_best", "a folder of class folders"),
    ],
)
def test_a_study_of_the_users_own_data_says_what_data_must_name(
    name: str, said: str, preset_name: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as refused:
        make_plan(STUDIES[name], Options(preset=preset_name, storage=tmp_path))
    (line,) = refused.value.problems
    assert line.startswith(f"--data must name {said}")
    assert "\n" not in line


def test_only_studies_without_data_of_their_own_ask_for_it() -> None:
    for name, study in STUDIES.items():
        asks = [preset for preset in study.presets.values() if preset.data == ""]
        assert bool(asks) == bool(study.own_data) == (name in OWN_DATA)


@pytest.mark.parametrize("name", OWN_DATA)
def test_the_full_preset_takes_every_image_of_the_users_set(name: str) -> None:
    full = STUDIES[name].presets["full"]
    assert min(full.train_per_class, full.val_per_class, full.test_per_class) >= EVERY


def test_augmentation_and_schedulers_trains_on_all_of_cifar10() -> None:
    full = STUDIES["augmentation_and_schedulers"].presets["full"]
    assert (full.data, full.train_per_class + full.val_per_class, full.test_per_class) == (
        "cifar10",
        5000,
        1000,
    )
    assert full.val_per_class == 500


@pytest.mark.parametrize("study", STUDIES.values(), ids=NAMES)
def test_a_study_is_described_with_its_command_and_published_numbers(study: Study) -> None:
    text = (ROOT / "docs" / "studies.md").read_text()
    assert f"python sweeps/{study.name}.py" in text
    for number in study.published:
        shown = f"{100 * number.value:.1f}" if number.metric == VAL_ACCURACY else f"{number.value}"
        assert shown in text
