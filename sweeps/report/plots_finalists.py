"""Figures of the finalists: arms on test, learning curves, accuracy against size, and cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pandas as pd

from sweeps.records.results import Outcome
from sweeps.records.score import NAMES
from sweeps.report.blocks import Block, Plot, Plots, Text
from sweeps.report.figures import (
    GREY,
    Axis,
    Bar,
    Bars,
    Dot,
    Dots,
    Figure,
    Line,
    Mark,
    color,
    hover,
    in_percent,
    label,
    legend,
    named_axis,
    percents,
    symbol,
)
from sweeps.report.finalists import Group, mean
from sweeps.report.findings import Findings, interval
from sweeps.report.formats import fixed, percent, span, with_span
from sweeps.report.runs import Run, number
from sweeps.report.spread import spread_of
from trainables.metrics import EPOCH, TRAIN_ACCURACY, VAL_ACCURACY, Score
from trainables.problems import counted

Size = Literal["parameters", "inference_ms"]
SIZES: tuple[tuple[Size, str, str, float], ...] = (
    ("parameters", "parameters", "million", 1e6),
    ("inference_ms", "inference", "ms per image", 1),
)
"""What a model costs to use: the field, its name, its unit, and what of the field is one unit."""


def arms(findings: Findings) -> Block:
    """Return the test score of each arm's best recipes and its default, each seed a point."""
    run = findings.run
    names = [arm for arm in run.arms if arm in findings.arms or arm in findings.default][::-1]
    marks: list[Mark] = []
    # From the last arm at the bottom to the first on top, the best above the default.
    for place, arm in enumerate(names):
        best = findings.arms.get(arm)
        default = findings.default.get(arm)
        if best:
            at = run.arms.index(arm)
            marks += _whisker(best, run.score, place + 0.1, color(at), "best")
        if default and (best is None or best.turn > 1 or default.name != best.seeds[0].group):
            marks += _whisker(default, run.score, place - 0.25, GREY, "default")
    if not marks:
        return Text("Arms on the test split: no finalist has completed.")
    # What to read off depends on whether there are intervals.
    shown = Figure(
        marks=marks,
        x=Axis(title=f"test {NAMES[run.score]}, %"),
        y=named_axis(names),
        height=20 + 56 * len(names),
    )
    caption = (
        "Best recipes of each arm in color (dots), its default in gray (diamonds). Large: mean "
        "over seeds"
    )
    if findings.tested:
        caption += (
            f" with its 95% interval for {findings.scope_of_arms}; small: each seed, which trained "
            "the recipe whose turn it was. Arms share images, so "
            "arms whose intervals overlap may still differ: see the pairs."
        )
    else:
        caption += "; small: each seed."
    return Plot(figure=shown, caption=caption, title="Arms on the test split")


