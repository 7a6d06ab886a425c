"""What is kept of the best trial: its checkpoint, its recipe with the command that trains it again, its registered model."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean

from sweeps.runner.plan import Materials, Plan
from sweeps.runner.results import Outcome, TrialRecord, best
from sweeps.runner.score import NAMES
from sweeps.runner.standing import champion_of
from sweeps.runner.tracking import Tracker
from trainables import checkpoint
from trainables.checkpoint import BEST
from trainables.metrics import TEST_SCORES, Score

REGISTERED_WITHIN_S = 60.0


def checkpoint_folder(plan: Plan, trial_id: str) -> Path:
    """A trial's own folder for checkpoints."""
    return plan.folder / "checkpoints" / trial_id.replace("/", "-")


def keep(plan: Plan, materials: Materials, record: TrialRecord) -> dict[str, Path]:
    """Put the best trial's checkpoint, if it is whole, and its recipe into `champion`; local files by artifact path.

    Where its checkpoint is gone, that of an earlier run of the sweep stays only if it is the same trial's.
    """
    folder = plan.folder / "champion"
    folder.mkdir(exist_ok=True)
    before = champion_of(plan.folder)
    if source := checkpoint.best(checkpoint_folder(plan, record.trial_id)):
        _put(folder / BEST, lambda path: shutil.copyfile(source, path))
    elif not before or before["champion"] != record.trial_id:
        (folder / BEST).unlink(missing_ok=True)
    file = materials.weights[record.recipe.weights, record.recipe.backbone].path
    written = {
        "command": f"python -m trainables {shlex.quote(str(folder / 'recipe.json'))}",
        "trial": record.trial_id,
        "score": record.score,
        "metric": plan.score,
        "recipe": record.recipe.as_dict(),
        "data": plan.origin(materials.data) | {"stored_side": _stored_side(materials)},
        "weights_file": str(file) if file else None,
        "cache": str(plan.cache),
        "device": plan.slots.device,
        "threads": plan.slots.cpus,
        "compute": materials.compute.as_dict(),
    }
    _put(folder / "recipe.json", lambda path: path.write_text(json.dumps(written, indent=2) + "\n"))
    return {
        f"champion/{name}": folder / name
        for name in ("recipe.json", BEST)
        if (folder / name).is_file()
    }


def _put(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    write(temporary)
    temporary.replace(path)


def tidy(plan: Plan, peers: Sequence[TrialRecord], ended: TrialRecord) -> None:
    """Delete the checkpoints that a trial's end makes useless: its own, or those of the one that it beats among its peers.

    So a sweep holds those of running trials, of the best one of each arm, and of the best seed of each finalist: 45 MB each
    for a ResNet-18.
    """
    others = [record for record in peers if record is not ended]
    top = None if ended.without else best([*others, ended])  # nobody ships an ablation
    for record in (ended, best(others)):
        if record:
            folder = checkpoint_folder(plan, record.trial_id)
            checkpoint.drop_last(folder)
            for file in folder.glob("*.pt") if record is not top else ():
                file.unlink(missing_ok=True)


def tidy_left(
    plan: Plan,
    records: Iterable[TrialRecord],
    peers: Callable[[TrialRecord], Sequence[TrialRecord]],
) -> None:
    """As `tidy`, for all trials that ended in an earlier run: a driver that was killed may not have come to it."""
    for record in records:
        over = record.outcome not in (None, Outcome.INTERRUPTED)
        if over and any(checkpoint_folder(plan, record.trial_id).glob("*.pt")):
            tidy(plan, peers(record), record)


def register(
    plan: Plan,
    materials: Materials,
    tracker: Tracker,
    record: TrialRecord,
    seeds: Sequence[TrialRecord],
    *,
    move_alias: bool,
) -> Callable[[], str]:
    """Tell MLflow to register the kept checkpoint, before the sweep is told to be finished: a kill between loses nothing.

    Only a whole sweep moves the alias `champion`.

    Args:
        plan: Of the sweep.
        materials: What it ran on.
        tracker: Tells MLflow.
        record: The trial that is shipped.
        seeds: The champion's, or nothing where there are no finalists.
        move_alias: Let `champion` mean this version.

    Returns:
        Waits for MLflow, and gives a line for the user.
    """
    weights = plan.folder / "champion" / BEST
    score = f"{_shown(plan.score, record.score or 0.0)} on val"
    if seeds:
        val = _shown(plan.score, mean(r.score or 0.0 for r in seeds))
        test = 100 * mean(r.test[TEST_SCORES[plan.score]] for r in seeds)
        score = f"best of {len(seeds)} seeds with {val} on val and {test:.1f}% on test in the mean"
    if not weights.is_file():
        recipe = weights.with_name("recipe.json")
        return lambda: (
            f"{record.trial_id}, {score}: its checkpoint is gone, train it again by {recipe}."
        )
    tracker.register_champion(
        name=f"{plan.study.name}-{materials.data.name}",
        checkpoint=weights,
        recipe=record.recipe.as_dict(),
        classes=materials.data.classes,
        move_alias=move_alias,
        stored_side=_stored_side(materials),
        description=f"{record.trial_id} of sweep {plan.name}: {score}.",
    )

    def wait() -> str:
        patience = (
            1.0 if tracker.problem() else REGISTERED_WITHIN_S
        )  # where MLflow is away, `dvt sync` does it
        made = tracker.champion(timeout=patience)
        where = (
            f"registered as {made.uri}"
            if made
            else f"not registered yet; its weights are in {weights}"
        )
        which = (
            f"The champion's best seed, {record.trial_id}, is"
            if seeds
            else f"Best: {record.trial_id}, {score},"
        )
        return f"{which} {where}"

    return wait


def _shown(score: Score, value: float) -> str:
    """`81.4%`, or `a balanced accuracy of 81.4%`."""
    return (
        f"{100 * value:.1f}%" if score == "accuracy" else f"a {NAMES[score]} of {100 * value:.1f}%"
    )


def _stored_side(materials: Materials) -> int:
    """Pixels a side of the squares that trials read: prediction decodes to the same."""
    side: int = materials.data.split("val").images.shape[1]
    return side
