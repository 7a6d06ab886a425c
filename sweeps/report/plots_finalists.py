"""Figures of the finalists: arms on test, learning curves, accuracy against size, and cost."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from sweeps.records.results import Outcome
from sweeps.records.score import NAMES
from sweeps.report.blocks import Block, Plot, Plots, Text
from sweeps.report.figures import (
    GREY,
    Trace,
    bars,
    color,
    error_bar,
    figure,
    hover,
    label,
    legend,
    line,
    percents,
    points,
    rounded,
    symbol,
    ticks,
)
from sweeps.report.finalists import Group, mean
from sweeps.report.findings import Findings, interval
from sweeps.report.formats import counted, fixed, percent, span, with_span
from sweeps.report.runs import Run, number
from sweeps.report.spread import spread_of
from trainables.metrics import EPOCH, TRAIN_ACCURACY, VAL_ACCURACY, Score

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
    data: list[Trace] = []
    # From the last arm at the bottom to the first on top, the best above the default.
    for place, arm in enumerate(names):
        best = findings.arms.get(arm)
        default = findings.default.get(arm)
        if best:
            colored = color(run.arms.index(arm))
            data += _whisker(best, run.score, place + 0.1, colored, "best")
        if default and (best is None or best.turn > 1 or default.name != best.seeds[0].group):
            data += _whisker(default, run.score, place - 0.25, GREY, "default")
    if not data:
        return Text("Arms on the test split: no finalist has completed.")
    # What to read off depends on whether there are intervals.
    ranges = {"range": [-0.6, len(names) - 0.4], "showgrid": False, **ticks(names)}
    height = 110 + 56 * len(names)
    shown = figure(data, f"test {NAMES[run.score]}, %", "", height=height, yaxis=ranges)
    caption = "Best recipes of each arm in color, its default in gray. Large: mean over seeds"
    if findings.tested:
        caption += (
            f" with its 95% interval for {findings.scope_of_arms}; small: each seed, which trained "
            "the recipe whose turn it was. Arms share images, so "
            "arms whose intervals overlap may still differ: see the pairs."
        )
    else:
        caption += "; small: each seed."
    return Plot(name="arms", figure=shown, caption=caption, title="Arms on the test split")


def curves(findings: Findings) -> Block:
    """Return train and val accuracy by epoch of each arm's best recipes."""
    run = findings.run
    plots = []
    gaps = []
    lows = []
    for at, (arm, group) in enumerate(findings.arms.items()):
        both = _curves(run, group)
        if both is None:
            continue
        train, val = both  # shares [epochs, seeds]
        gap = 100 * (train.mean(axis=1).iloc[-1] - val.mean(axis=1).iloc[-1])
        gaps.append(f"{arm} {fixed(gap, 1)}")
        lows.append(100 * min(train.min().min(), val.min().min()))
        colored = color(run.arms.index(arm))

        # A figure per arm, all on one scale in the end.
        data = [*_seeds(train, GREY, "train", "dot"), *_seeds(val, colored, "val", "solid")]
        # Stage 2 begins between two epochs.
        stage = number(group.recipe.get("stage1_epochs"))
        marks = {"shapes": [_mark(stage + 0.5)]} if stage > 0 else {}
        shown = figure(data, "epoch", "accuracy, %", height=250, **marks)
        plots.append(Plot(name=f"curves-{at}", figure=shown, title=arm))
    if not plots:
        return Text("Learning curves: no finalist has completed with its epochs recorded.")
    for plot in plots:
        plot.figure["layout"]["yaxis"]["range"] = [5 * (min(lows) // 5), 101]  # one scale for all
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
    widths = [known[name] for name in names]
    said = [hover(name, f"{fixed(known[name], 2)} points") for name in names]
    bar = bars(rounded(widths, 3), range(len(names)), said, {"color": color(0)})
    bar |= {"text": [fixed(width, 2) for width in widths], "textposition": "auto"}
    axis = {"showgrid": False, **ticks(names)}
    shown = figure([bar], "points", "", height=110 + 34 * len(names), yaxis=axis, bargap=0.4)
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
    return Plot(name="components", figure=shown, caption=caption, title="What makes a score vary")


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
    data: list[Trace] = []
    for part, chosen, opacity in parts:
        spent = hours[chosen].groupby("arm")["hours"].sum()
        values = [float(spent.get(arm, 0.0)) for arm in names]
        said = []
        for arm, value in zip(names, values, strict=True):
            said.append(hover(label(arm), f"{part}: {fixed(value, 2)} device-hours"))
        marker = {"color": [color(run.arms.index(arm)) for arm in names], "opacity": opacity}
        data.append(bars(rounded(values, 4), range(len(names)), said, marker))
    # Bars lie, so that names of arms have room.
    shown = figure(
        data,
        "device-hours",
        "",
        height=110 + 34 * len(names),
        barmode="stack",
        bargap=0.4,
        yaxis={"showgrid": False, **ticks(names)},
    )
    caption = (
        "Device-hours by arm. Dark: search; lighter: finalists; palest: ablations. Total "
        f"{fixed(total, 2)} device-hours. {_saved(run)}"
    )
    return Plot(name="cost", figure=shown, caption=caption)


def _whisker(group: Group, score: Score, y: float, colored: str, kind: str) -> list[Trace]:
    """Return a recipe's seeds as small dots, and above them their mean with its interval."""
    whole = interval(group, score)
    if whole is None:
        return []
    value = f"{with_span(percent(whole.mean), span(whole.low, whole.high))}%"
    said = hover(label(group.name), f"{kind} recipe", value)
    large = points([round(100 * whole.mean, 2)], [y], [said], {"color": colored, "size": 10})
    # Small dots lie a little lower, so that the mean stays readable.
    values = [seed.test(score) for seed in group.seeds]
    texts = []
    for seed, value_of_seed in zip(group.seeds, values, strict=True):
        tested = f"{percent(value_of_seed)}%"
        texts.append(hover(label(seed.trial_id), f"seed {seed.seed}", tested))
    x = percents(values)
    small = points(x, [y - 0.12] * len(x), texts, {"color": colored, "size": 5, "opacity": 0.55})
    return [small, large | error_bar(whole, colored)]


def _curves(run: Run, group: Group) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Return train and val accuracy, [epochs, seeds]; None where one is not recorded."""
    names = [seed.trial_id for seed in group.seeds]
    rows = run.epochs[run.epochs["trial_id"].isin(names)]
    if not {VAL_ACCURACY, TRAIN_ACCURACY} <= set(rows.columns) or rows.empty:
        return None
    train = rows.pivot_table(index=EPOCH, columns="trial_id", values=TRAIN_ACCURACY)
    val = rows.pivot_table(index=EPOCH, columns="trial_id", values=VAL_ACCURACY)
    return None if train.empty or val.empty else (train, val)


def _seeds(curves: pd.DataFrame, colored: str, what: str, dash: str) -> list[Trace]:
    """Return each seed thin, and their mean, which says its numbers; [epochs, seeds]."""
    epochs = curves.index.tolist()
    traces = []
    for name in curves:
        thin = line(epochs, percents(curves[name]), colored, width=0.8)
        traces.append({**thin, "opacity": 0.35})
    means = (100 * curves.mean(axis=1)).tolist()
    said = []
    for epoch, value in zip(epochs, means, strict=True):
        said.append(f"{what}, epoch {epoch}: {value:.1f}%")
    thick = line(epochs, rounded(means), colored, width=2.4, dash=dash, text=said)
    return [*traces, thick]


def _mark(x: float) -> dict[str, object]:
    """Return a vertical line from the bottom to the top of a figure."""
    return {
        "type": "line",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": GREY, "width": 1, "dash": "dot"},
    }


def _against(findings: Findings, size: Size, title: str, unit: str, of_one: float) -> Plot | None:
    """Return the test score of each arm against a size, in `unit`; None where none is known."""
    run = findings.run
    data: list[Trace] = []
    for arm, group in findings.arms.items():
        values = [float(getattr(seed, size)) for seed in group.seeds]
        known = [value for value in values if value > 0]  # not NaN either
        whole = interval(group, run.score)
        if not known or whole is None:
            continue
        # Four digits of x are more than a figure shows.
        at = run.arms.index(arm)
        x = mean(known) / of_one
        score = f"{with_span(percent(whole.mean), span(whole.low, whole.high))}%"
        said = hover(label(arm), score, f"{x:.3g} {unit}")
        marker = {"color": color(at), "size": 10, "symbol": symbol(at)}
        data.append(points([float(f"{x:.4g}")], [round(100 * whole.mean, 2)], [said], marker))
    if not data:
        return None
    axis = {"rangemode": "tozero"}
    y = f"test {NAMES[run.score]}, %"
    return Plot(
        name=f"size-{size.replace('_', '-')}",
        figure=figure(data, f"{title}, {unit}", y, height=300, xaxis=axis),
        title=f"Against {title}, {unit}",
    )


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
