"""The page's tables: arms, contrasts, pairs, defaults, ablations, log loss, where spread comes from, published numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sweeps.records.results import Outcome
from sweeps.records.score import NAMES, headed
from sweeps.report.blocks import Column, Row, Table
from sweeps.report.finalists import Group, mean
from sweeps.report.findings import Findings, difference, interval
from sweeps.report.formats import MISSING, counted, fixed, p_value, percent, points, span, with_span
from sweeps.report.headline import winners_luck
from sweeps.report.runs import number, records
from sweeps.report.variance import Interval, components
from trainables.metrics import TEST_LOSS, TEST_SCORES, VAL_SCORES, Score

SHARES = (*TEST_SCORES.values(), *VAL_SCORES.values())
OUTCOMES = (Outcome.COMPLETED, Outcome.PRUNED, Outcome.DIVERGED, Outcome.FAILED)


def arms_table(findings: Findings) -> Table:
    """A row an arm: its search, its best recipe over the seeds, and what that is on the test split."""
    shown = [
        outcome
        for outcome in (*OUTCOMES, Outcome.INTERRUPTED)
        if outcome in OUTCOMES or _any(findings, outcome)
    ]
    finalists, score = any(group.seeds for group in findings.groups), findings.run.score
    over_seeds = (headed("val", score), "luck", headed("test", score), "test log loss")
    columns = [
        _name("arm"),
        *(Column(str(outcome), "trials of the search") for outcome in shown),
        *(Column(title, "search") for title in ("epochs", "tuned", headed("best val", score))),
        *(Column(title, "best recipe over the seeds") for title in over_seeds if finalists),
        Column("device-hours"),
    ]
    rows = [
        Row(_arm(findings, arm, shown, finalists), strong=_wins(findings, arm))
        for arm in findings.run.arms
    ]
    return Table(columns=columns, rows=rows, caption=_tuned_names(findings))


def contrasts_table(findings: Findings) -> Table | None:
    """The planned contrasts; None where there are none."""
    if findings.planned.empty:
        return None
    more = ("95% interval", "p", "p (Holm)", "detectable, points") if findings.tested else ()
    rows = []
    for row in records(findings.planned):
        tests = (
            span(row["low"], row["high"]),
            p_value(row["p"]),
            p_value(row["p_holm"]),
            percent(row["detectable"]),
        )
        rows.append(
            Row(
                (str(row["name"]), points(row["estimate"]), *(tests if findings.tested else ())),
                strong=bool(row["significant"]),
            )
        )
    caption = (
        f"Test {NAMES[findings.run.score]} over {findings.seeds} seeds; seeds and images are paired. Bold: p under 0.05 "
        f"after Holm's adjustment for {counted(len(rows), 'test')}. Detectable: the smallest true difference that 4 of 5 such "
        "sweeps would have found."
        if findings.tested
        else "Under 3 seeds nothing is tested."
    )
    head = [_name("contrast"), *map(Column, ("difference, points", *more))]
    return Table(columns=head, rows=rows, caption=caption, title="Planned contrasts")


def pairs_table(findings: Findings) -> Table | None:
    """All pairs of arms, the better first; None with one arm."""
    if findings.pairs.empty:
        return None
    rows = []
    for row in records(findings.pairs):
        cells: tuple[str, ...] = (str(row["a"]), str(row["b"]), points(row["difference"]))
        if findings.tested:
            chance = with_span(
                percent(row["superiority"], 0),
                span(row["superiority_low"], row["superiority_high"], 0),
            )
            within = (span(row["low"], row["high"]), span(row["seeds_low"], row["seeds_high"]))
            cells = (*cells, *within, f"{row['wins']:g} of {int(row['n'])}", chance)
        rows.append(Row(cells, strong=bool(row["low"] > 0)))
    more = (
        ("95% interval", "on these images", "better in", "superiority, %")
        if findings.tested
        else ()
    )
    caption = (
        f"Best recipes of two arms on the test split, in points. The first interval is for {findings.scope}, the second "
        "for new seeds on these images. Superiority: the chance that a run of the first arm beats one of the other with the "
        "same seed. Bold: the first interval excludes 0. These are no tests: of many pairs some exclude 0 by chance."
        if findings.tested
        else "Best recipes of two arms on the test split, in points."
    )
    columns = [_name("arm"), _name("less"), *map(Column, ("difference", *more))]
    return Table(
        columns=columns,
        rows=rows,
        caption=caption,
        title="All pairs of arms",
        folded=len(rows) > 15,
    )


def defaults_table(findings: Findings) -> Table | None:
    """What the search brought in each arm: its best recipe less its default, on the same seeds."""
    rows = []
    for arm in findings.run.arms:
        best, default = findings.best.get(arm), findings.default.get(arm)
        if best and default and best.name == default.name:
            rows.append(
                Row(
                    (
                        arm,
                        _test(findings, default),
                        _test(findings, best),
                        "the default is the best",
                    )
                )
            )
        elif best and default:
            rows.append(
                Row(
                    (
                        arm,
                        _test(findings, default),
                        _test(findings, best),
                        _gap(best, default, findings.run.score),
                    )
                )
            )
    if not rows:
        return None
    titles = [headed(f"{which}, test", findings.run.score) for which in ("default", "best")]
    columns = [_name("arm"), *map(Column, (*titles, "best less default, points"))]
    caption = "What tuning brought: the default recipe against the best of the search, on the same seeds and images."
    return Table(columns=columns, rows=rows, caption=caption, title="Default against best")


def ablations_table(findings: Findings) -> Table | None:
    """The champion less itself without one thing."""
    if not findings.ablations or findings.champion is None:
        return None
    champion, score = findings.champion, findings.run.score
    gaps = [(g, _gap(champion, g, score)) for g in findings.ablations]
    rows = [
        Row((f"without {g.without}", _test(findings, g), gap, str(len(g.seeds)))) for g, gap in gaps
    ]
    columns = [
        _name("champion"),
        *map(Column, (headed("test", score), "champion less this, points", "seeds")),
    ]
    caption = (
        f"{champion.name} trained again with one thing off, on the same seeds and images. Above 0: the thing helps. "
        "Effects need not add up."
    )
    first = Row(("as it is", _test(findings, champion), "", str(len(champion.seeds))))
    return Table(
        columns=columns,
        rows=[first, *rows],
        caption=caption,
        title="What the champion owes to each trick",
    )


def losses_table(findings: Findings) -> Table | None:
    """Accuracy, balanced accuracy, macro F1 and log loss beside each other, and who leads by the score and by log loss."""
    score = findings.run.score
    known = {
        arm: group
        for arm, group in findings.best.items()
        if group.test(score) and group.test("loss")
    }
    if not known:
        return None
    shown = [
        metric for metric in TEST_SCORES if any(group.test(metric) for group in known.values())
    ]
    rows = [
        Row((arm, *(with_interval(interval(group, metric)) for metric in shown), _loss(group)))
        for arm, group in known.items()
    ]
    by_score = max(known, key=lambda arm: mean(known[arm].test(score)))
    by_loss = min(known, key=lambda arm: mean(known[arm].test("loss")))
    leads = (
        f"{by_score} leads by {NAMES[score]} and by log loss."
        if by_score == by_loss
        else f"They disagree: {by_score} leads by {NAMES[score]}, {by_loss} by log loss."
    )
    columns = [
        _name("arm"),
        *(Column(f"test {NAMES[metric]}, % (higher is better)") for metric in shown),
        Column("test log loss (lower is better)"),
    ]
    said = [leads] if len(known) > 1 else []
    said.append("Log loss also punishes what is said too surely.")
    if findings.tested and "macro_f1" in shown:
        said.append(
            "Intervals of macro F1, which is no mean over images, are for new seeds on these images."
        )
    return Table(columns=columns, rows=rows, caption=" ".join(said), title="Accuracy and log loss")


def components_table(findings: Findings) -> Table | None:
    """Standard deviations of a test score, by where they come from."""
    score, rows = findings.run.score, []
    if score == "macro_f1":  # which has no images' values
        return None
    for arm, group in findings.best.items():
        images = group.images(score)
        if len(images) >= 2 and min(len(array) for array in images.values()) >= 2:
            parts = components(np.stack(list(images.values())))
            rows.append(
                Row(
                    (
                        arm,
                        *(fixed(100 * sd, 2) for sd in (parts.seed, parts.images, parts.residual)),
                    )
                )
            )
    if not rows:
        return None
    count = next(
        len(array) for group in findings.best.values() for array in group.images(score).values()
    )
    columns = [_name("arm"), *map(Column, ("another seed", "other test images", "both together"))]
    caption = (
        f"Standard deviations, in points, of one run's {NAMES[score]} on {count:,} test images. The training sample is "
        "fixed: how much another one would move the scores is in none of these numbers, and in no interval on this page."
    )
    return Table(
        columns=columns, rows=rows, caption=caption, title="Where a score's spread comes from"
    )


def published_table(findings: Findings) -> Table | None:
    """Numbers of the source texts beside the sweep's own."""
    listed = findings.run.described.get("published")
    rows = []
    for entry in listed if isinstance(listed, list) else []:
        match entry:
            case {
                "arm": str() as arm,
                "value": float() | int() as value,
                "metric": str() as metric,
            }:
                ours = [
                    _own(findings, group, metric)
                    for group in (findings.default.get(arm), findings.best.get(arm))
                ]
                source = entry.get("source")
                text = source if isinstance(source, str) else ""
                shown = percent(value) if metric in SHARES else fixed(number(value), 3)
                rows.append(Row((arm, metric, shown, *ours, text)))
    if not rows:
        return None
    names = [_name("arm"), _name("metric")]
    columns = [*names, *map(Column, ("published", "default here", "best here")), _name("source")]
    caption = "Here: means over seeds. Accuracies in percent, higher is better; of log losses lower is better."
    return Table(columns=columns, rows=rows, caption=caption, title="Published numbers")


