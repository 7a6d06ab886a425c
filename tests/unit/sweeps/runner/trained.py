"""Trials with checkpoints, as training leaves them, in a folder of their own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sweeps.records.folder import checkpoints
from sweeps.records.results import Finalist, Outcome, TrialRecord
from sweeps.runner.options import Options
from trainables.backbones import build
from trainables.checkpoint import save_best, save_last
from trainables.recipe import Recipe

RECIPE = Recipe(weights="none", image_size=32)


def plan_in(folder: Path, **options: Any) -> Any:
    """What of a plan is asked for where a trial's files are."""
    return SimpleNamespace(
        folder=folder,
        cache=folder / "cache",
        options=Options(**options),
        slots=SimpleNamespace(device="cpu", cpus=1, gpus=0.0),
        score="macro_f1",
        name="night",
        study=SimpleNamespace(name="study"),
        preset_name="laptop",
        origin=lambda data: {"digest": data.digest},
    )


def record(
    name: str,
    score: float,
    outcome: Outcome = Outcome.COMPLETED,
    finalist: Finalist | None = None,
) -> TrialRecord:
    return TrialRecord(name, "a", 0, RECIPE, finalist, outcome=outcome, score=score)


def train(plan: Any, trial: TrialRecord, *, last: bool = False) -> None:
    """Leave the checkpoints of a trial, and of one that is not over what it continues from."""
    folder = checkpoints(plan.folder, trial.trial_id)
    save_best(folder, build(RECIPE, 2), RECIPE, ("x", "y"), epoch=1, score=trial.score or 0.0)
    if last:
        save_last(folder, 1, {"recipe": RECIPE.as_dict()})
