"""Two sweeps side by side: what differs between them, and what that made of each arm's score on test."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from sweeps.records.score import NAMES, headed
from sweeps.report.blocks import Block, Column, Page, Plot, Row, Section, Table, Text
from sweeps.report.figures import Trace, color, figure, hover, label, legend, points, ticks
from sweeps.report.finalists import Group
from sweeps.report.findings import Findings, difference, interval
from sweeps.report.formats import MISSING, counted, fixed, percent, span, with_span
from sweeps.report.formats import points as in_points
from sweeps.report.headline import recipe_line
from sweeps.report.page import rendered
from sweeps.report.runs import Run
from sweeps.report.tables import with_interval
from sweeps.report.variance import Interval
from trainables.files import write_whole
from trainables.metrics import Score

SETTINGS = (
    "study",
    "preset",
    "seed",
    "trials_per_arm",
    "finalist_seeds",
    "options",
    "definition",
    "compute",
    "slots",
)
MADE_OF = ("data", "weights", "code", "versions", "machine")
UNTOLD = ("path", "file", "tracking_uri")  # places, which say nothing of the numbers


def write_comparison(a: Findings, b: Findings) -> Path:
    """Write `compare-<name of b>.html` into the folder of a.

    Raises:
        OSError: The folder cannot be written.
    """
    return write_whole(a.run.folder / f"compare-{b.run.name}.html", rendered(comparison_page(a, b)))


def comparison_page(a: Findings, b: Findings) -> Page:
    """What the page of two sweeps holds."""
    names = f"{a.run.name} against {b.run.name}"
    blocks: list[Block] = [arms_table(a, b)]
    if plot := _plot(a, b):
        blocks.append(plot)
    return Page(
        title=names,
        question=f"{a.run.text('question') or 'Two sweeps'} ({names})",
        banner=[],
        headline=answer(a, b),
        recipe="",
        cautions=cautions(a, b),
        sections=[
            Section("arms", "", blocks),
            Section("champions", "Champions", [_champions(a, b)]),
            Section("changes", "What differs between the two", [_changes(a.run, b.run)]),
        ],
        footer=f"Rebuild this page with: dvt report {a.run.name} {b.run.name}",
    )


def answer(a: Findings, b: Findings) -> list[str]:
    """Which arms changed, in two sentences."""
    score = common_score(a, b)
    gaps = {
        arm: gap
        for arm in _arms(a, b)
        if (gap := _gap(a.best.get(arm), b.best.get(arm), score, paired=_paired(a, b)))
    }
    if not gaps:
        return [
            "No arm has finalists in both sweeps: there is nothing to compare on the test split."
        ]
    clear = [arm for arm, (_, low, high) in gaps.items() if low > 0 or high < 0]
    how = "paired by seed and image" if _paired(a, b) else "not paired"
    told = [f"{arm} {in_points(gaps[arm][0])} points ({span(*gaps[arm][1:])})" for arm in clear]
    if any(math.isnan(low) for _, low, _ in gaps.values()):
        return [
            f"{counted(len(gaps), 'arm')} can be compared, but there are too few seeds for intervals."
        ]
    first = (
        f"{b.run.name} less {a.run.name}: {'; '.join(told)}."
        if told
        else f"No arm's test {NAMES[score]} differs beyond its interval."
    )
    return [
        first,
        f"Differences beyond the 95% interval: {len(clear)} of {counted(len(gaps), 'common arm')} ({how}).",
    ]


def cautions(a: Findings, b: Findings) -> list[str]:
    """Why numbers of the two cannot be set against each other, if so."""
    lines = []
    one, other = a.run.part("data"), b.run.part("data")
    if one.get("digest") != other.get("digest"):
        names = [
            f"{run.text('data', 'name') or 'data'} ({run.text('data', 'digest') or 'no digest'})"
            for run in (a.run, b.run)
        ]
        lines.append(
            f"The data or their splits differ, {names[0]} and {names[1]}: accuracies cannot be compared."
        )
    if one.get("classes") != other.get("classes"):
        lines.append("The classes differ: accuracies cannot be compared.")
    seeds = [run.described.get("finalist_seeds") for run in (a.run, b.run)]
    if not lines and seeds[0] != seeds[1]:
        lines.append(
            "The finalists' seeds differ: differences are not paired, and their intervals wider than they need be."
        )
    if a.run.score != b.run.score:
        said = " and ".join(f"{run.name} by {NAMES[run.score]}" for run in (a.run, b.run))
        lines.append(
            f"The sweeps were decided by other metrics, {said}: they are compared by {NAMES[common_score(a, b)]}."
        )
    lines += [f"{run.name} is {run.state}." for run in (a.run, b.run) if run.state != "finished"]
    return lines


def arms_table(a: Findings, b: Findings) -> Table:
    """Each arm's best recipe on the test split in both sweeps."""
    paired, score, rows = _paired(a, b), common_score(a, b), []
    for arm in _arms(a, b):
        one, other = a.best.get(arm), b.best.get(arm)
        gap = _gap(one, other, score, paired=paired)
        told = with_span(in_points(gap[0]), span(gap[1], gap[2])) if gap else MISSING
        tests = [
            with_interval(interval(group, score)) if group else MISSING for group in (one, other)
        ]
        strong = gap is not None and (gap[1] > 0 or gap[2] < 0)
        rows.append(
            Row(
                (arm, *tests, told, *(group.name if group else MISSING for group in (one, other))),
                strong=strong,
            )
        )
    names = (a.run.name, b.run.name)
    columns = [
        Column("arm", number=False),
        *(Column(name, f"test {NAMES[score]} of the best recipe, %") for name in names),
        Column("second less first, points"),
        *(Column(name, "best recipe", number=False) for name in names),
    ]
    how = "paired by seed and image" if paired else "of independent means (Welch)"
    caption = f"Means over seeds with 95% intervals; differences are {how}. Bold: the interval of the difference excludes 0."
    return Table(columns=columns, rows=rows, caption=caption)