def with_interval(whole: Interval | None, digits: int = 1, scale: float = 100) -> str:
    """`77.2 (74.1 to 80.3)`."""
    if whole is None:
        return MISSING
    return with_span(fixed(scale * whole.mean, digits), span(whole.low, whole.high, digits, scale))


def _name(title: str) -> Column:
    return Column(title, number=False)


def _arm(
    findings: Findings, arm: str, shown: Sequence[Outcome], finalists: bool
) -> tuple[str, ...]:
    run, group = findings.run, findings.best.get(arm)
    search, trained = run.rows("trial", arm), run.trials[run.trials["arm"] == arm]
    scores = search[search["outcome"] == Outcome.COMPLETED.value]["score"]
    return (
        arm,
        *(str(int((search["outcome"] == outcome.value).sum())) for outcome in shown),
        f"{int(search['epochs_done'].sum()):,}",
        str(len(run.tuned.get(arm, {}))),
        percent(number(scores.max())),
        *(
            (
                percent(group.score) if group else MISSING,
                _luck(findings, group),
                _test(findings, group),
                _loss(group),
            )
            if finalists
            else ()
        ),
        fixed(number(trained["device_seconds"].sum()) / 3600, 2),
    )


def _luck(findings: Findings, group: Group | None) -> str:
    return points(winners_luck(findings, group)) if group else MISSING


