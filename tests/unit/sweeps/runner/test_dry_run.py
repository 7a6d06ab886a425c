"""The hours that `--dry-run` estimates are those of each arm's own recipe."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from search_spaces.space import SearchSpace, Variant
from sweeps.runner import Study, dry_run
from sweeps.runner.options import Options
from sweeps.runner.plan import make_plan
from trainables.recipe import Recipe

SPACE = SearchSpace(
    arms={
        "backbone": ("resnet18",),
        "recipe": {
            "head": Variant(fixed={"trainable_layers": 1}),
            "deep": Variant(fixed={"trainable_layers": 4}),
            "late": Variant(fixed={"trainable_layers": 4, "stage1_epochs": 2, "stage1_lr": 0.01}),
        },
    },
)
STUDY = Study(name="depths", question="Which depth?", space=SPACE, trials_per_arm=1)


def test_hours_of_an_arm_are_those_of_its_layers_and_stages_each_kind_timed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = []

    def epoch_seconds(recipe: Recipe, **sizes: object) -> float:
        timed.append(recipe.trainable_layers)
        return 3600.0 * recipe.trainable_layers

    monkeypatch.setattr(dry_run, "epoch_seconds", epoch_seconds)
    labels = np.repeat([0, 1], 15)
    images = np.random.default_rng(0).integers(0, 256, (30, 12, 12, 3), np.uint8)
    np.savez(tmp_path / "images.npz", x_train=images, y_train=labels)
    options = Options(
        preset="demo",
        storage=tmp_path,
        data=str(tmp_path / "images.npz"),
        weights="none",
        gpus=0,
        dry_run=True,
    )
    plan = make_plan(STUDY, options)
    console = Console(width=200, record=True)
    shown: list[str] = []

    def doing(what: str) -> AbstractContextManager[None]:
        shown.append(what)
        return nullcontext()

    dry_run.dry_run(plan, console, doing)
    assert set(shown) == {"Timing steps of resnet18"}

    rows = [line.split() for line in console.export_text().splitlines() if "resnet18/" in line]
    hours = {row[0].rpartition("/")[2]: float(row[-1]) for row in rows}
    finalists = len(plan.finalist_seeds)
    cores = plan.slots.cpus
    # Of the demo's 6 epochs, stage 1 has as large a share as 2 are of 20: 1, in 2 layers.
    assert hours == {
        "head": finalists * cores * 6 * 1,
        "deep": finalists * cores * 6 * 4,
        "late": finalists * cores * (1 * 2 + 5 * 4),
    }
    assert sorted(timed) == [1, 2, 4]
