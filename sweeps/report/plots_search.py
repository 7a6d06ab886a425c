"""Figures of the search: what each tuned parameter did, what trials had in common, and what more of them would bring."""

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
from sweeps.report.formats import WORDS, counted, percent, short
from sweeps.report.runs import Run, records
from sweeps.report.search_effects import MIN_TRIALS, expected_best, importance
from trainables.metrics import EPOCH, VAL_SCORES

FEW = 12  # whole numbers in a range up to which each has its own place
TOP = 0.25  # share of an arm's trials that parallel coordinates show in color


def isolation(run: Run) -> Block:
    """Score against each tuned parameter, one small figure a parameter."""
    names = list(dict.fromkeys(name for arm in run.arms for name in run.tuned.get(arm, {})))
    plots = [
        plot for at, name in enumerate(names) if (plot := _isolated(run, name, f"isolation-{at}"))
    ]
    if not plots:
        return Text("Score against parameters: no trial with a score has tuned anything yet.")
    caption = (
        f"Best val {NAMES[run.score]} of each trial against one parameter, all others varying. Filled: completed; hollow: "
        "stopped early, so that its score is not final; ringed: the arm's default. Look for a slope, and for the best lying at "
        "an end of a range."
    )
    return Plots(plots, caption, "Score against each tuned parameter", legend(run.arms))


def parallel(run: Run) -> Block:
    """All parameters of each trial as one line; a figure for the arms that tune the same."""
    sets: dict[tuple[str, ...], list[str]] = {}
    for arm in run.arms:
        if len(run.tuned.get(arm, {})) >= 2:
            sets.setdefault(tuple(run.tuned[arm]), []).append(arm)
    plots = [
        plot
        for at, (names, arms) in enumerate(sets.items())
        if (plot := _parallel(run, names, arms, f"parallel-{at}"))
    ]
    if not plots:
        return Text(
            "Parallel coordinates: no two trials of an arm that tunes two or more parameters have completed."
        )
    caption = (
        "A line a completed trial, from its parameters to its score, each axis from the low to the high end of its range. In "
        "color: the best quarter of each arm. Where colored lines meet, good trials agree; where they spread, the value "
        "hardly matters."
    )
    return Plots(plots, caption, "What good trials have in common", legend(run.arms))


def schedulers(run: Run) -> Block:
    """Mean learning curve by scheduler, over completed trials of the search."""
    rows = run.rows("trial", outcome=Outcome.COMPLETED)
    names = rows["scheduler"].dropna().unique().tolist()
    metric = VAL_SCORES[run.score]
    if len(names) < 2 or metric not in run.epochs:
        return Text("Curves by scheduler: fewer than two schedulers have completed trials.")
    data: list[Trace] = []
    for at, scheduler in enumerate(names):
        chosen = rows[rows["scheduler"] == scheduler]["trial_id"]
        curves = run.epochs[run.epochs["trial_id"].isin(chosen)].pivot_table(
            index=EPOCH, columns="trial_id", values=metric
        )
        mean, spread = 100 * curves.mean(axis=1), 100 * curves.std(axis=1).fillna(0)
        epochs = curves.index.tolist()
        around = [*rounded((mean + spread).tolist()), *rounded((mean - spread).tolist())[::-1]]
        band = {
            "fill": "toself",
            "fillcolor": f"{color(at)}22",
            "line": {"width": 0},
            "hoverinfo": "skip",
            "mode": "lines",
        }
        data.append({"type": "scatter", "x": [*epochs, *epochs[::-1]], "y": around, **band})
        said = [
            hover(label(scheduler), f"epoch {e}: {m:.1f}%", counted(len(chosen), "trial"))
            for e, m in zip(epochs, mean, strict=True)
        ]
        data.append(line(epochs, rounded(mean.tolist()), color(at), text=said))
    shown = figure(data, "epoch", f"val {NAMES[run.score]}, %")
    caption = (
        f"Mean val {NAMES[run.score]} by epoch over the completed trials with each scheduler; the band is one standard "
        "deviation. Other parameters differ too, and arms that fix their scheduler are in one curve only: a hint, not a "
        "comparison."
    )
    return Plot(
        name="schedulers",
        figure=shown,
        caption=caption,
        title="Curves by scheduler",
        legend=legend([str(s) for s in names]),
    )


