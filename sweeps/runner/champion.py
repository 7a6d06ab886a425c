"""The champion's checkpoint, its recipe with the command that retrains it, its registered model."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from sweeps.records.events import ChampionKept
from sweeps.records.folder import (
    BEST,
    CHAMPION,
    RECIPE,
    checkpoints,
    kept_champion,
    predictions,
)
from sweeps.records.results import TrialRecord
from sweeps.records.score import NAMES
from sweeps.runner.driver import Run
from sweeps.runner.plan import Materials, Plan
from trainables import checkpoint
from trainables.data import dataset
from trainables.data.dataset import DataError
from trainables.data.test_identity import digest_of_test
from trainables.files import same_file, whole_file, write_whole
from trainables.metrics import TEST_SCORES, Score
from trainables.predictions import read_predictions

# How long the end of a sweep waits for MLflow to register the model.
REGISTERED_WITHIN_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Shipped:
    """The trial that a sweep ships.

    Attributes:
        record: The trial, or the finalist's seed.
        seeds: All seeds of the champion; none where there are no finalists.
        whole: Whether the sweep is whole: only then the alias `champion` may move.
    """

    record: TrialRecord
    seeds: Sequence[TrialRecord]
    whole: bool


def keep(run: Run, record: TrialRecord) -> dict[str, Path]:
    """Put the best trial's checkpoint, if it is whole, and its recipe into `champion`.

    Where its checkpoint is gone, the one that an earlier run of the sweep kept stays only if it is
    the same trial's. MLflow gets the weights with the registered model.

    Returns:
        Local files by their path among the run's artifacts.
    """
    plan = run.plan
    folder = plan.folder / CHAMPION
    folder.mkdir(exist_ok=True)

    # The checkpoint comes first: the recipe says whose it is.
    before = kept_champion(plan.folder)
    source = checkpoint.best(checkpoints(plan.folder, record.trial_id))
    if source:
        _give_second_name(source, folder / BEST)
    elif before is None or before.trial != record.trial_id:
        (folder / BEST).unlink(missing_ok=True)
    write_whole(folder / RECIPE, json.dumps(_recipe(run, record, folder), indent=2) + "\n")
    return {f"{CHAMPION}/{RECIPE}": folder / RECIPE}


def _give_second_name(source: Path, path: Path) -> None:
    """Let a file be found under another path too; a copy where the disk has no hard links."""
    if same_file(source, path):
        return
    with whole_file(path) as copy, source.open("rb") as original:
        shutil.copyfileobj(original, copy)


def register(run: Run, shipped: Shipped) -> Callable[[], str]:
    """Tell MLflow to register the kept checkpoint.

    This comes before the sweep is told to be finished: a kill between loses nothing.

    Returns:
        Waits for MLflow, and returns a line for the user.
    """
    plan = run.plan
    record = shipped.record
    weights = plan.folder / CHAMPION / BEST
    score = _score(plan, shipped)
    if not weights.is_file():
        recipe = weights.with_name(RECIPE)
        gone = f"{record.trial_id}, {score}: its checkpoint is gone; retrain it with {recipe}."
        return lambda: gone
    # Predictions of a run that was trained again may be another network's.
    again = checkpoint.score_of(weights)
    predicted, test_digest = "", ""
    if again == record.score:
        predicted, test_digest = _on_test(run, record)
    else:
        score += f"; trained again it scores {_shown(plan.score, again)} on val"
    run.tell(
        ChampionKept(
            name=registered_name(plan.study.name, run.materials.data.name, plan.preset_name),
            checkpoint=str(weights.absolute()),
            recipe=record.recipe.as_dict(),
            classes=run.materials.data.classes,
            move_alias=shipped.whole,
            stored_side=_stored_side(run.materials),
            description=f"{record.trial_id} of sweep {plan.name}: {score}.",
            predictions=predicted,
            test_digest=test_digest,
            metric=plan.score,
        )
    )

    def wait() -> str:
        # Where MLflow is down, `dvt sync` registers it later.
        patience = 1.0 if run.tracker.problem() else REGISTERED_WITHIN_S
        made = run.tracker.registered(timeout=patience)
        which = f"{record.trial_id} ({score})"
        if shipped.seeds:
            which = f"{record.trial_id} (best seed)"
        if made and made.line:
            return f"Registered {which} as {made.uri}. {made.line}"
        if made:
            return f"Registered {which} as {made.uri}"
        return f"Not registered yet: {which}; its weights are in {weights}"

    return wait


def registered_name(study: str, data: str, preset: str) -> str:
    """Return the name of the registered model whose versions are the champions of a study.

    Those of one preset, since a model of a demo says nothing of one of the full size.
    """
    return f"{study}-{data}-{preset}"


def _on_test(run: Run, record: TrialRecord) -> tuple[str, str]:
    """Return the file of what a finalist predicts for each test image, and those images' digest.

    Both are empty where there is no finalist, or where its predictions are not for the test split
    of this sweep's data, which may have changed since.
    """
    path = predictions(run.plan.folder, record.trial_id)
    read = read_predictions(path)
    if read is None:
        return "", ""
    try:
        data = dataset.read(run.materials.data.path, test=True)
    # The cache was deleted.
    except DataError:
        return "", ""
    if not read.are_for(data.split("test").labels):
        return "", ""
    return str(path.absolute()), digest_of_test(data)


def _recipe(run: Run, record: TrialRecord, folder: Path) -> dict[str, object]:
    """Return the content of `recipe.json`: all that retraining needs."""
    plan = run.plan
    materials = run.materials
    weights = materials.weights[record.recipe.weights, record.recipe.backbone]
    # The images of its own draw, where it had one.
    data = run.draws.of(record.trial_id)
    return {
        "command": f"python -m trainables {shlex.quote(str(folder / RECIPE))}",
        "trial": record.trial_id,
        "score": record.score,
        "metric": plan.score,
        "recipe": record.recipe.as_dict(),
        "data": {**plan.origin(data), "stored_side": _stored_side(materials)},
        "weights_file": str(weights.path) if weights.path else None,
        "cache": str(plan.cache),
        "device": plan.slots.device,
        "threads": plan.slots.cpus,
        "compute": materials.compute.as_dict(),
    }


def _score(plan: Plan, shipped: Shipped) -> str:
    """Return the scores of what is shipped, in words."""
    if not shipped.seeds:
        return f"{_shown(plan.score, shipped.record.score or 0.0)} on val"
    val = _shown(plan.score, fmean(record.score or 0.0 for record in shipped.seeds))
    test = 100 * fmean(record.test[TEST_SCORES[plan.score]] for record in shipped.seeds)
    count = len(shipped.seeds)
    return f"best of {count} seeds; on average {val} on val and {test:.1f}% on test"


def _shown(score: Score, value: float) -> str:
    """Return `81.4%`, or `a balanced accuracy of 81.4%`."""
    if score == "accuracy":
        return f"{100 * value:.1f}%"
    return f"a {NAMES[score]} of {100 * value:.1f}%"


def _stored_side(materials: Materials) -> int:
    """Return the pixels per side of the squares that trials read, to which prediction decodes."""
    side: int = materials.data.split("val").images.shape[1]
    return side
