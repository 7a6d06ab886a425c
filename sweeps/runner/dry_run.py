"""`--dry-run`: what would run and what it would cost. Makes no run and no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from sweeps.runner.finalists.ahead import ablations_at_most, design_of, of_contenders, runs_of
from sweeps.runner.plan import Plan
from sweeps.terminal.grid import Column, Grid
from sweeps.terminal.json_text import json_text
from sweeps.terminal.screen import say
from sweeps.terminal.times import duration
from sweeps.terminal.waiting import Doing
from trainables import image_passes
from trainables.data.understood import said_of_data
from trainables.device import count_gpus, describe, epoch_seconds
from trainables.recipe import Recipe
from trainables.stages import stages

# Fields of a recipe that decide what a step costs.
COSTS = (
    "backbone",
    "head",
    "stem",
    "trainable_layers",
    "optimizer",
    "augmentation",
    "mixup",
    "batchnorm",
    "batch_size",
    "image_size",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """What runs at most of an arm, or of what follows the arms.

    Attributes:
        name: The arm's; of what follows, what it is.
        trials: Of the search.
        finalists: Runs of finalists.
        epochs: Of all these.
        image_passes: Of all these.
        tuned: Names that are tuned.
        seconds: Of all these, one after the other; None where that is not known.
    """

    name: str
    trials: int
    finalists: int
    epochs: int
    image_passes: int
    tuned: tuple[str, ...] = ()
    seconds: float | None = None


def dry_run(plan: Plan, console: Console, doing: Doing) -> None:
    """Print arms, trials, epochs, slots, and hours where this machine has the device.

    Hours are from three timed steps of each kind, which `doing` shows.
    """
    summary = plan.summary
    images = {split: sum(counts.values()) for split, counts in summary.counts.items()}
    timer = _Timer(plan, images, doing) if _has_device(plan) else None
    lines = _lines(plan, images, timer)
    wall = _wall(plan, lines)
    if plan.options.json:
        say(console, json_text(_plain(plan, lines, images, wall)), whole=True)
        return

    # What was understood, and the table.
    said = said_of_data(summary, every_class=plan.options.verbose)
    title = f"Dry run of {plan.study.name}: nothing is trained, nothing is written"
    for line in (*plan.notes, *said, plan.score_line, title):
        say(console, line)
    console.print(_table(plan, lines, timed=timer is not None))

    # All together.
    counts = ", ".join(f"{number} {split}" for split, number in images.items())
    epochs = sum(line.epochs for line in lines)
    passes = sum(line.image_passes for line in lines)
    total = f"At most {epochs:,} epochs, {passes:,} image passes, on {_place(plan)}; "
    total += f"images: {counts}."
    if wall is not None:
        total += f" About {duration(wall)} on this machine ({describe(plan.slots.device)}),"
        if not plan.options.exact:
            total += " minus trials stopped early and seeds that no comparison needs,"
        total += " plus one pass through the frozen layers for each draw of images."
    say(console, total)


def _lines(plan: Plan, images: Mapping[str, int], timer: _Timer | None) -> list[Line]:
    """Return what runs at most: each arm, then what follows."""
    lines = []

    # All recipes have as many epochs.
    trained = plan.epochs * image_passes.of_epoch(images["train"], images["val"])
    tested = image_passes.of_test(images["val"], images["test"])

    def passes(runs: int, finalists: int) -> int:
        return runs * trained + finalists * tested

    for arm in plan.arms:
        recipe = arm.default_recipe()
        trials, finalists = runs_of(plan, arm)
        runs = trials + finalists
        seconds = runs * timer.trial_seconds(recipe) if timer else None
        line = Line(
            name=arm.name,
            trials=trials,
            finalists=finalists,
            epochs=runs * recipe.epochs,
            image_passes=passes(runs, finalists),
            tuned=tuple(arm.tuned),
            seconds=seconds,
        )
        lines.append(line)

    # Recipes that may become the champion get the seeds that they have not had.
    most = of_contenders(design_of(plan), len(plan.arms)).most
    if most:
        dearest = None
        if timer:
            dearest = most * max(timer.trial_seconds(arm.default_recipe()) for arm in plan.arms)
        lines.append(_after("the champion's", most, plan, passes(most, most), dearest))

    # Which tricks the champion has is not known yet, nor what it costs without them.
    if plan.options.ablate:
        most = ablations_at_most(plan)
        lines.append(_after("ablation", most, plan, passes(most, most), None))
    return lines


def _after(name: str, finalists: int, plan: Plan, passes: int, seconds: float | None) -> Line:
    """Return what follows the arms: runs of finalists alone."""
    return Line(
        name=name,
        trials=0,
        finalists=finalists,
        epochs=finalists * plan.epochs,
        image_passes=passes,
        seconds=seconds,
    )


def _wall(plan: Plan, lines: Sequence[Line]) -> float | None:
    """Return the seconds from start to end, as far as they are known; None where nothing is."""
    known = [line.seconds for line in lines if line.seconds is not None]
    if not known:
        return None
    # Trials that share a GPU share its speed, too: timed alone, they are no faster packed.
    return sum(known) / (plan.slots.whole_gpus or plan.slots.count)


def _hours(plan: Plan, line: Line) -> float | None:
    """Return a line's device-hours, in the unit of the slots."""
    if line.seconds is None:
        return None
    cores = plan.slots.cpus if plan.slots.device == "cpu" else 1
    return line.seconds * cores / 3600


