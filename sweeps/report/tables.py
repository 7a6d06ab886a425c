"""The page's tables: arms, comparisons, pairs, defaults, ablations, losses, spread, published."""

from __future__ import annotations

from collections.abc import Sequence

from sweeps.records.design import MIN_SEEDS
from sweeps.records.results import Outcome
from sweeps.records.score import NAMES, headed
from sweeps.report.blocks import Row, Table, number_columns, text_columns
from sweeps.report.finalists import Group, mean
from sweeps.report.findings import Findings, gap, interval
from sweeps.report.formats import (
    MISSING,
    fixed,
    p_value,
    percent,
    points,
    seeds,
    span,
    with_span,
)
from sweeps.report.headline import overstatement
from sweeps.report.runs import number, records
from sweeps.report.variance import Interval
from sweeps.report.verdicts import Kind
from sweeps.report.ways import advice
from trainables.metrics import TEST_LOSS, TEST_SCORES, VAL_SCORES, Score

SHARES = (*TEST_SCORES.values(), *VAL_SCORES.values())
OUTCOMES = (Outcome.COMPLETED, Outcome.PRUNED, Outcome.DIVERGED, Outcome.FAILED)
FOLDED_FROM = 16  # pairs
OVERSTATED = "overstated by"  # column: the search's best score minus that of the retrained recipe


def arms_table(findings: Findings) -> Table:
    """Return a row per arm: its search, its best recipes retrained, and those on the test split."""
    score = findings.run.score
    shown = list(OUTCOMES)
    if (findings.run.rows("trial")["outcome"] == Outcome.INTERRUPTED.value).any():
        shown.append(Outcome.INTERRUPTED)
    searched = (*map(str, shown), "epochs", "tuned", headed("best val", score))
    retrained: tuple[str, ...] = ()
    if any(group.seeds for group in findings.groups):
        retrained = (headed("val", score), OVERSTATED, headed("test", score), "test log loss")
    columns = [
        *text_columns(["arm"]),
        *number_columns(searched, "search"),
        *number_columns(retrained, _in_turn(findings)),
        *number_columns(["device-hours"]),
    ]

    # Device-hours are those of all runs of an arm, its finalists included.
    rows = []
    for arm in findings.run.arms:
        trained = findings.run.trials[findings.run.trials["arm"] == arm]
        hours = fixed(number(trained["device_seconds"].sum()) / 3600, 2)
        finalist = _retrained(findings, findings.arms.get(arm)) if retrained else ()
        wins = findings.champion is not None and findings.champion.arm == arm
        rows.append(Row((arm, *_searched(findings, arm, shown), *finalist, hours), strong=wins))
    return Table(columns=columns, rows=rows, caption=_tuned_names(findings))


def contrasts_table(findings: Findings) -> Table | None:
    """Return the planned contrasts; None where there are none."""
    if findings.planned.empty:
        return None
    rows = []
    for row in records(findings.planned):
        cells = [str(row["name"]), points(row["estimate"])]
        if findings.tested:
            cells += [span(row["low"], row["high"]), str(row["verdict"]), str(int(row["n"]))]
            cells += [p_value(row["p_holm"]), percent(row["detectable"])]
        open_one = row["verdict"] == Kind.OPEN.value
        rows.append(Row(tuple(cells), strong=not open_one))
    # Under 3 seeds there is the difference alone.
    titles = ["difference, points"]
    caption = f"With fewer than {MIN_SEEDS} seeds, nothing is tested."
    if findings.tested:
        titles += ["95% interval", "verdict", "seeds", "p (Holm)", "detectable, points"]
        caption = (
            f"Ways of training, by test {NAMES[findings.run.score]}: {_of_arms(findings)} Each "
            f"comparison is tested after each round of {seeds(findings.design.round)}, adjusted by "
            "Holm, at levels at which all looks together are wrong in at most 5% of sweeps; a "
            f"difference within {fixed(100 * findings.design.worth, 1)} points does not matter. "
            "Bold: decided. Detectable: the smallest true difference that 4 of 5 such sweeps would "
            "find at one look."
        )
    columns = [*text_columns(["comparison"]), *number_columns(titles)]
    return Table(columns=columns, rows=rows, caption=caption, title="Planned comparisons")


def narrowing_table(findings: Findings) -> Table | None:
    """Return from what each comparison's uncertainty comes, and what would narrow it."""
    if findings.planned.empty or not findings.tested:
        return None
    rows = []
    for row in records(findings.planned):
        parts = [percent(row[name], 2) for name in ("of_seeds", "of_recipes", "of_images")]
        would = ""
        if row["verdict"] == Kind.OPEN.value:
            would = advice(row)
        rows.append(Row((str(row["name"]), *parts, would or "decided")))
    columns = [
        *text_columns(["comparison"]),
        *number_columns(("seeds and draws", "recipes", "test images"), "standard error from"),
        *text_columns(["what would settle it"]),
    ]
    caption = (
        "In points. More seeds lower the first, recipes from more trials the second, more test "
        "images the third. With one seed per recipe the first two cannot be told apart. The advice "
        "assumes that the difference stays as it is."
    )
    return Table(columns=columns, rows=rows, caption=caption, title="What would settle it")


