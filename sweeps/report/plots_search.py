"""Figures of the search: what each tuned parameter did, and what more trials would bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sweeps.records.results import Outcome
from sweeps.records.score import NAMES
from sweeps.report.blocks import Block, Plot, Plots, Text
from sweeps.report.figures import (
    GREY,
    Axis,
    Band,
    Bar,
    Bars,
    Dot,
    Dots,
    Figure,
    Line,
    Mark,
    color,
    hover,
    label,
    legend,
    named_axis,
    percents,
    symbol,
)
from sweeps.report.formats import WORDS, named, percent, short
from sweeps.report.runs import Run, records
from sweeps.report.search_effects import MIN_TRIALS, expected_best, importance
from trainables.metrics import EPOCH, VAL_SCORES
from trainables.problems import counted

FEW = 12  # whole numbers in a range up to which each has its own place
TOP = 0.25  # share of an arm's trials that parallel coordinates show in color


def isolation(run: Run) -> Block:
    """Return the score against each tuned parameter, one small figure per parameter."""
    names = dict.fromkeys(name for arm in run.arms for name in run.tuned.get(arm, {}))
    plots = []
    for name in names:
        plot = _isolated(run, name)
        if plot:
            plots.append(plot)
    if not plots:
        return Text("Score against parameters: no trial with a score has tuned anything yet.")
    caption = (
        f"Best val {NAMES[run.score]} of each trial against one parameter, all others varying. "
        "Filled: completed; hollow: stopped early, so that its score is not final; ringed: the "
        "arm's default. Look for a slope, and for the best lying at an end of a range."
    )
    return Plots(plots, caption, "Score against each tuned parameter", legend(run.arms))


def parallel(run: Run) -> Block:
    """Return all parameters of each trial as one line; a figure for the arms that tune the same."""
    # Arms with the same axes share a figure.
    alike: dict[tuple[str, ...], list[str]] = {}
    for arm in run.arms:
        names = tuple(run.tuned.get(arm, {}))
        if len(names) >= 2:
            alike.setdefault(names, []).append(arm)
    plots = []
    for names, arms in alike.items():
        plot = _parallel(run, names, arms)
        if plot:
            plots.append(plot)
    if not plots:
        return Text(
            "Parallel coordinates: no two trials of an arm that tunes two or more parameters have "
            "completed."
        )
    caption = (
        "Each line is one completed trial, from its parameters to its score, each axis from the "
        "low to the high end of its range. In color: the best quarter of each arm. Where colored "
        "lines meet, good trials agree; where they spread, the value hardly matters."
    )
    return Plots(plots, caption, "What good trials have in common", legend(run.arms))


def schedulers(run: Run) -> Block:
    """Return the mean learning curve by scheduler, over completed trials of the search."""
    rows = run.rows("trial", outcome=Outcome.COMPLETED)
    names = list(map(str, rows["scheduler"].dropna().unique()))
    metric = VAL_SCORES[run.score]
    if len(names) < 2 or metric not in run.epochs:
        return Text("Curves by scheduler: fewer than two schedulers have completed trials.")
    marks: list[Mark] = []
    for at, scheduler in enumerate(names):
        # Mean and spread over the trials, [epochs].
        chosen = rows[rows["scheduler"] == scheduler]["trial_id"]
        of_trials = run.epochs[run.epochs["trial_id"].isin(chosen)]
        curves = of_trials.pivot_table(index=EPOCH, columns="trial_id", values=metric)
        epochs = curves.index.tolist()
        means = 100 * curves.mean(axis=1)
        spread = 100 * curves.std(axis=1).fillna(0)
        # The line says its numbers, the band says nothing.
        said = []
        for epoch, value in zip(epochs, means, strict=True):
            trials = counted(len(chosen), "trial")
            said.append(hover(label(scheduler), f"epoch {epoch}: {value:.1f}%", trials))
        low = (means - spread).tolist()
        high = (means + spread).tolist()
        marks.append(Band(x=epochs, low=low, high=high, color=color(at)))
        marks.append(
            Line(x=epochs, y=means.tolist(), color=color(at), symbol=symbol(at), said=said)
        )
    caption = (
        f"Mean val {NAMES[run.score]} by epoch over the completed trials with each scheduler; the "
        "band is one standard deviation. Other parameters differ too, and arms that fix their "
        "scheduler are in one curve only: a hint, not a comparison."
    )
    y = Axis(title=f"val {NAMES[run.score]}, %")
    return Plot(
        figure=Figure(marks=marks, x=Axis(title="epoch"), y=y),
        caption=caption,
        title="Curves by scheduler",
        legend=legend(names),
    )


def more_trials(run: Run) -> Block:
    """Return the expected best score against the number of random trials."""
    drawn = run.history.start_up_trials
    # Scores of completed trials, of which those drawn at random count.
    completed = run.rows("trial", outcome=Outcome.COMPLETED).dropna(subset="score")
    known = completed.set_index("trial_id")["score"]
    marks: list[Mark] = []
    for at, arm in enumerate(run.arms):
        scores = [float(known[name]) for name in drawn.get(arm, []) if name in known.index]
        if len(scores) < 2:  # one point is no curve
            continue
        best = expected_best(scores)
        said = []
        for number, value in enumerate(best, start=1):
            said.append(hover(label(arm), f"best of {number}: {percent(value)}%"))
        numbers = range(1, len(best) + 1)
        y = percents(best)
        marks.append(Line(x=numbers, y=y, color=color(at), symbol=symbol(at), said=said))
    if not marks:
        return Text(
            "Expected best score by number of trials: no arm has two completed trials that were "
            "drawn at random."
        )
    expected = Axis(title=f"expected best val {NAMES[run.score]}, %")
    caption = (
        "Expected best score after N random trials; only an arm's random first trials count. If a "
        "curve is still rising, more trials may help."
    )
    return Plot(
        figure=Figure(marks=marks, x=Axis(title="random trials"), y=expected),
        caption=caption,
        title="What more trials would bring",
        legend=legend(run.arms),
    )


def importances(run: Run) -> Block:
    """Return how much each parameter tells good from other trials, of arms with enough trials."""
    plots: list[Plot] = []
    lacking: dict[str, int] = {}
    for at, arm in enumerate(run.arms):
        if not run.tuned.get(arm):
            continue
        rows = run.rows("trial", arm)
        shares = importance(rows, run.tuned[arm])
        if shares is None:
            lacking[arm] = int((rows["outcome"] == Outcome.COMPLETED.value).sum())
            continue
        # The most important parameter on top, which is the last bar.
        names = list(shares)[::-1]
        bars = []
        for row, name in enumerate(names):
            said = hover(label(name), f"{percent(shares[name], 0)}%")
            end = 100 * shares[name]
            bars.append(Bar(row=row, start=0, end=end, color=color(at), said=said))
        shown = Figure(
            marks=[Bars(bars=bars)],
            x=Axis(title="%", low=0),
            y=named_axis(names, room=0.5),
            height=28 * len(names),
        )
        plots.append(Plot(figure=shown, title=arm))
    few = _too_few(lacking)
    if not plots:
        return Text(few or "Parameter importance: nothing is tuned.")
    caption = (
        "Which parameters decide whether a trial is among its arm's best tenth (PED-ANOVA), as "
        "shares of 100%."
    )
    return Plots(plots, f"{caption} {few}".strip(), "Importance of parameters")


def _too_few(lacking: Mapping[str, int]) -> str:
    """Return why arms have no importances, which need trials; empty where all have them."""
    if not lacking:
        return ""
    counts = set(lacking.values())
    here = named(lacking)
    if len(counts) == 1:
        here = f"{counts.pop()}"
    return f"Parameter importance needs {MIN_TRIALS} completed trials per arm (here: {here})."


def _isolated(run: Run, name: str) -> Plot | None:
    """Return the score against one parameter; None where no trial has both."""
    dims = {arm: run.tuned[arm][name] for arm in run.arms if name in run.tuned.get(arm, {})}
    first = next(iter(dims.values()))
    places = _places(list(dims.values()))
    marks: list[Mark] = []
    for arm in dims:
        rows = run.rows("trial", arm).dropna(subset=["score", name])
        rows = rows[rows["outcome"].isin([Outcome.COMPLETED.value, Outcome.PRUNED.value])]
        if places is not None:
            rows = rows[rows[name].isin(list(places))]
        if len(rows):
            marks.append(_dots(run, arm, name, rows, places))
    if not marks:
        return None
    # The scale is that of the search: names or few numbers, log, or linear.
    axis = Axis()
    if places:
        axis = named_axis(list(map(short, places)))
    elif first["log"]:
        axis = Axis(log=True)
    shown = Figure(marks=marks, x=axis, y=Axis(title=f"val {NAMES[run.score]}, %"), height=190)
    return Plot(figure=shown, title=name)


def _dots(
    run: Run, arm: str, name: str, rows: pd.DataFrame, places: Mapping[Any, int] | None
) -> Dots:
    """Return a dot per trial: hollow where it was stopped early, ringed where it is the default."""
    at = run.arms.index(arm)
    aside = 0.5 * ((at + 0.5) / len(run.arms) - 0.5)  # so that arms do not cover each other
    dots = []
    for row in records(rows):
        value = row[name]
        score = f"{percent(row['score'])}% ({row['outcome']})"
        dot = Dot(
            x=places[value] + aside if places else value,
            y=100 * row["score"],
            said=hover(label(row["trial_id"]), f"{label(name)} {label(short(value))}", score),
            hollow=row["outcome"] == Outcome.PRUNED.value,
            ringed=row["number"] == 0,
        )
        dots.append(dot)
    return Dots(dots=dots, color=color(at), symbol=symbol(at), opacity=0.85)


def _places(dims: Sequence[Mapping[str, Any]]) -> dict[Any, int] | None:
    """Return places of values that have no scale, or few values; None where there is a scale."""
    options: list[Any] = []
    for dim in dims:
        options += dim.get("options", [])
    if not options:
        options = _whole_numbers(dims)
    if not options:
        return None
    return {value: at for at, value in enumerate(dict.fromkeys(options))}


def _whole_numbers(dims: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the whole numbers that these ranges span; none where they are many, or not whole."""
    if not all(isinstance(dim["low"], int) and not dim["log"] for dim in dims):
        return []
    low = min(dim["low"] for dim in dims)
    high = max(dim["high"] for dim in dims)
    if high - low >= FEW:
        return []
    return list(range(low, high + 1))


