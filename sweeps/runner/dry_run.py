"""`--dry-run`: what would run and what it would cost. Makes no run and no file."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Console
from rich.table import Table

from sweeps.runner.plan import Plan
from sweeps.runner.progress import duration
from trainables.data.understood import said_of_data
from trainables.device import count_gpus, describe, epoch_seconds
from trainables.recipe import NEUTRAL, Recipe
from trainables.stages import stages

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
"""Fields of a recipe that decide what a step costs."""


def dry_run(plan: Plan, console: Console) -> None:
    """Print arms, trials, epochs, slots, and hours where this machine has the device.

    Hours are from three timed steps of each kind.
    """
    summary = plan.summary
    images = {split: sum(counts.values()) for split, counts in summary.counts.items()}
    timed = plan.options.address == "local" and (
        plan.slots.device == "cpu" or count_gpus() >= plan.slots.whole_gpus
    )
    table = Table()
    for name in (
        "arm",
        "trials",
        "finalists",
        "epochs",
        "tuned",
        *((f"{plan.slots.unit} at most",) if timed else ()),
    ):
        table.add_column(name, justify="left" if name in ("arm", "tuned") else "right")
    seconds: dict[tuple[object, ...], float] = {}

    def trial_seconds(recipe: Recipe) -> float:
        """Return the seconds of all epochs of a recipe; each kind of step is timed once."""
        spent = 0.0
        for stage in stages(recipe):
            alone = replace(recipe, stage1_epochs=0, trainable_layers=stage.trainable_layers)
            kind = tuple(getattr(alone, name) for name in COSTS)
            if kind not in seconds:
                seconds[kind] = epoch_seconds(
                    alone,
                    num_classes=len(summary.classes),
                    train_images=images["train"],
                    val_images=images["val"],
                    device=plan.slots.device,
                    threads=plan.slots.cpus,
                )
            spent += stage.epochs * seconds[kind]
        return spent

    total_epochs, total_seconds = 0, 0.0
    for arm in plan.arms:
        recipe = arm.default_recipe()
        trials = plan.trials_per_arm if arm.tuned else 0
        again = len(plan.finalist_seeds) * (2 if trials > 1 else 1)
        epochs = (trials + again) * recipe.epochs
        cost: tuple[str, ...] = ()
        if timed:
            spent = (trials + again) * trial_seconds(recipe)
            total_seconds += spent
            cost = (f"{spent * (plan.slots.cpus if plan.slots.device == 'cpu' else 1) / 3600:.3f}",)
        total_epochs += epochs
        table.add_row(
            arm.name, str(trials), str(again), str(epochs), ", ".join(arm.tuned) or "nothing", *cost
        )
    if plan.options.ablate:
        most = len(plan.finalist_seeds) * len(NEUTRAL)
        table.add_row(
            "ablation",
            "0",
            str(most),
            str(most * plan.epochs),
            "nothing",
            *(("-",) if timed else ()),
        )
        total_epochs += most * plan.epochs
    for line in (
        *plan.notes,
        *said_of_data(summary, every_class=plan.options.verbose),
        plan.score_line,
    ):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    title = f"Dry run of {plan.study.name}: nothing is trained, nothing is written"
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    console.print(table)
    counted = ", ".join(f"{number} {split}" for split, number in images.items())
    place = (
        plan.slots.describe()
        if plan.options.address == "local"
        else "a cluster, whose slots are known once it is joined"
    )
    say = f"{total_epochs} epochs at most on {place}; images: {counted}."
    if timed:
        # Trials that share a GPU share its speed, too: timed alone, they are no faster packed.
        wall = duration(total_seconds / (plan.slots.whole_gpus or plan.slots.count))
        say += (
            f" About {wall} on this machine ({describe(plan.slots.device)}), less what ASHA stops,"
        )
        say += " plus one pass of all images through frozen layers."
    console.print(say, markup=False, highlight=False)
