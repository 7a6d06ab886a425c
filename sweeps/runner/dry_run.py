"""`--dry-run`: what would run and what it would cost. Makes no run and no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rich.console import Console

from sweeps.runner.finalists.ahead import ablations_at_most, design_of, of_contenders, runs_of
from sweeps.runner.plan import Plan
from sweeps.terminal.grid import Column, Grid
from sweeps.terminal.screen import say
from sweeps.terminal.times import duration
from sweeps.terminal.waiting import Doing
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


def dry_run(plan: Plan, console: Console, doing: Doing) -> None:
    """Print arms, trials, epochs, slots, and hours where this machine has the device.

    Hours are from three timed steps of each kind, which `doing` shows.
    """
    summary = plan.summary
    images = {split: sum(counts.values()) for split, counts in summary.counts.items()}
    table, epochs, seconds = _arms(plan, images, doing)

    # What was understood, and the table.
    said = said_of_data(summary, every_class=plan.options.verbose)
    title = f"Dry run of {plan.study.name}: nothing is trained, nothing is written"
    for line in (*plan.notes, *said, plan.score_line, title):
        say(console, line)
    console.print(table)

    # All together.
    counts = ", ".join(f"{number} {split}" for split, number in images.items())
    total = f"{epochs} epochs at most on {_place(plan)}; images: {counts}."
    if seconds is not None:
        # Trials that share a GPU share its speed, too: timed alone, they are no faster packed.
        wall = duration(seconds / (plan.slots.whole_gpus or plan.slots.count))
        total += f" About {wall} on this machine ({describe(plan.slots.device)}),"
        total += " minus trials stopped early and seeds that no comparison needs, plus one pass"
        total += " through the frozen layers for each draw of images."
    say(console, total)


def _arms(plan: Plan, images: Mapping[str, int], doing: Doing) -> tuple[Grid, int, float | None]:
    """Return the table of arms, their epochs, and their seconds where they can be timed."""
    timer = _Timer(plan, images, doing) if _has_device(plan) else None
    columns = [
        Column(title="arm"),
        Column(title="trials", number=True),
        Column(title="finalists", number=True),
        Column(title="epochs", number=True),
        Column(title="tuned", folds=True),
    ]
    if timer:
        columns.append(Column(title=f"{plan.slots.unit} at most", number=True))
    rows = []

    total_epochs = 0
    total_seconds = 0.0
    cores = plan.slots.cpus if plan.slots.device == "cpu" else 1
    for arm in plan.arms:
        recipe = arm.default_recipe()
        trials, finalists = runs_of(plan, arm)
        epochs = (trials + finalists) * recipe.epochs
        total_epochs += epochs
        tuned = ", ".join(arm.tuned) or "nothing"
        row = [arm.name, str(trials), str(finalists), str(epochs), tuned]
        if timer:
            seconds = (trials + finalists) * timer.trial_seconds(recipe)
            total_seconds += seconds
            row.append(f"{seconds * cores / 3600:.3f}")
        rows.append(row)

    # Recipes that may become the champion get the seeds that they have not had.
    most = of_contenders(design_of(plan), len(plan.arms)).most
    if most:
        row = ["the champion's", "0", str(most), str(most * plan.epochs), "nothing"]
        if timer:
            dearest = max(timer.trial_seconds(arm.default_recipe()) for arm in plan.arms)
            total_seconds += most * dearest
            row.append(f"{most * dearest * cores / 3600:.3f}")
        rows.append(row)
        total_epochs += most * plan.epochs

    # Which tricks the champion has is not known yet, nor what it costs without them.
    if plan.options.ablate:
        most = ablations_at_most(plan)
        row = ["ablation", "0", str(most), str(most * plan.epochs), "nothing"]
        if timer:
            row.append("-")
        rows.append(row)
        total_epochs += most * plan.epochs
    return Grid(columns=columns, rows=rows), total_epochs, total_seconds if timer else None


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
