"""The sweep's end in the terminal: a table of arms, and recipes in words."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from cluster.resources import Slots
from search_spaces.space import Arm, applies
from sweeps.runner.results import Outcome, Results, best, default
from trainables.recipe import Recipe


def arm_table(results: Results, arms: Sequence[Arm], slots: Slots) -> Group:
    """One row an arm: trials by outcome, epochs, best and default score with their difference, cost; below, best recipes."""
    outcomes = [Outcome.COMPLETED, Outcome.PRUNED, Outcome.DIVERGED]
    outcomes += [rare for rare in (Outcome.FAILED, Outcome.INTERRUPTED) if any(r.outcome is rare for r in results.records())]
    table = Table(title="Validation accuracy by arm", title_justify="left", caption=_caption(results), caption_justify="left")
    table.add_column("arm", no_wrap=True)
    for name in (*map(str, outcomes), "epochs", "best %", "default %", "gain", slots.unit):
        table.add_column(name, justify="right", no_wrap=True)
    recipes = Table(title="Best recipe by arm", title_justify="left", box=None, padding=(0, 2, 0, 0), show_header=False)
    for arm in arms:
        records = results.records(arm.name)
        top, first = best(records), default(records)
        gain = f"{100 * ((top.score or 0) - (first.score or 0)):+.1f}" if top and first else "-"
        table.add_row(
            Text(arm.name),
            *(str(sum(record.outcome is outcome for record in records)) for outcome in outcomes),
            str(sum(record.epoch for record in records)),
            percent(top.score if top else None),
            percent(first.score if first else None),
            gain,
            f"{sum(record.device_seconds for record in records) / 3600:.3f}",
        )
        words = f"{'default: ' if top is first else ''}{in_words(top.recipe, arm)}" if top else "-"
        recipes.add_row(Text(arm.name), Text(words))
    return Group(table, recipes)


def percent(score: float | None) -> str:
    """`81.4`, or `-` where there is none."""
    return "-" if score is None else f"{100 * score:.1f}"


def in_words(recipe: Recipe, arm: Arm) -> str:
    """What was tuned in the arm, in a line: `3 layers, stage-2 lr 0.0003, cosine, crop_flip`."""
    values = recipe.as_dict()
    return ", ".join(_word(name, values[name]) for name, dim in arm.tuned.items() if applies(dim, values)) or "nothing tuned"


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
    counts = [sum(r.outcome is not Outcome.INTERRUPTED for r in results.ended(arm)) for arm in results.arms]
    if len(set(counts)) == 1 and counts[0]:
        return f"Equal trials: {counts[0]} in each arm. The best of several is lucky by a point or more: see README."
    return f"The sweep ended early, with {min(counts)} to {max(counts)} trials an arm: arms are not compared equally."
