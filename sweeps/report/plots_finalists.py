"""Figures of the finalists: arms on the test split, learning curves, accuracy against size, and what everything cost."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from sweeps.records.results import Outcome
from sweeps.records.score import NAMES
from sweeps.report.blocks import Block, Plot, Plots, Text
from sweeps.report.figures import (
    GREY,
    Trace,
    color,
    figure,
    hover,
    label,
    legend,
    line,
    points,
    rounded,
    symbol,
    ticks,
)
from sweeps.report.finalists import Group, mean
from sweeps.report.findings import Findings, interval
from sweeps.report.formats import counted, fixed, percent, span, with_span
from sweeps.report.runs import Run, number
from trainables.metrics import EPOCH, TRAIN_ACCURACY, VAL_ACCURACY, Score

Size = Literal["parameters", "inference_ms"]


def arms(findings: Findings) -> Block:
    """The score on test of each arm's best and default recipe with intervals, each seed a point."""
    names = [arm for arm in findings.run.arms if arm in findings.best or arm in findings.default][
        ::-1
    ]
    data: list[Trace] = []
    score = findings.run.score
    for place, arm in enumerate(names):
        at = findings.run.arms.index(arm)
        best, default = findings.best.get(arm), findings.default.get(arm)
        if best:
            data += _whisker(best, score, place + 0.1, color(at), "best")
        if default and (best is None or default.name != best.name):
            data += _whisker(default, score, place - 0.25, GREY, "default")
    if not data:
        return Text("Arms on the test split: no finalist has completed.")
    ranges = {"range": [-0.6, len(names) - 0.4], "showgrid": False, **ticks(names)}
    shown = figure(data, f"test {NAMES[score]}, %", "", height=110 + 56 * len(names), yaxis=ranges)
    large = (
        f"mean over seeds with its 95% interval for {findings.scope}"
        if findings.tested
        else "mean over seeds"
    )
    pairs = (
        " Arms share images, so that arms whose intervals overlap may still differ: see the pairs."
        if findings.tested
        else ""
    )
    caption = f"Best recipe of each arm in color, its default in grey. Large: {large}; small: each seed.{pairs}"
    return Plot(name="arms", figure=shown, caption=caption, title="Arms on the test split")