def _parallel(run: Run, names: Sequence[str], arms: Sequence[str]) -> Plot | None:
    """Return a line per completed trial of these arms, which all tune these names."""
    trials = run.rows("trial", outcome=Outcome.COMPLETED).dropna(subset="score")
    trials = trials[trials["arm"].isin(arms)]
    if len(trials) < 2:
        return None
    # The last axis is the score, from the worst to the best trial.
    scores = {"low": trials["score"].min(), "high": trials["score"].max(), "log": False}
    lines: list[Line] = []
    for arm in arms:
        rows = trials[trials["arm"] == arm].sort_values("score")
        good = rows["score"].quantile(1 - TOP)
        for row in records(rows):
            heights = [_height(row[name], run.tuned[arm][name]) for name in names]
            heights.append(_height(row["score"], scores))
            # The best quarter of the arm in its color.
            good_one = row["score"] >= good
            at = run.arms.index(arm)
            line = Line(
                x=range(len(heights)),
                y=heights,
                color=color(at) if good_one else GREY,
                width=1.5,
                opacity=0.9 if good_one else 0.22,
                symbol=symbol(at) if good_one else "",
                said=_said_of_trial(run, row, names, heights),
            )
            lines.append(line)
    lines.sort(key=lambda line: line.opacity)  # good trials are drawn over the others
    words = [*(WORDS.get(name, name) for name in names), "score"]
    shown = Figure(
        marks=lines,
        x=named_axis(words, room=0.3),
        y=Axis(low=-0.04, high=1.04, bare=True),
        height=260,
    )
    return Plot(figure=shown, title=", ".join(arms))


def _said_of_trial(
    run: Run, row: Mapping[str, Any], names: Sequence[str], heights: Sequence[float | None]
) -> str:
    """Return a trial's name, values and score; values that are off are left out."""
    values = []
    for name, height in zip(names, heights, strict=False):
        if height is not None:
            values.append(f"{label(name)} {label(short(row[name]))}")
    score = f"val {NAMES[run.score]} {percent(row['score'])}%"
    return hover(label(row["trial_id"]), *values, score)


def _height(value: Any, dim: Mapping[str, Any]) -> float | None:
    """Return where in its range a value lies, 0 to 1.

    None where it was switched off, or is another version's.
    """
    if "options" in dim:
        options = dim["options"]
        if value not in options:
            return None
        return round(float(options.index(value) / max(1, len(options) - 1)), 3)
    if not isinstance(value, (int, float)) or not np.isfinite(value) or (dim["log"] and value <= 0):
        return None
    scale = np.log if dim["log"] else float
    width = float(scale(dim["high"]) - scale(dim["low"]))
    if not width:
        return 0.5
    height = float(scale(value) - scale(dim["low"])) / width
    if not -0.01 <= height <= 1.01:
        return None
    return round(height, 3)
