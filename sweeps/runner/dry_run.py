"""`--dry-run`: what would run and what it would cost. Makes no run and no file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from sweeps.runner.course import Ahead
from sweeps.runner.finalists.ahead import ablations_at_most, first_of, of_champion, runs_of
from sweeps.runner.plan import Plan
from sweeps.runner.screening import screening_of
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
        least: Epochs that are trained in any case.
        image_passes: Of all these.
        tuned: Names that are tuned.
        seconds: Of all these, one after the other; None where that is not known.
    """

    name: str
    trials: int
    finalists: int
    epochs: int
    least: int
    image_passes: int
    tuned: tuple[str, ...] = ()
    seconds: float | None = None

    @property
    def share(self) -> float:
        """Return which share of the most is trained in any case."""
        return self.least / self.epochs if self.epochs else 0.0


def dry_run(plan: Plan, console: Console, doing: Doing) -> None:
    """Print arms, trials, epochs, slots, and hours where this machine has the device.

    Hours are from three timed steps of each kind, which `doing` shows.
    """
    summary = plan.summary
    images = {split: sum(counts.values()) for split, counts in summary.counts.items()}
    timer = _Timer(plan, images, doing) if _has_device(plan) else None
    lines = _lines(plan, images, timer)
    in_full = _lines(_exact(plan), images, timer)
    if plan.options.json:
        say(console, json_text(_plain(plan, lines, in_full, images)), whole=True)
        return

    # What was understood, and the table.
    said = said_of_data(summary, every_class=plan.options.verbose)
    title = f"Dry run of {plan.study.name}: nothing is trained, nothing is written"
    for line in (*plan.notes, *said, plan.score_line, title):
        say(console, line)
    console.print(_table(plan, lines, timed=timer is not None))

    # All together.
    counts = ", ".join(f"{number} {split}" for split, number in images.items())
    say(console, f"At most {sum(line.epochs for line in lines):,} epochs, on {_place(plan)}.")
    say(console, f"Images: {counts}.")
    say(console, _cost(plan, lines, in_full))


def _exact(plan: Plan) -> Plan:
    """Return the same plan in full."""
    return replace(plan, options=replace(plan.options, exact=True))


def _cost(plan: Plan, lines: Sequence[Line], in_full: Sequence[Line]) -> str:
    """Return what the sweep costs, and in full: image passes, and where it is known the time."""
    most = _passes(lines)
    wall = _wall(plan, lines)
    if plan.options.exact:
        total = f"{most:,} image passes at most"
        if wall is not None:
            total += f", about {duration(wall)} {_here(plan)}"
        return f"{total}."
    total = f"{_passes(lines, least=True):,} to {most:,} image passes"
    if wall is not None:
        least = _wall(plan, lines, least=True)
        assert least is not None
        total += f", about {duration(least)} to {duration(wall)} {_here(plan)}"
    total += ": trials are stopped early, and seeds that no comparison needs are left out."
    whole = f"{_passes(in_full):,} image passes at most"
    in_full_wall = _wall(plan, in_full)
    if in_full_wall is not None:
        whole += f", {duration(in_full_wall)}"
    return f"{total} With --exact: {whole}."


def _here(plan: Plan) -> str:
    return f"on this machine ({describe(plan.slots.device)})"


def _passes(lines: Sequence[Line], *, least: bool = False) -> int:
    return sum(round(line.image_passes * (line.share if least else 1)) for line in lines)


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
        screening = screening_of(plan)
        least = trials * plan.epochs
        if screening:
            least = screening.least(arm, plan.epochs, trials)
        least += plan.epochs * (finalists if plan.options.exact else first_of(plan, arm))
        seconds = runs * timer.trial_seconds(recipe) if timer else None
        line = Line(
            name=arm.name,
            trials=trials,
            finalists=finalists,
            epochs=runs * recipe.epochs,
            least=least,
            image_passes=passes(runs, finalists),
            tuned=tuple(arm.tuned),
            seconds=seconds,
        )
        lines.append(line)

    # Recipes that may become the champion get the seeds that they have not had.
    after = of_champion(plan)
    most = after.most
    if most:
        dearest = None
        if timer:
            dearest = most * max(timer.trial_seconds(arm.default_recipe()) for arm in plan.arms)
        lines.append(_after("the champion's", after, plan, passes(most, most), dearest))

    # Which tricks the champion has is not known yet, nor what it costs without them.
    if plan.options.ablate:
        most = ablations_at_most(plan)
        lines.append(_after("ablation", Ahead(most=most), plan, passes(most, most), None))
    return lines


def _after(name: str, ahead: Ahead, plan: Plan, passes: int, seconds: float | None) -> Line:
    """Return what follows the arms: runs of finalists alone."""
    return Line(
        name=name,
        trials=0,
        finalists=ahead.most,
        epochs=ahead.most * plan.epochs,
        least=ahead.least * plan.epochs,
        image_passes=passes,
        seconds=seconds,
    )


def _wall(plan: Plan, lines: Sequence[Line], *, least: bool = False) -> float | None:
    """Return the seconds from start to end, as far as they are known; None where nothing is."""
    known = [
        line.seconds * (line.share if least else 1) for line in lines if line.seconds is not None
    ]
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
    plan: Plan, lines: Sequence[Line], in_full: Sequence[Line], images: Mapping[str, int]
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
        "image_passes": _passes(lines),
        "seconds": _wall(plan, lines),
        "least": {
            "epochs": sum(line.least for line in lines),
            "image_passes": _passes(lines, least=True),
            "seconds": _wall(plan, lines, least=True),
        },
        "exact": {
            "epochs": sum(line.epochs for line in in_full),
            "image_passes": _passes(in_full),
            "seconds": _wall(plan, in_full),
        },
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