def curves(findings: Findings) -> Block:
    """Train and val accuracy by epoch of each arm's best recipe, seeds thin and their mean thick."""
    plots, gaps, lows = [], [], []
    for at, (arm, group) in enumerate(findings.best.items()):
        names = [seed.trial_id for seed in group.seeds]
        rows = findings.run.epochs[findings.run.epochs["trial_id"].isin(names)]
        if not {VAL_ACCURACY, TRAIN_ACCURACY} <= set(rows.columns) or rows.empty:
            continue
        train, val = (
            rows.pivot_table(index=EPOCH, columns="trial_id", values=m)
            for m in (TRAIN_ACCURACY, VAL_ACCURACY)
        )
        if train.empty or val.empty:
            continue
        gap = 100 * (train.mean(axis=1).iloc[-1] - val.mean(axis=1).iloc[-1])
        gaps.append(f"{arm} {fixed(gap, 1)}")
        colored = color(findings.run.arms.index(arm))
        data = [*_seeds(train, GREY, "train", "dot"), *_seeds(val, colored, "val", "solid")]
        stage = number(group.recipe.get("stage1_epochs"))
        marks = {"shapes": [_mark(stage + 0.5)]} if stage > 0 else {}
        plots.append(
            Plot(
                name=f"curves-{at}",
                figure=figure(data, "epoch", "accuracy, %", height=250, **marks),
                title=arm,
            )
        )
        lows.append(100 * min(train.min().min(), val.min().min()))
    for plot in plots:
        plot.figure["layout"]["yaxis"]["range"] = [5 * (min(lows) // 5), 101]  # one scale for all
    if not plots:
        return Text("Learning curves: no finalist has completed with its epochs recorded.")
    caption = (
        "Best recipes over the seeds: val in color, train dotted in grey, the mean thick; the vertical line is where stage 2 "
        "begins. Train accuracy is of augmented images, with the weights as they change. Overfitting gap, train less val at "
        f"the last epoch, in points: {', '.join(gaps)}."
    )
    if findings.run.score != "accuracy":
        caption += f" Shown is accuracy; the epoch was chosen by {NAMES[findings.run.score]}."
    return Plots(plots, caption, "Learning curves of the finalists")


def sizes(findings: Findings) -> Block:
    """The score on test against the number of parameters and against the time an image takes."""
    both: list[tuple[Size, str]] = [
        ("parameters", "parameters, million"),
        ("inference_ms", "inference, ms an image"),
    ]
    plots = [plot for size, title in both if (plot := _against(findings, size, title))]
    if not plots:
        return Text(
            "Accuracy against size: no finalist has told its parameters or its inference time."
        )
    caption = (
        f"Test {NAMES[findings.run.score]} of the best recipe of each arm (mean over seeds) against what it costs to use. Up "
        "and to the left is better; an arm with another above and to its left is dominated, as far as means tell."
    )
    return Plots(plots, caption, "Accuracy against size and speed", legend(findings.run.arms))


def cost(findings: Findings) -> Block:
    """Device-hours by arm, for the search and for the finalists, and what early stopping saved."""
    run = findings.run
    hours = run.trials.assign(hours=run.trials["device_seconds"].fillna(0) / 3600)
    if not hours["hours"].sum() > 0:
        return Text("No training time is recorded yet.")
    names = list(run.arms)[::-1]
    data: list[Trace] = []
    parts = (
        ("search", hours["role"] == "trial", 1.0),
        ("finalists", (hours["role"] != "trial") & (hours["without"] == ""), 0.55),
    )
    for part, chosen, opacity in (*parts, ("ablations", hours["without"] != "", 0.25)):
        spent = hours[chosen].groupby("arm")["hours"].sum()
        values = [float(spent.get(arm, 0.0)) for arm in names]
        said = [
            hover(label(arm), f"{part}: {fixed(value, 2)} device-hours")
            for arm, value in zip(names, values, strict=True)
        ]
        colors = {"color": [color(run.arms.index(arm)) for arm in names], "opacity": opacity}
        bars = {
            "type": "bar",
            "orientation": "h",
            "x": rounded(values, 4),
            "y": list(range(len(names))),
            "marker": colors,
        }
        data.append(
            {
                **bars,
                "text": said,
                "hovertemplate": "%{text}<extra></extra>",
                "textposition": "none",
            }
        )
    shown = figure(
        data,
        "device-hours",
        "",
        height=110 + 34 * len(names),
        barmode="stack",
        bargap=0.4,
        yaxis={"showgrid": False, **ticks(names)},
    )
    total = float(hours["hours"].sum())
    caption = (
        "Device-hours by arm: the search in full color, then finalists, then ablations, paler. All together "
        f"{fixed(total, 2)}. {_saved(run)}"
    )
    return Plot(
        name="cost",
        figure=shown,
        caption=caption,
    )


def _whisker(group: Group, score: Score, y: float, colored: str, kind: str) -> list[Trace]:
    whole = interval(group, score)
    if whole is None:
        return []
    said = hover(
        label(group.name),
        f"{kind} recipe",
        f"{with_span(percent(whole.mean), span(whole.low, whole.high))}%",
    )
    large = points([round(100 * whole.mean, 2)], [y], [said], {"color": colored, "size": 10})
    if whole.low is not None and whole.high is not None:
        half = round(50 * (whole.high - whole.low), 2)
        large["error_x"] = {
            "type": "data",
            "array": [half],
            "color": colored,
            "thickness": 1.6,
            "width": 5,
        }
    values = [seed.test(score) for seed in group.seeds]
    texts = [
        hover(label(seed.trial_id), f"seed {seed.seed}", f"{percent(value)}%")
        for seed, value in zip(group.seeds, values, strict=True)
    ]
    x = rounded([100 * value for value in values])
    small = points(x, [y - 0.12] * len(x), texts, {"color": colored, "size": 5, "opacity": 0.55})
    return [small, large]


def _seeds(curves: pd.DataFrame, colored: str, what: str, dash: str) -> list[Trace]:
    """Each seed thin, and their mean, which says its numbers."""
    epochs, mean_curve = curves.index.tolist(), 100 * curves.mean(axis=1)
    thin = [
        {
            **line(epochs, rounded((100 * curves[name]).tolist()), colored, width=0.8),
            "opacity": 0.35,
        }
        for name in curves
    ]
    said = [
        f"{what}, epoch {epoch}: {value:.1f}%"
        for epoch, value in zip(epochs, mean_curve, strict=True)
    ]
    return [
        *thin,
        line(epochs, rounded(mean_curve.tolist()), colored, width=2.4, dash=dash, text=said),
    ]


def _mark(x: float) -> dict[str, object]:
    return {
        "type": "line",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": GREY, "width": 1, "dash": "dot"},
    }


def _against(findings: Findings, size: Size, title: str) -> Plot | None:
    data: list[Trace] = []
    for arm, group in findings.best.items():
        known = [
            value for seed in group.seeds if (value := getattr(seed, size)) == value and value > 0
        ]
        whole, at = interval(group, findings.run.score), findings.run.arms.index(arm)
        if not known or whole is None:
            continue
        x = mean(known) / (1e6 if size == "parameters" else 1)
        said = hover(
            label(arm),
            f"{with_span(percent(whole.mean), span(whole.low, whole.high))}%",
            f"{x:.3g} {title.split(', ')[1]}",
        )
        trace = points(
            [float(f"{x:.4g}")],
            [round(100 * whole.mean, 2)],
            [said],
            {"color": color(at), "size": 10, "symbol": symbol(at)},
        )
        data.append(trace)
    shown = figure(
        data,
        title,
        f"test {NAMES[findings.run.score]}, %",
        height=300,
        xaxis={"rangemode": "tozero"},
    )
    return (
        Plot(name=f"size-{size.replace('_', '-')}", figure=shown, title=f"Against {title}")
        if data
        else None
    )


def _saved(run: Run) -> str:
    """What early stopping saved: epochs of the trials that it stopped which were not trained."""
    pruned: pd.DataFrame = run.rows("trial", outcome=Outcome.PRUNED)
    left = (
        (pd.to_numeric(pruned["epochs"], errors="coerce") - pruned["epochs_done"].astype(float))
        .clip(lower=0)
        .sum()
    )
    trained = int(run.rows("trial")["epochs_done"].sum())
    if pruned.empty or not left > 0:
        return "No trial was stopped early."
    return f"Early stopping saved {counted(int(left), 'epoch')}; the search trained {trained:,}."