def _any(findings: Findings, outcome: Outcome) -> bool:
    return bool((findings.run.rows("trial")["outcome"] == outcome.value).any())


def _wins(findings: Findings, arm: str) -> bool:
    return findings.champion is not None and findings.champion.arm == arm


def _tuned_names(findings: Findings) -> str:
    """Which names are tuned, said once for the arms that share them."""
    arms: dict[tuple[str, ...], list[str]] = {}
    for arm in findings.run.arms:
        arms.setdefault(tuple(findings.run.tuned.get(arm, {})), []).append(arm)
    said = [f"{', '.join(names)}: {', '.join(tuned) or 'nothing'}" for tuned, names in arms.items()]
    return f"Tuned in {'; in '.join(said)}." if findings.run.arms else ""


def _test(findings: Findings, group: Group | None) -> str:
    return with_interval(interval(group, findings.run.score)) if group else MISSING


def _loss(group: Group | None) -> str:
    return with_interval(interval(group, "loss"), 3, 1) if group else MISSING


def _gap(a: Group, b: Group, score: Score) -> str:
    row: Mapping[str, Any] | None = difference(a, b, score)
    if row:
        return with_span(points(row["difference"]), span(row["low"], row["high"]))
    return points(mean(a.test(score)) - mean(b.test(score)))


def _own(findings: Findings, group: Group | None, metric: str) -> str:
    """The mean of a published metric over a group's seeds, at the epochs of their scores."""
    if group is None:
        return MISSING
    values = {name: with_interval(interval(group, score)) for score, name in TEST_SCORES.items()}
    values |= {
        name: percent(mean([seed.val[name] for seed in group.seeds]))
        for name in VAL_SCORES.values()
    }
    values |= {VAL_SCORES[findings.run.score]: percent(group.score), TEST_LOSS: _loss(group)}
    return values.get(metric, MISSING)