def more_trials(run: Run) -> Block:
    """Expected best score against the number of random trials."""
    drawn, data, known = (
        run.history.start_up_trials,
        [],
        run.rows("trial", outcome=Outcome.COMPLETED).set_index("trial_id")["score"],
    )
    for at, arm in enumerate(run.arms):
        scores = [
            float(known[name])
            for name in drawn.get(arm, [])
            if name in known.index and known[name] == known[name]
        ]
        if len(scores) >= 2:
            best = expected_best(scores)
            said = [
                hover(label(arm), f"best of {k}: {percent(value)}%")
                for k, value in enumerate(best, 1)
            ]
            trace = line(
                range(1, len(best) + 1),
                rounded([100 * value for value in best]),
                color(at),
                text=said,
            )
            data.append(
                {**trace, "mode": "lines+markers", "marker": {"size": 6, "symbol": symbol(at)}}
            )
    if not data:
        return Text(
            "Expected best score by number of trials: no arm has two completed trials that were drawn at random."
        )
    shown = figure(
        data, "random trials", f"expected best val {NAMES[run.score]}, %", xaxis={"dtick": 1}
    )
    caption = (
        "What the best of so many trials would score on average, if all were drawn at random; only an arm's random first "
        "trials count. A curve that still climbs at its end asks for more trials; val scores of the best are lucky in any "
        "case."
    )
    return Plot(
        name="more-trials",
        figure=shown,
        caption=caption,
        title="What more trials would bring",
        legend=legend(run.arms),
    )


def importances(run: Run) -> Block:
    """How much of the difference between good and other trials each parameter explains, where there are trials enough."""
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
        names, values = list(shares)[::-1], list(shares.values())[::-1]
        said = [
            hover(label(name), f"{percent(value, 0)}%")
            for name, value in zip(names, values, strict=True)
        ]
        bar: Trace = {
            "type": "bar",
            "orientation": "h",
            "x": rounded([100 * v for v in values]),
            "y": [label(n) for n in names],
        }
        bar |= {
            "marker": {"color": color(at)},
            "text": said,
            "hovertemplate": "%{text}<extra></extra>",
            "textposition": "none",
        }
        plots.append(
            Plot(name=f"importance-{at}", figure=figure([bar], "%", "", height=240), title=arm)
        )
    have = ", ".join(f"{arm} has {count}" for arm, count in lacking.items())
    same = len(set(lacking.values())) == 1 and len(lacking) > 1
    had = (
        f"each of these arms has {next(iter(lacking.values()))}: {', '.join(lacking)}"
        if same
        else have
    )
    few = (
        f"Importance of parameters: {MIN_TRIALS} completed trials of an arm are needed, but {had}."
        if lacking
        else ""
    )
    if not plots:
        return Text(few or "Importance of parameters: nothing is tuned.")
    caption = "Which parameters decide whether a trial is among its arm's best tenth (PED-ANOVA), as shares of 100%."
    return Plots(plots, f"{caption} {few}".strip(), "Importance of parameters")


def _isolated(run: Run, name: str, plot: str) -> Plot | None:
    dims = [(arm, run.tuned[arm][name]) for arm in run.arms if name in run.tuned.get(arm, {})]
    places = _places([dim for _, dim in dims])
    data: list[Trace] = []
    for arm, dim in dims:
        rows = run.rows("trial", arm).dropna(subset=["score", name])
        rows = rows[rows["outcome"].isin([Outcome.COMPLETED.value, Outcome.PRUNED.value])]
        if places is not None:
            rows = rows[rows[name].isin(list(places))]
        if len(rows):
            data.append(_dots(run, arm, name, dim, rows, places))
    if not data:
        return None
    axis: dict[str, Any] = (
        ticks(list(map(short, places)))
        if places
        else {"type": "log" if dims[0][1]["log"] else "linear"}
    )
    if places is None and dims[0][1]["log"]:
        axis |= {"dtick": 1, "exponentformat": "e"}
    shown = figure(data, "", f"val {NAMES[run.score]}, %", height=250, xaxis=axis)
    return Plot(name=plot, figure=shown, title=name)


