"""Two sweeps side by side: what differs between them, and what it made of the arms' test scores."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from sweeps.records.score import NAMES, headed
from sweeps.report.blocks import (
    Block,
    Page,
    Plot,
    Row,
    Section,
    Table,
    Text,
    number_columns,
    text_columns,
)
from sweeps.report.figures import (
    Axis,
    Dot,
    Dots,
    Figure,
    color,
    hover,
    in_percent,
    label,
    legend,
    named_axis,
    symbol,
)
from sweeps.report.finalists import Group
from sweeps.report.findings import Difference, Findings, difference, interval
from sweeps.report.formats import MISSING, named, percent, span, with_span
from sweeps.report.formats import points as in_points
from sweeps.report.headline import champion_recipe
from sweeps.report.page import rendered
from sweeps.report.runs import Run, whole_numbers
from sweeps.report.tables import with_interval
from sweeps.report.variance import Interval
from trainables.files import write_whole
from trainables.metrics import Score
from trainables.problems import counted

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
    """Return what the page of two sweeps holds."""
    names = f"{a.run.name} against {b.run.name}"
    plot = _plot(a, b)
    pictured = [Section("figure", "The arms on the test split", [plot])] if plot else []
    answer, *lines = headline(a, b)
    return Page(
        title=names,
        question=f"{a.run.text('question') or 'Two sweeps'} ({names})",
        answer=answer,
        banner=[],
        lines=lines,
        recipe="",
        cautions=cautions(a, b),
        sections=[
            Section("arms", "", [arms_table(a, b)]),
            *pictured,
            Section("champions", "Champions", [_champions(a, b)]),
            Section("changes", "What differs between the two", [_changes(a.run, b.run)]),
        ],
        footer=f"Rebuild this page with: dvt report {a.run.name} {b.run.name}",
    )


def headline(a: Findings, b: Findings) -> list[str]:
    """Return whether arms changed, and which, in two sentences."""
    score = common_score(a, b)
    paired = _paired(a, b)
    # Arms that were tested in both sweeps.
    gaps: dict[str, Difference] = {}
    for arm in _arms(a, b):
        gap = _gap(a.arms.get(arm), b.arms.get(arm), score, paired=paired)
        if gap:
            gaps[arm] = gap
    if not gaps:
        return [
            "No arm has finalists in both sweeps: there is nothing to compare on the test split."
        ]
    if any(math.isnan(gap.low) for gap in gaps.values()):
        arms = counted(len(gaps), "arm")
        return [f"{arms} can be compared, but there are too few seeds for intervals."]

    # Only arms whose interval excludes 0 are named.
    told = []
    for arm, gap in gaps.items():
        if _clear(gap):
            told.append(f"{arm} {in_points(gap.value)} points ({span(gap.low, gap.high)})")
    how = "paired by seed and image" if paired else "not paired"
    common = counted(len(gaps), "common arm")
    if not told:
        first = f"No arm's test {NAMES[score]} differs beyond its 95% interval."
        return [first, f"Compared: {common}, {how}."]
    return [
        f"{a.run.name} and {b.run.name} differ in {len(told)} of {common} beyond the 95% interval.",
        f"{b.run.name} minus {a.run.name}, {how}: {'; '.join(told)}.",
    ]


def cautions(a: Findings, b: Findings) -> list[str]:
    """Return why numbers of the two cannot be set against each other, if so."""
    runs = (a.run, b.run)
    lines = []

    # Other data: nothing can be compared.
    one = a.run.part("data")
    other = b.run.part("data")
    if one.get("digest") != other.get("digest"):
        lines.append(
            f"The data or their splits differ, {_data(a.run)} and {_data(b.run)}: accuracies "
            "cannot be compared."
        )
    if one.get("classes") != other.get("classes"):
        lines.append("The classes differ: accuracies cannot be compared.")

    # The same data, but less can be said of them.
    if not lines and not _same_seeds(a.run, b.run):
        lines.append(
            "The finalists' seeds differ: differences are not paired, so their intervals are wider "
            "than they need to be."
        )
    if a.run.score != b.run.score:
        said = " and ".join(f"{run.name} by {NAMES[run.score]}" for run in runs)
        lines.append(
            f"The sweeps were decided by different metrics, {said}: they are compared by "
            f"{NAMES[common_score(a, b)]}."
        )
    lines += [f"{run.name} is {run.state}." for run in runs if run.state != "finished"]
    return lines


def arms_table(a: Findings, b: Findings) -> Table:
    """Return each arm on the test split in both sweeps."""
    paired = _paired(a, b)
    score = common_score(a, b)
    # A row per arm of either sweep; bold where the interval excludes 0.
    rows = []
    for arm in _arms(a, b):
        one = a.arms.get(arm)
        other = b.arms.get(arm)
        gap = _gap(one, other, score, paired=paired)
        told = MISSING
        if gap:
            told = with_span(in_points(gap.value), span(gap.low, gap.high))
        tests = (_test(one, score), _test(other, score))
        rows.append(Row((arm, *tests, told), strong=gap is not None and _clear(gap)))

    # Groups of two columns, one per sweep, with the difference between them.
    sweeps = (a.run.name, b.run.name)
    columns = [
        *text_columns(["arm"]),
        *number_columns(sweeps, f"test {NAMES[score]}, %"),
        *number_columns(["second − first, points"]),
    ]
    how = "of independent means (Welch)"
    if paired:
        how = "paired by seed and image"
    caption = (
        f"Means over seeds with 95% intervals; differences are {how}. Bold: the interval of the "
        "difference excludes 0."
    )
    return Table(columns=columns, rows=rows, caption=caption, name="Arms of both sweeps")


def common_score(a: Findings, b: Findings) -> Score:
    """Return what both are compared by: the metric that decided in both.

    Else accuracy, which every sweep has.
    """
    return a.run.score if a.run.score == b.run.score else "accuracy"


def differences(a: Any, b: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield names, and both values, of all that is not equal in two nested objects."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            if key not in UNTOLD:
                yield from differences(a.get(key), b.get(key), f"{name} {key}".strip())
    elif a != b:
        yield name, _plain(a), _plain(b)


def _arms(a: Findings, b: Findings) -> list[str]:
    return list(dict.fromkeys([*a.run.arms, *b.run.arms]))


def _data(run: Run) -> str:
    """Return `cifar10 (12ab…)`."""
    digest = run.text("data", "digest") or "no digest"
    return f"{run.text('data', 'name') or 'data'} ({digest})"


def _clear(gap: Difference) -> bool:
    """Return whether the interval of a difference excludes 0."""
    return gap.low > 0 or gap.high < 0


def _test(group: Group | None, score: Score) -> str:
    return with_interval(interval(group, score)) if group else MISSING


def _paired(a: Findings, b: Findings) -> bool:
    """Return whether a seed and a test image of one are the same in the other."""
    one = a.run.part("data")
    other = b.run.part("data")
    for name in ("digest", "classes"):
        if one.get(name) != other.get(name):
            return False
    if not one.get("digest"):
        return False
    if not _same_seeds(a.run, b.run):
        return False

    # The labels of the test images, in order, of every seed whose predictions are there.
    labels = []
    for group in (*a.groups, *b.groups):
        labels += [seed.labels for seed in group.predicted]
    return all(np.array_equal(labels[0], others) for others in labels[1:])


def _same_seeds(a: Run, b: Run) -> bool:
    """Return whether the seeds of one begin those of the other, which may have had more."""
    one = whole_numbers(a.described.get("finalist_seeds"))
    other = whole_numbers(b.described.get("finalist_seeds"))
    common = min(len(one), len(other))
    return bool(common) and one[:common] == other[:common]


def _gap(
    one: Group | None, other: Group | None, score: Score, *, paired: bool
) -> Difference | None:
    """Return second minus first; None where one was not tested."""
    if one is None or other is None:
        return None
    if paired:
        by_image = difference(other, one, score)
        if by_image:
            return by_image
    first = interval(one, score)
    second = interval(other, score)
    if first is None or second is None:
        return None
    return _welch(second, first)


def _welch(one: Interval, other: Interval) -> Difference:
    """Return the difference of independent means, with Welch's interval.

    Its degrees of freedom are Satterthwaite's (Welch 1947).
    """
    gap = one.mean - other.mean
    if one.se is None or other.se is None or one.df is None or other.df is None:
        return Difference(gap)
    # Equal means without any spread differ by exactly 0.
    variances = (one.se**2, other.se**2)
    if not sum(variances):
        return Difference(gap, gap, gap)
    df = sum(variances) ** 2 / (variances[0] ** 2 / one.df + variances[1] ** 2 / other.df)
    half = float(special.stdtrit(df, 0.975)) * math.sqrt(sum(variances))
    return Difference(gap, gap - half, gap + half)


def _champions(a: Findings, b: Findings) -> Table:
    score = common_score(a, b)
    rows = []
    for findings in (a, b):
        champion = findings.champion
        val = percent(champion.score) if champion else MISSING
        recipe = champion_recipe(findings) or MISSING
        rows.append(Row((findings.run.name, val, _test(champion, score), recipe)))
    val = headed("val", score) if a.run.score == b.run.score else "val %, by its own metric"
    columns = [
        *text_columns(["sweep"]),
        *number_columns([val, headed("test", score)]),
        *text_columns(["recipe"]),
    ]
    return Table(columns=columns, rows=rows)


def _changes(a: Run, b: Run) -> Block:
    rows = []
    for name in (*SETTINGS, *MADE_OF):
        one = _keyed(a.described.get(name))
        other = _keyed(b.described.get(name))
        rows += [Row(changed) for changed in differences(one, other, name)]
    if not rows:
        return Text(
            "Nothing that is recorded: settings, data, weights, code, versions and machine are the "
            "same."
        )
    return Table(columns=text_columns(["what", a.name, b.name]), rows=rows)


def _keyed(value: Any) -> Any:
    """Return weights by what they are, so that they can be told apart."""
    if not isinstance(value, list) or not value:
        return value
    if not all(isinstance(entry, dict) for entry in value):
        return value
    keyed = {}
    for entry in value:
        keyed[f"{entry.get('weights', '')} {entry.get('backbone', '')}"] = entry
    return keyed


def _plain(value: Any) -> str:
    if value is None:
        return MISSING
    if isinstance(value, Mapping):
        return named({name: _plain(inner) for name, inner in value.items()})
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return str(value)


def _plot(a: Findings, b: Findings) -> Plot | None:
    """Return the arms with their intervals, a color per sweep, a row per arm."""
    score = common_score(a, b)
    names = [arm for arm in _arms(a, b) if arm in a.arms or arm in b.arms][::-1]
    marks = []
    for at, findings in enumerate((a, b)):
        dots = []
        for place, arm in enumerate(names):
            group = findings.arms.get(arm)
            if group is None:
                continue
            whole = interval(group, score)
            if whole is None:
                continue
            said = hover(label(findings.run.name), label(arm), f"{with_interval(whole)}%")
            y = place + 0.12 - 0.24 * at  # the first sweep above, the second below the arm's line
            dots.append(Dot(x=100 * whole.mean, y=y, said=said, between=in_percent(whole)))
        if dots:
            marks.append(Dots(dots=dots, color=color(at), symbol=symbol(at), size=10))
    if not marks:
        return None
    shown = Figure(
        marks=marks,
        x=Axis(title=f"test {NAMES[score]}, %"),
        y=named_axis(names),
        height=20 + 46 * len(names),
    )
    return Plot(
        figure=shown,
        caption="Each arm by its best recipes in turn: mean over seeds with its 95% interval.",
        legend=legend([a.run.name, b.run.name]),
    )
