"""`--dry-run`: what would run and what it would cost. Makes no run and no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rich.console import Console

from search_spaces.space import Arm
from sweeps.runner.finalists.candidates import best_of
from sweeps.runner.finalists.contenders import MOST, MOST_OF_ARM, MOST_OF_ONLY_ARM
from sweeps.runner.plan import Plan
from sweeps.runner.progress import duration
from sweeps.terminal.grid import Column, Grid
from sweeps.terminal.screen import say
from trainables.data.understood import said_of_data
from trainables.device import count_gpus, describe, epoch_seconds
from trainables.recipe import NEUTRAL, Recipe
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


def dry_run(plan: Plan, console: Console) -> None:
    """Print arms, trials, epochs, slots, and hours where this machine has the device.

    Hours are from three timed steps of each kind.
    """
    summary = plan.summary
    images = {split: sum(counts.values()) for split, counts in summary.counts.items()}
    table, epochs, seconds = _arms(plan, images)

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


def _arms(plan: Plan, images: Mapping[str, int]) -> tuple[Grid, int, float | None]:
    """Return the table of arms, their epochs, and their seconds where they can be timed."""
    timer = _Timer(plan, images) if _has_device(plan) else None
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
        trials, finalists = _runs(plan, arm)
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
    most = _contenders(plan)
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
        most = len(plan.finalist_seeds) * len(NEUTRAL)
        row = ["ablation", "0", str(most), str(most * plan.epochs), "nothing"]
        if timer:
            row.append("-")
        rows.append(row)
        total_epochs += most * plan.epochs
    return Grid(columns=columns, rows=rows), total_epochs, total_seconds if timer else None


def _runs(plan: Plan, arm: Arm) -> tuple[int, int]:
    """Return how many trials and finalists of an arm run at most."""
    trials = plan.trials_per_arm if arm.tuned else 0
    # One of the best in turn and the default, which are one where there is one trial or none.
    recipes = 2 if trials > 1 else 1
    return trials, recipes * len(plan.finalist_seeds)


def _contenders(plan: Plan) -> int:
    """Return how many further runs of contenders there are at most."""
    trials = max((_runs(plan, arm)[0] for arm in plan.arms), default=0)
    recipes = min(best_of(trials, plan.finalist_recipes), len(plan.finalist_seeds))
    if recipes < 2:
        return 0
    # Of each seed, a recipe has had every so manieth.
    had = len(plan.finalist_seeds) // recipes
    number = min(MOST, MOST_OF_ARM * len(plan.arms))
    if len(plan.arms) == 1:
        number = MOST_OF_ONLY_ARM
    return number * (len(plan.finalist_seeds) - had)


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

    def __init__(self, plan: Plan, images: Mapping[str, int]) -> None:
        self._plan = plan
        self._images = images
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
            self._seconds[kind] = epoch_seconds(
                recipe,
                num_classes=len(self._plan.summary.classes),
                train_images=self._images["train"],
                val_images=self._images["val"],
                device=self._plan.slots.device,
                threads=self._plan.slots.cpus,
            )
        return self._seconds[kind]