def _dots(
    run: Run,
    arm: str,
    name: str,
    dim: Mapping[str, Any],
    rows: pd.DataFrame,
    places: Mapping[Any, int] | None,
) -> Trace:
    at = run.arms.index(arm)
    aside = 0.5 * ((at + 0.5) / len(run.arms) - 0.5)  # so that arms do not cover each other
    x = (
        [places[value] + aside for value in rows[name]]
        if places
        else [float(f"{value:.3g}") for value in rows[name]]
    )
    hollow = "-open"
    symbols = [
        symbol(at) + (hollow if outcome == Outcome.PRUNED.value else "")
        for outcome in rows["outcome"]
    ]
    rings = [2.5 if number == 0 else 0.6 for number in rows["number"]]
    sizes = [10 if number == 0 else 7 for number in rows["number"]]
    marker = {
        "color": color(at),
        "size": sizes,
        "symbol": symbols,
        "line": {"width": rings, "color": GREY},
        "opacity": 0.85,
    }
    said = [
        hover(
            label(row["trial_id"]),
            f"{label(name)} {label(short(row[name]))}",
            f"{percent(row['score'])}% ({row['outcome']})",
        )
        for row in records(rows)
    ]
    return points(x, rounded((100 * rows["score"]).tolist()), said, marker)


def _places(dims: Sequence[Mapping[str, Any]]) -> dict[Any, int] | None:
    """Places of values that have no scale, or few values; None where there is one."""
    if any("options" in dim for dim in dims):
        return {
            value: at
            for at, value in enumerate(
                dict.fromkeys(value for dim in dims for value in dim.get("options", []))
            )
        }
    low, high = min(dim["low"] for dim in dims), max(dim["high"] for dim in dims)
    whole = all(isinstance(dim["low"], int) and not dim["log"] for dim in dims)
    return (
        {value: value - low for value in range(low, high + 1)}
        if whole and high - low < FEW
        else None
    )


def _parallel(run: Run, names: Sequence[str], arms: Sequence[str], plot: str) -> Plot | None:
    data: list[Trace] = []
    everyone = run.rows("trial", outcome=Outcome.COMPLETED).dropna(subset="score")
    everyone = everyone[everyone["arm"].isin(arms)]
    if len(everyone) < 2:
        return None
    low, high = everyone["score"].min(), everyone["score"].max()
    for arm in arms:
        rows, at = everyone[everyone["arm"] == arm].sort_values("score"), run.arms.index(arm)
        good = rows["score"].quantile(1 - TOP) if len(rows) else 1.0
        for row in records(rows):
            y = [_height(row[name], run.tuned[arm][name]) for name in names]
            y.append((row["score"] - low) / (high - low) if high > low else 0.5)
            values = [
                f"{label(name)} {label(short(row[name]))}"
                for name, at_y in zip(names, y, strict=False)
                if at_y is not None
            ]
            said = hover(
                label(row["trial_id"]), *values, f"val {NAMES[run.score]} {percent(row['score'])}%"
            )
            strong = row["score"] >= good
            trace = line(
                range(len(y)),
                [None if v is None else round(v, 3) for v in y],
                color(at) if strong else GREY,
                width=1.5,
            )
            data.append(
                {
                    **trace,
                    "opacity": 0.9 if strong else 0.22,
                    "text": said,
                    "hovertemplate": "%{text}<extra></extra>",
                }
            )
            del data[-1]["hoverinfo"]
    data.sort(key=lambda trace: trace["opacity"])
    axis = {**ticks([*(WORDS.get(name, name) for name in names), "score"]), "tickangle": -40}
    shown = figure(
        data, "", "", height=360, xaxis=axis, yaxis={"visible": False, "range": [-0.04, 1.04]}
    )
    return Plot(name=plot, figure=shown, title=", ".join(arms))


def _height(value: Any, dim: Mapping[str, Any]) -> float | None:
    """Where in its range a value lies, 0 to 1; None where it was switched off, or is another version's."""
    if "options" in dim:
        options = dim["options"]
        return options.index(value) / max(1, len(options) - 1) if value in options else None
    if not isinstance(value, (int, float)) or not np.isfinite(value) or (dim["log"] and value <= 0):
        return None
    scale = np.log if dim["log"] else float
    width = float(scale(dim["high"]) - scale(dim["low"]))
    height = float(scale(value) - scale(dim["low"])) / width if width else 0.5
    return height if -0.01 <= height <= 1.01 else None