def common_score(a: Findings, b: Findings) -> Score:
    """What both are compared by: the metric that decided in both, else accuracy, which every sweep has."""
    return a.run.score if a.run.score == b.run.score else "accuracy"


def differences(a: Any, b: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Names, and both values, of all that is not equal in two nested objects."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            if key not in UNTOLD:
                yield from differences(a.get(key), b.get(key), f"{name} {key}".strip())
    elif a != b:
        yield name, _plain(a), _plain(b)


def _arms(a: Findings, b: Findings) -> list[str]:
    return list(dict.fromkeys([*a.run.arms, *b.run.arms]))


def _paired(a: Findings, b: Findings) -> bool:
    """Whether a seed and a test image of one are the same in the other."""
    one, other = a.run.part("data"), b.run.part("data")
    same = bool(one.get("digest")) and all(
        one.get(name) == other.get(name) for name in ("digest", "classes")
    )
    groups = [group for findings in (a, b) for group in findings.groups]
    labels = [seed.labels for group in groups for seed in group.seeds if len(seed.labels)]
    seeds = a.run.described.get("finalist_seeds") == b.run.described.get("finalist_seeds")
    return same and seeds and all(np.array_equal(labels[0], others) for others in labels[1:])


def _gap(
    one: Group | None, other: Group | None, score: Score, *, paired: bool
) -> tuple[float, float, float] | None:
    """Second less first, with its interval, NaN where there are too few seeds; None where one was not tested."""
    if one is None or other is None:
        return None
    row = difference(other, one, score) if paired else None
    if row:
        return row["difference"], row["low"], row["high"]
    first, second = interval(one, score), interval(other, score)
    return _welch(second, first) if first and second else None


def _welch(one: Interval, other: Interval) -> tuple[float, float, float]:
    """Difference of independent means: Welch's interval with Satterthwaite's degrees of freedom (Welch 1947)."""
    gap = one.mean - other.mean
    if one.se is None or other.se is None or one.df is None or other.df is None:
        return gap, math.nan, math.nan
    variances = (one.se**2, other.se**2)
    if not sum(variances):
        return gap, gap, gap
    df = sum(variances) ** 2 / (variances[0] ** 2 / one.df + variances[1] ** 2 / other.df)
    half = float(special.stdtrit(df, 0.975)) * math.sqrt(sum(variances))
    return gap, gap - half, gap + half


def _champions(a: Findings, b: Findings) -> Table:
    score, rows = common_score(a, b), []
    for findings in (a, b):
        whole = interval(findings.champion, score) if findings.champion else None
        val = percent(findings.champion.score) if findings.champion else MISSING
        rows.append(
            Row(
                (
                    findings.run.name,
                    val,
                    with_interval(whole),
                    recipe_line(findings).removeprefix("Champion: ") or MISSING,
                )
            )
        )
    val = headed("val", score) if a.run.score == b.run.score else "val %, by its own metric"
    columns = [
        Column("sweep", number=False),
        *map(Column, (val, headed("test", score))),
        Column("recipe", number=False),
    ]
    return Table(columns=columns, rows=rows)


def _changes(a: Run, b: Run) -> Block:
    rows = []
    for name in (*SETTINGS, *MADE_OF):
        one, other = _keyed(a.described.get(name)), _keyed(b.described.get(name))
        rows += [Row(changed) for changed in differences(one, other, name)]
    if not rows:
        return Text(
            "Nothing that is recorded: settings, data, weights, code, versions and machine are the same."
        )
    return Table(
        columns=[Column(name, number=False) for name in ("what", a.name, b.name)], rows=rows
    )


def _keyed(value: Any) -> Any:
    """Weights by what they are, so that they can be told apart."""
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        return {
            " ".join(str(entry.get(name, "")) for name in ("weights", "backbone")): entry
            for entry in value
        }
    return value


def _plain(value: Any) -> str:
    if value is None:
        return MISSING
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)


def _plot(a: Findings, b: Findings) -> Plot | None:
    names = [arm for arm in _arms(a, b) if arm in a.best or arm in b.best][::-1]
    data: list[Trace] = []
    score = common_score(a, b)
    for at, findings in enumerate((a, b)):
        for place, arm in enumerate(names):
            whole = interval(findings.best[arm], score) if arm in findings.best else None
            if whole is None:
                continue
            said = hover(label(findings.run.name), label(arm), f"{with_interval(whole)}%")
            trace = points(
                [round(100 * whole.mean, 2)],
                [place + 0.12 - 0.24 * at],
                [said],
                {"color": color(at), "size": 9},
            )
            if whole.low is not None and whole.high is not None:
                half = float(fixed(50 * (whole.high - whole.low), 2))
                trace["error_x"] = {
                    "type": "data",
                    "array": [half],
                    "color": color(at),
                    "thickness": 1.6,
                    "width": 5,
                }
            data.append(trace)
    if not data:
        return None
    axis = {"range": [-0.6, len(names) - 0.4], "showgrid": False, **ticks(names)}
    shown = figure(data, f"test {NAMES[score]}, %", "", height=110 + 46 * len(names), yaxis=axis)
    caption = "Best recipe of each arm, mean over seeds with its 95% interval."
    return Plot(
        name="compare", figure=shown, caption=caption, legend=legend([a.run.name, b.run.name])
    )