def curves(findings: Findings) -> Block:
    """Return train and val accuracy by epoch of each arm's best recipes."""
    run = findings.run
    plots = []
    gaps = []
    lows = []
    for arm, group in findings.arms.items():
        both = _curves(run, group)
        if both is None:
            continue
        train, val = both  # shares [epochs, seeds]
        gap = 100 * (train.mean(axis=1).iloc[-1] - val.mean(axis=1).iloc[-1])
        gaps.append(f"{arm} {fixed(gap, 1)}")
        lows.append(100 * min(train.min().min(), val.min().min()))
        colored = color(run.arms.index(arm))

        # Stage 2 begins between two epochs.
        stage = number(group.recipe.get("stage1_epochs"))
        shown = Figure(
            marks=[*_seeds(train, GREY, "train"), *_seeds(val, colored, "val")],
            x=Axis(title="epoch"),
            y=Axis(title="accuracy, %"),
            height=190,
            rule=stage + 0.5 if stage > 0 else None,
        )
        plots.append(Plot(figure=shown, title=arm))
    if not plots:
        return Text("Learning curves: no finalist has completed with its epochs recorded.")
    one_scale = Axis(title="accuracy, %", low=5 * (min(lows) // 5), high=101)
    plots = [replace(plot, figure=replace(plot.figure, y=one_scale)) for plot in plots]
    caption = (
        "Best recipes over the seeds: val in color, train dotted in gray, the mean thick; the "
        "vertical line is where stage 2 begins. Train accuracy is of augmented images, with the "
        "weights as they change. Overfitting gap (train minus val, last epoch) in points: "
        f"{', '.join(gaps)}."
    )
    if run.score != "accuracy":
        caption += f" Shown is accuracy; the epoch was chosen by {NAMES[run.score]}."
    return Plots(plots, caption, "Learning curves of the finalists")


def components(findings: Findings) -> Block | None:
    """Return from what the spread of a score comes, a bar for each part; None where not known."""
    score = findings.run.score
    parts = spread_of(findings)
    if parts is None:
        return None
    named = {
        "another recipe of the search": parts.recipes,
        "another seed": parts.seeds,
        "another draw of train and val": parts.draws,
        "other test images": parts.images,
        "the rest": parts.residual,
    }
    known = {name: 100 * value for name, value in named.items() if value == value}
    names = list(known)[::-1]
    bars = []
    for row, name in enumerate(names):
        note = fixed(known[name], 2)
        said = hover(name, f"{note} points")
        bars.append(Bar(row=row, start=0, end=known[name], color=color(0), said=said, note=note))
    shown = Figure(
        marks=[Bars(bars=bars)],
        x=Axis(title="points", low=0, high=1.12 * max(known.values()) or 1),
        y=named_axis(names, room=0.5),
        height=34 * len(names),
    )
    images = len(
        next(group.predicted[0].labels for group in findings.arms.values() if group.predicted)
    )
    caption = (
        f"Standard deviations of one run's test {NAMES[score]} on {images:,} images, over all arms. "
        "Another recipe: one of those that took turns in an arm. Another draw: as far as it moves "
        "all arms alike."
    )
    if "another recipe of the search" not in known:
        caption += " With one seed of each recipe, recipes are part of seeds."
    if not findings.run.history.draws:
        caption += " All seeds trained on the same images: what another draw does is not known."
    return Plot(figure=shown, caption=caption, title="What makes a score vary")


def sizes(findings: Findings) -> Block:
    """Return the test score against the number of parameters and the time per image."""
    plots = []
    for size, title, unit, of_one in SIZES:
        plot = _against(findings, size, title, unit, of_one)
        if plot:
            plots.append(plot)
    if not plots:
        return Text("Accuracy against size: no finalist has reported its size or inference time.")
    caption = (
        f"Test {NAMES[findings.run.score]} of the best recipes of each arm (mean over seeds) "
        "against what it costs to use. Up and to the left is better; judging by the means, an arm "
        "with another above and to its left is worse on both counts."
    )
    title = "Accuracy against size and speed"
    return Plots(plots, caption, title, legend(findings.run.arms))


def cost(findings: Findings) -> Block:
    """Return device-hours by arm, for the search and for the finalists, and those saved."""
    run = findings.run
    hours = run.trials.assign(hours=run.trials["device_seconds"].fillna(0) / 3600)
    total = float(hours["hours"].sum())
    if not total > 0:
        return Text("No training time is recorded yet.")
    names = list(run.arms)[::-1]
    # Every training run is in one part.
    search = hours["role"] == "trial"
    ablations = hours["without"] != ""
    parts = (
        ("search", search, 1.0),
        ("finalists", ~search & ~ablations, 0.55),
        ("ablations", ablations, 0.25),
    )
    # One stack per arm, a color per arm and a shade per part.
    bars = []
    ends = dict.fromkeys(names, 0.0)
    for part, chosen, opacity in parts:
        spent = hours[chosen].groupby("arm")["hours"].sum()
        for row, arm in enumerate(names):
            value = float(spent.get(arm, 0.0))
            if not value > 0:
                continue
            said = hover(label(arm), f"{part}: {fixed(value, 2)} device-hours")
            start = ends[arm]
            ends[arm] += value
            shade = color(run.arms.index(arm))
            bars.append(
                Bar(row=row, start=start, end=ends[arm], color=shade, said=said, opacity=opacity)
            )
    # Bars lie, so that names of arms have room.
    shown = Figure(
        marks=[Bars(bars=bars)],
        x=Axis(title="device-hours", low=0),
        y=named_axis(names, room=0.5),
        height=34 * len(names),
    )
    caption = (
        "Device-hours by arm, from left to right: search (dark), finalists (lighter), ablations "
        f"(palest). Total {fixed(total, 2)} device-hours. {_saved(run)}"
    )
    return Plot(figure=shown, caption=caption)


def _whisker(group: Group, score: Score, y: float, colored: str, kind: str) -> list[Mark]:
    """Return a recipe's seeds as small dots, and above them their mean with its interval."""
    whole = interval(group, score)
    if whole is None:
        return []
    value = f"{with_span(percent(whole.mean), span(whole.low, whole.high))}%"
    said = hover(label(group.name), f"{kind} recipe", value)
    large = Dot(x=100 * whole.mean, y=y, said=said, between=in_percent(whole))
    # Small dots lie a little lower, so that the mean stays readable.
    small = []
    for seed in group.seeds:
        tested = seed.test(score)
        if tested == tested:
            said = hover(label(seed.trial_id), f"seed {seed.seed}", f"{percent(tested)}%")
            small.append(Dot(x=100 * tested, y=y - 0.12, said=said))
    shape = "circle" if kind == "best" else "diamond"
    return [
        Dots(dots=small, color=colored, symbol=shape, size=5, opacity=0.55),
        Dots(dots=[large], color=colored, symbol=shape, size=10),
    ]


def _curves(run: Run, group: Group) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return train and val accuracy, [epochs, seeds]; None where one is not recorded."""
    names = [seed.trial_id for seed in group.seeds]
    rows = run.epochs[run.epochs["trial_id"].isin(names)]
    if not {VAL_ACCURACY, TRAIN_ACCURACY} <= set(rows.columns) or rows.empty:
        return None
    train = rows.pivot_table(index=EPOCH, columns="trial_id", values=TRAIN_ACCURACY)
    val = rows.pivot_table(index=EPOCH, columns="trial_id", values=VAL_ACCURACY)
    return None if train.empty or val.empty else (train, val)


def _seeds(curves: pd.DataFrame, colored: str, what: str) -> list[Mark]:
    """Return each seed thin, and their mean, which says its numbers; [epochs, seeds].

    Train is dashed.
    """
    epochs = curves.index.tolist()
    lines: list[Mark] = []
    for name in curves:
        lines.append(
            Line(x=epochs, y=percents(curves[name]), color=colored, width=0.8, opacity=0.35)
        )
    means = percents(curves.mean(axis=1))
    said = []
    for epoch, value in zip(epochs, means, strict=True):
        said.append(f"{what}, epoch {epoch}: {value:.1f}%")
    thick = Line(x=epochs, y=means, color=colored, width=2.4, dashed=what == "train", said=said)
    return [*lines, thick]


def _against(findings: Findings, size: Size, title: str, unit: str, of_one: float) -> Plot | None:
    """Return the test score of each arm against a size, in `unit`; None where none is known."""
    run = findings.run
    marks: list[Mark] = []
    for arm, group in findings.arms.items():
        values = [float(getattr(seed, size)) for seed in group.seeds]
        known = [value for value in values if value > 0]  # not NaN either
        whole = interval(group, run.score)
        if not known or whole is None:
            continue
        at = run.arms.index(arm)
        x = mean(known) / of_one
        score = f"{with_span(percent(whole.mean), span(whole.low, whole.high))}%"
        dot = Dot(x=x, y=100 * whole.mean, said=hover(label(arm), score, f"{x:.3g} {unit}"))
        marks.append(Dots(dots=[dot], color=color(at), symbol=symbol(at), size=10))
    if not marks:
        return None
    shown = Figure(
        marks=marks,
        x=Axis(title=f"{title}, {unit}", low=0),
        y=Axis(title=f"test {NAMES[run.score]}, %"),
        height=230,
    )
    return Plot(figure=shown, title=f"Against {title}, {unit}")


def _saved(run: Run) -> str:
    """Return what early stopping saved: epochs of stopped trials that were not trained."""
    pruned = run.rows("trial", outcome=Outcome.PRUNED)
    # Planned minus trained epochs.
    epochs = pd.to_numeric(pruned["epochs"], errors="coerce")
    left = (epochs - pruned["epochs_done"].astype(float)).clip(lower=0).sum()
    trained = int(run.rows("trial")["epochs_done"].sum())
    if pruned.empty or not left > 0:
        return "No trial was stopped early."
    return f"Early stopping saved {counted(int(left), 'epoch')}; the search trained {trained:,}."