def pairs_table(findings: Findings) -> Table | None:
    """Return all pairs of arms, the better first; None with one arm."""
    if findings.pairs.empty:
        return None
    rows = []
    for row in records(findings.pairs):
        cells = [str(row["a"]), str(row["b"]), points(row["difference"])]
        if findings.tested:
            cells.append(span(row["low"], row["high"]))
            cells.append(span(row["seeds_low"], row["seeds_high"]))
            cells.append(f"{row['wins']:g} of {int(row['n'])}")
            between = span(row["superiority_low"], row["superiority_high"], 0)
            cells.append(with_span(percent(row["superiority"], 0), between))
        rows.append(Row(tuple(cells), strong=bool(row["low"] > 0)))
    # What to read off, as far as there are seeds for it.
    titles = ["A − B"]
    caption = "Two arms, each by its best recipes in turn, on the test split, in points."
    if findings.tested:
        titles += ["95% interval", "on these images", "better in", "superiority, %"]
        caption += (
            f" The first interval is for {findings.scope_of_arms}, the second for new seeds on the "
            "same images. Superiority: the chance that a run of A beats one of B with the same "
            "seed. "
            "Bold: the first interval excludes 0. These are not tests: of many pairs some exclude "
            "0 by chance."
        )
    return Table(
        columns=[*text_columns(["A", "B"]), *number_columns(titles)],
        rows=rows,
        caption=caption,
        title="All pairs of arms",
        folded=len(rows) >= FOLDED_FROM,
    )


def defaults_table(findings: Findings) -> Table | None:
    """Return what the search brought in each arm: its best recipes against its default."""
    rows = []
    for arm in findings.run.arms:
        best = findings.arms.get(arm)
        default = findings.default.get(arm)
        if best is None or default is None:
            continue
        # Where nothing else was found, the default is not compared with itself.
        gain = "tuning found nothing better"
        if any(seed.group != default.name for seed in best.seeds):
            gain = _gap(best, default, findings.run.score)
        rows.append(Row((arm, _test(findings, default), _test(findings, best), gain)))
    if not rows:
        return None
    score = findings.run.score
    tests = (headed("default, test", score), headed("best in turn, test", score))
    columns = [*text_columns(["arm"]), *number_columns([*tests, "gain from tuning, points"])]
    caption = (
        "The best recipes of each search in turn against the arm's default. The gain is over the "
        "seeds that both had, on the same images."
    )
    return Table(columns=columns, rows=rows, caption=caption, title="Did tuning help?")


def ablations_table(findings: Findings) -> Table | None:
    """Return the champion against itself without one thing."""
    champion = findings.champion
    if not findings.ablations or champion is None:
        return None
    score = findings.run.score
    # The champion first, then itself without one thing each.
    rows = [Row(("as it is", _test(findings, champion), "", str(len(champion.seeds))))]
    for group in findings.ablations:
        gain = _gap(champion, group, score)
        name = f"without {group.without}"
        rows.append(Row((name, _test(findings, group), gain, str(len(group.seeds)))))
    titles = (headed("test", score), "champion − this, points", "seeds")
    caption = (
        f"{champion.name} retrained with one thing off, on the same seeds and images. Above 0: the "
        "thing helps. Effects need not add up."
    )
    return Table(
        columns=[*text_columns(["champion"]), *number_columns(titles)],
        rows=rows,
        caption=caption,
        title="What the champion owes to each trick",
    )


def losses_table(findings: Findings) -> Table | None:
    """Return all scores and log loss beside each other, and who leads by which."""
    score = findings.run.score
    known = {arm: g for arm, g in findings.arms.items() if g.test(score) and g.test("loss")}
    if not known:
        return None
    groups = list(known.values())
    # Old sweeps lack some metrics.
    shown = [metric for metric in TEST_SCORES if any(group.test(metric) for group in groups)]
    rows = []
    for arm, group in known.items():
        tests = [with_interval(interval(group, metric)) for metric in shown]
        rows.append(Row((arm, *tests, _loss(group))))
    titles = [f"test {NAMES[metric]}, % (higher is better)" for metric in shown]
    columns = [
        *text_columns(["arm"]),
        *number_columns([*titles, "test log loss (lower is better)"]),
    ]

    # What to read off: who leads, and what log loss is.
    by_score = max(known, key=lambda arm: mean(known[arm].test(score)))
    by_loss = min(known, key=lambda arm: mean(known[arm].test("loss")))
    said = []
    if len(known) > 1 and by_score == by_loss:
        said.append(f"{by_score} leads by {NAMES[score]} and by log loss.")
    elif len(known) > 1:
        said.append(f"They disagree: {by_score} leads by {NAMES[score]}, {by_loss} by log loss.")
    said.append("Log loss also penalizes over-confident mistakes.")
    if findings.tested and "macro_f1" in shown:
        said.append(
            "Intervals of macro F1, which is not a mean over images, are for new seeds on these "
            "images."
        )
    return Table(columns=columns, rows=rows, caption=" ".join(said), title="Accuracy and log loss")


