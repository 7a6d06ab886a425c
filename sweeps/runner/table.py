"""The sweep's end in the terminal: a table of arms, and recipes in words."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from cluster.resources import Slots
from search_spaces.space import Arm
from sweeps.runner.results import Outcome, Results, best, default
from trainables.recipe import Recipe


def arm_table(results: Results, arms: Iterable[Arm], slots: Slots) -> Table:
    """One row an arm: trials by outcome, epochs, best and default score with their difference, best recipe, cost."""
    table = Table(title="Validation accuracy by arm", caption=_caption(results), title_justify="left", caption_justify="left")
    table.add_column("arm", no_wrap=True)
    for name in ("completed", "pruned", "diverged", "failed", "epochs", "best %", "default %", "gain"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("best recipe", overflow="fold", ratio=1)
    table.add_column(slots.unit, justify="right", no_wrap=True)
    for arm in arms:
        records = results.records(arm.name)
        top, first = best(records), default(records)
        counts = [sum(record.outcome is outcome for record in records) for outcome in list(Outcome)[:4]]
        gain = f"{100 * (top.score - first.score):+.1f}" if top and first and top.score and first.score else "-"
        table.add_row(
            arm.name,
            *map(str, counts),
            str(sum(record.epoch for record in records)),
            percent(top.score if top else None),
            percent(first.score if first else None),
            gain,
            in_words(top.recipe, arm) if top else "-",
            f"{sum(record.device_seconds for record in records) / 3600:.3f}",
        )
    return table


def percent(score: float | None) -> str:
    """`81.4`, or `-` where there is none."""
    return "-" if score is None else f"{100 * score:.1f}"


def in_words(recipe: Recipe, arm: Arm) -> str:
    """What was tuned in the arm, in a line: `3 layers, stage-2 lr 0.0003, cosine, crop_flip`."""
    return ", ".join(_word(name, getattr(recipe, name)) for name in arm.tuned) or "nothing tuned"


def _word(name: str, value: object) -> str:
    number = f"{value:.2g}" if isinstance(value, float) else str(value)
    words = {
        "trainable_layers": f"{number} layer{'s' if value != 1 else ''}",
        "stage1_lr": f"stage-1 lr {number}",
        "stage2_lr": f"lr {number}",
        "weight_decay": f"weight decay {number}",
        "label_smoothing": f"smoothing {number}",
        "augmentation": "no augmentation" if value == "none" else number,
    }
    return words.get(name, number if isinstance(value, str) else f"{name} {number}")


def _caption(results: Results) -> str:
    counts = [len(results.ended(arm)) for arm in results.arms]
    if len(set(counts)) == 1:
        return f"Equal trials: {counts[0]} in each arm. The best of several is lucky by a point or more: see README."
    return f"Trials are NOT equal: {min(counts)} to {max(counts)} an arm, since the sweep ended early."
