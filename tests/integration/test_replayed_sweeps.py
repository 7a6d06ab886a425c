"""Replayed sweeps: the full plan is whole, and unfairness is seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.replay import judged
from benchmarks.replay_parts.policies import ACROSS, FULL, Policy
from benchmarks.replay_parts.space import EPOCHS, SPACE
from benchmarks.replay_parts.sweep import Answer, replay
from benchmarks.replay_parts.table import Table, load
from benchmarks.replay_table import samples_of
from sweeps.runner.screening import Screening
from trainables import image_passes

ROOT = Path(__file__).parents[2]
ARMS = SPACE.grid()
RECIPES = 20
SEEDS = 6
TRIALS = 12
IMAGES = {"train": 200, "val": 200, "test": 400}
LATE = "many/tricks"
EARLY = Policy(name="early", screening=Screening(0.05, 2))


@pytest.fixture(scope="module")
def table() -> Table:
    """Runs whose arms differ in one thing: of one of them, recipes show late how good they are."""
    rng = np.random.default_rng(0)
    quality = rng.uniform(0.5, 0.9, (len(ARMS), RECIPES))
    quality[:, 0] = 0.5  # the defaults are the worst: what spares them saves nobody
    epochs = np.arange(1, EPOCHS + 1)
    val = np.zeros((len(ARMS), RECIPES, SEEDS, EPOCHS))
    for number, arm in enumerate(ARMS):
        learned = 1 - np.exp(-epochs / 1.5)
        if arm.name == LATE:
            learned = 1 / (1 + np.exp(12 - epochs))
        seen = quality[number, :, None, None] * learned
        val[number] = seen + rng.normal(0, 0.005, (RECIPES, SEEDS, EPOCHS))
    images = rng.uniform(size=IMAGES["test"])
    right = images < quality[:, :, None, None] + rng.normal(0, 0.005, (SEEDS, 1))
    return Table(
        arms=[arm.name for arm in ARMS],
        samples={arm.name: samples_of(arm, RECIPES) for arm in ARMS},
        recipes={
            arm.name: [arm.recipe(sample) for sample in samples_of(arm, RECIPES)] for arm in ARMS
        },
        val=np.clip(val, 0, 1),
        right=right,
        seconds=np.ones((len(ARMS), RECIPES, SEEDS)),
        images=IMAGES,
        about={},
    )


@pytest.fixture(scope="module")
def full(table: Table) -> list[Answer]:
    return [replay(table, FULL, TRIALS, number) for number in range(6)]


def test_a_table_is_read_as_it_was_written(table: Table, tmp_path: Path) -> None:
    broken = table.val.copy()
    broken[1, 2, 3, 4:] = np.nan
    counted = Table(**{**vars(table), "val": np.rint(broken * 200) / 200})
    counted.save(tmp_path / "table.npz")
    read = load(tmp_path / "table.npz")
    np.testing.assert_array_equal(read.val, counted.val)
    np.testing.assert_array_equal(read.right, counted.right)
    assert read.recipes == counted.recipes
    assert read.samples == counted.samples
    assert read.images == IMAGES


def test_the_full_plan_trains_every_trial_to_its_end_and_all_seeds(full: list[Answer]) -> None:
    seeds = SEEDS - 1  # one is the search's
    of_epoch = image_passes.of_epoch(IMAGES["train"], IMAGES["val"])
    search = len(ARMS) * TRIALS * EPOCHS * of_epoch
    finalist = EPOCHS * of_epoch + image_passes.of_test(IMAGES["val"], IMAGES["test"])
    arms = 2 * len(ARMS) * seeds * finalist
    for answer in full:
        # On top, likely champions have the seeds that were not their turn: 4 at most.
        assert search + arms <= answer.passes <= search + arms + 4 * (seeds - 1) * finalist
        assert set(answer.trials.values()) == {TRIALS}


def test_a_sweep_is_replayed_alike(table: Table, full: list[Answer]) -> None:
    assert replay(table, FULL, TRIALS, 3) == full[3]
    assert replay(table, FULL, TRIALS, 4) != full[3]


def test_what_ranks_across_arms_is_told_by_its_bias(table: Table, full: list[Answer]) -> None:
    """Inside an arm all learn alike, so that the same screening there costs it nothing."""
    unfair = [replay(table, ACROSS, TRIALS, number) for number in range(6)]
    fair = [replay(table, EARLY, TRIALS, number) for number in range(6)]
    told = judged(table, full, unfair)
    assert told["bias_arm"] == LATE
    assert told["bias"] > 5
    assert judged(table, full, fair)["loses"][LATE] < told["bias"] / 3
    assert judged(table, full, full)["bias"] == 0


def test_screening_costs_less_and_leaves_trials_equal(table: Table, full: list[Answer]) -> None:
    cheap = [replay(table, EARLY, TRIALS, number) for number in range(6)]
    told = judged(table, full, cheap)
    assert 0.3 < told["passes"] < 0.9
    assert told["equal_trials"]


def test_more_trials_than_the_table_has_recipes_are_refused(table: Table, tmp_path: Path) -> None:
    table.save(tmp_path / "table.npz")
    command = [sys.executable, "benchmarks/replay.py", str(tmp_path / "table.npz")]
    ran = subprocess.run([*command, "--trials", "21"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 2
    assert "at most the 20 recipes" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.slow
def test_a_recording_goes_on_where_it_was(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "benchmarks/replay_table.py",
        "--data",
        "digits",
        "--weights",
        "none",
    ]
    command += ["--per-class", "5", "--recipes", "2", "--seeds", "1", "--work", str(tmp_path / "w")]
    subprocess.run([*command, "--to", str(tmp_path / "whole.npz")], cwd=ROOT, check=True)
    (tmp_path / "w" / "2-0.npz").unlink()
    again = [*command, "--to", str(tmp_path / "again.npz")]
    said = subprocess.run(again, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "1 of 1 parts" in said
    whole = load(tmp_path / "whole.npz")
    resumed = load(tmp_path / "again.npz")
    np.testing.assert_array_equal(resumed.val, whole.val)
    np.testing.assert_array_equal(resumed.right, whole.right)
    assert whole.val.shape == (len(ARMS), 2, 1, EPOCHS)
    assert str(tmp_path) not in str(whole.about) + str(whole.recipes)