def published_table(findings: Findings) -> Table | None:
    """Return numbers of the source texts beside the sweep's own."""
    listed = findings.run.described.get("published")
    if not isinstance(listed, list):
        return None
    rows = []
    for entry in listed:
        match entry:
            case {"arm": str(arm), "value": float(value) | int(value), "metric": str(metric)}:
                # Shares in percent, losses as they are.
                shown = fixed(number(value), 3)
                if metric in SHARES:
                    shown = percent(value)
                default = _own(findings, findings.default.get(arm), metric)
                best = _own(findings, findings.arms.get(arm), metric)
                source = entry.get("source")
                text = source if isinstance(source, str) else ""
                rows.append(Row((arm, metric, shown, default, best, text)))
    if not rows:
        return None
    columns = [
        *text_columns(["arm", "metric"]),
        *number_columns(["published", "default here", "best in turn here"]),
        *text_columns(["source"]),
    ]
    caption = (
        "Here: means over seeds. Accuracies in percent, higher is better; log losses, lower is "
        "better."
    )
    return Table(columns=columns, rows=rows, caption=caption, title="Published numbers")


def with_interval(whole: Interval | None, digits: int = 1, scale: float = 100) -> str:
    """Return `77.2 (74.1 to 80.3)`."""
    if whole is None:
        return MISSING
    return with_span(fixed(scale * whole.mean, digits), span(whole.low, whole.high, digits, scale))


def _in_turn(findings: Findings) -> str:
    """Return the head of what was retrained of each arm."""
    number = findings.design.recipes
    return "retrained recipe" if number == 1 else f"{number} best recipes in turn"


def _of_arms(findings: Findings) -> str:
    """Return by what an arm is judged, as a sentence."""
    number = findings.design.recipes
    if number == 1:
        return "each arm by one recipe; seeds and images are paired."
    return (
        f"each arm by its {number} best recipes in turn, not by one that a search happened to find; "
        "seeds and images are paired."
    )


def _searched(findings: Findings, arm: str, shown: Sequence[Outcome]) -> list[str]:
    """Return the cells of an arm's search: outcomes, epochs, names tuned, and the best score."""
    rows = findings.run.rows("trial", arm)
    scores = rows[rows["outcome"] == Outcome.COMPLETED.value]["score"]
    return [
        *(str(int((rows["outcome"] == outcome.value).sum())) for outcome in shown),
        f"{int(rows['epochs_done'].sum()):,}",
        str(len(findings.run.tuned.get(arm, {}))),
        percent(number(scores.max())),
    ]


def _retrained(findings: Findings, group: Group | None) -> tuple[str, ...]:
    """Return the cells of an arm's best recipe: val, by how much that was overstated, and test."""
    if group is None:
        return MISSING, MISSING, MISSING, MISSING
    overstated = points(overstatement(findings, group))
    return percent(group.score), overstated, _test(findings, group), _loss(group)


def _tuned_names(findings: Findings) -> str:
    """Return which names are tuned, said once for the arms that share them."""
    arms: dict[tuple[str, ...], list[str]] = {}
    for arm in findings.run.arms:
        arms.setdefault(tuple(findings.run.tuned.get(arm, {})), []).append(arm)
    said = [f"{', '.join(names)}: {', '.join(tuned) or 'nothing'}" for tuned, names in arms.items()]
    return f"Tuned in {'; in '.join(said)}." if said else ""


def _test(findings: Findings, group: Group) -> str:
    return with_interval(interval(group, findings.run.score))


def _loss(group: Group) -> str:
    return with_interval(interval(group, "loss"), 3, 1)


def _gap(a: Group, b: Group, score: Score) -> str:
    apart = gap(a, b, score)
    return with_span(points(apart.value), span(apart.low, apart.high))


def _own(findings: Findings, group: Group | None, metric: str) -> str:
    """Return the mean of a published metric over a group's seeds, at the epochs of their scores."""
    if group is None:
        return MISSING
    if metric == TEST_LOSS:
        return _loss(group)
    if metric == VAL_SCORES[findings.run.score]:
        return percent(group.score)
    for score, name in TEST_SCORES.items():
        if metric == name:
            return with_interval(interval(group, score))
    if metric in VAL_SCORES.values():
        return percent(mean([seed.val[metric] for seed in group.seeds]))
    return MISSING