def _table(plan: Plan, lines: Sequence[Line], *, timed: bool) -> Grid:
    """Return the table, with hours where this machine has the device."""
    columns = [
        Column(title="arm"),
        Column(title="trials", number=True),
        Column(title="finalists", number=True),
        Column(title="epochs", number=True),
        Column(title="tuned", folds=True),
    ]
    if timed:
        columns.append(Column(title=plan.slots.unit, number=True))
    rows = []
    for line in lines:
        row = [line.name, str(line.trials), str(line.finalists), f"{line.epochs:,}"]
        row.append(", ".join(line.tuned) or "nothing")
        if timed:
            hours = _hours(plan, line)
            row.append("-" if hours is None else f"{hours:.3f}")
        rows.append(row)
    return Grid(columns=columns, rows=rows)


def _plain(
    plan: Plan, lines: Sequence[Line], images: Mapping[str, int], wall: float | None
) -> dict[str, Any]:
    """Return the dry run as docs/json.md has it."""
    rows = []
    for line in lines:
        row = {"name": line.name, "trials": line.trials, "finalists": line.finalists}
        row |= {"epochs": line.epochs, "image_passes": line.image_passes}
        more = {"tuned": line.tuned, "device_hours": _hours(plan, line)}
        rows.append({**row, **more})
    slots = {"count": plan.slots.count, "cpus": plan.slots.cpus, "gpus": plan.slots.gpus}
    return {
        "study": plan.study.name,
        "question": plan.study.question,
        "preset": plan.preset_name,
        "data": plan.data,
        "weights": plan.weights,
        "score": plan.score,
        "classes": plan.summary.classes,
        "images": images,
        "image_size": plan.image_size,
        "seeds": len(plan.finalist_seeds),
        "slots": {**slots, "device": plan.slots.device},
        "runs": rows,
        "epochs": sum(line.epochs for line in lines),
        "image_passes": sum(line.image_passes for line in lines),
        "seconds": wall,
        "notes": [*plan.notes, *plan.summary.notes, *plan.summary.cautions],
    }


def _has_device(plan: Plan) -> bool:
    """Return whether this machine has what trials would train on."""
    if plan.options.address != "local":
        return False
    return plan.slots.device == "cpu" or count_gpus() >= plan.slots.whole_gpus


def _place(plan: Plan) -> str:
    """Return where trials would run, in words."""
    if plan.options.address == "local":
        return plan.slots.describe()
    return "a cluster, whose slots are known once it is joined"


class _Timer:
    """Knows the seconds of an epoch; each kind of step is timed once."""

    def __init__(self, plan: Plan, images: Mapping[str, int], doing: Doing) -> None:
        self._plan = plan
        self._images = images
        self._doing = doing
        self._seconds: dict[tuple[object, ...], float] = {}

    def trial_seconds(self, recipe: Recipe) -> float:
        """Return the seconds of all epochs of a recipe, stage by stage."""
        seconds = 0.0
        for stage in stages(recipe):
            alone = replace(recipe, stage1_epochs=0, trainable_layers=stage.trainable_layers)
            seconds += stage.epochs * self._epoch_seconds(alone)
        return seconds

    def _epoch_seconds(self, recipe: Recipe) -> float:
        kind = tuple(getattr(recipe, name) for name in COSTS)
        if kind not in self._seconds:
            with self._doing(f"Timing steps of {recipe.backbone}"):
                self._seconds[kind] = epoch_seconds(
                    recipe,
                    num_classes=len(self._plan.summary.classes),
                    train_images=self._images["train"],
                    val_images=self._images["val"],
                    device=self._plan.slots.device,
                    threads=self._plan.slots.cpus,
                )
        return self._seconds[kind]
