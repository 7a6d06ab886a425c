"""Sentences on ways of training: four verdicts, and what would decide an open one."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.findings import Findings, compare, find
from sweeps.report.runs import read_run, records, resume_command
from sweeps.report.verdicts import Kind
from sweeps.report.ways import advice, further, progress, said, ways

WORTH = 0.01
NAN = math.nan


def row(kind: Kind = Kind.OPEN, estimate: float = 0.018, **other: Any) -> dict[str, Any]:
    """Return a row of `effects.planned`; nothing would decide it, and nothing is known of why."""
    return {
        "name": "tricks",
        "estimate": estimate,
        "low": estimate - 0.014,
        "high": estimate + 0.013,
        "verdict": kind.value,
        "decided": 0 if kind is Kind.OPEN else 5,
        "more_seeds": NAN,
        "more_images": NAN,
        "binds": "",
        **other,
    }


@pytest.mark.parametrize(
    ("kind", "estimate", "words"),
    [
        (
            Kind.BETTER,
            0.018,
            "tricks: better, by 1.8 points (95% interval 0.4 to 3.1); decided after 5 seeds",
        ),
        (
            Kind.WORSE,
            -0.018,
            "tricks: worse, by 1.8 points (95% interval 0.5 to 3.2); decided after 5 seeds",
        ),
        (
            Kind.SAME,
            -0.002,
            "tricks: no difference that matters, −0.2 points (95% interval −1.6 to 1.1), within "
            "1 point; decided after 5 seeds",
        ),
        (Kind.OPEN, 0.008, "tricks: cannot tell, +0.8 points (95% interval −0.6 to 2.1)"),
    ],
)
def test_each_verdict_has_its_words(kind: Kind, estimate: float, words: str) -> None:
    assert said(row(kind, estimate), WORTH) == words


def test_by_how_much_is_said_without_a_sign_and_whole_points_without_a_decimal() -> None:
    assert "better, by 2 points (" in said(row(Kind.BETTER, 0.02), WORTH)
    assert "worse, by 1 point (" in said(row(Kind.WORSE, -0.01), WORTH)
    assert "better, by 0.4 points (" in said(row(Kind.BETTER, 0.004), WORTH)
    assert "within 2.5 points;" in said(row(Kind.SAME, 0.001), 0.025)
    assert "within 0.5 points;" in said(row(Kind.SAME, 0.001), 0.005)


def test_a_verdict_after_one_look_says_its_seeds() -> None:
    assert said(row(Kind.BETTER, decided=1), WORTH).endswith("; decided after 1 seed")


def test_under_three_seeds_there_is_a_value_without_an_interval() -> None:
    bare = row(Kind.OPEN, 0.008, low=NAN, high=NAN)
    assert said(bare, WORTH) == "tricks: cannot tell, +0.8 points"


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"more_seeds": 10.0}, "10 seeds more would, if the difference stays"),
        ({"more_seeds": 1.0}, "1 seed more would, if the difference stays"),
        ({"more_images": 1200.0}, "1,200 test images more would, if the difference stays"),
        (
            {"more_seeds": 5.0, "more_images": 300.0, "binds": "images"},
            "5 seeds more would, or 300 test images more would, if the difference stays",
        ),
        (
            {"binds": "seeds"},
            "neither more seeds nor more test images would; what differs most is one seed from the "
            "next",
        ),
        (
            {"binds": "recipes"},
            "neither more seeds nor more test images would; what differs most is which recipes a "
            "search finds: more --trials may help",
        ),
        (
            {"binds": "images"},
            "neither more seeds nor more test images would; what differs most is which images are "
            "tested",
        ),
        ({}, ""),
    ],
)
def test_an_open_comparison_says_what_would_decide_it(known: dict[str, Any], words: str) -> None:
    assert advice(row(**known)) == words
    open_one = said(row(Kind.OPEN, 0.008, **known), WORTH)
    assert open_one.endswith(f" points (95% interval −0.6 to 2.1){f': {words}' if words else ''}")


def test_a_decided_comparison_has_no_advice() -> None:
    for kind in (Kind.BETTER, Kind.WORSE, Kind.SAME):
        assert "would" not in said(row(kind, more_seeds=5.0, binds="seeds"), WORTH)


@pytest.mark.parametrize(("kind", "estimate"), [(Kind.BETTER, -0.002), (Kind.WORSE, 0.002)])
def test_what_later_seeds_turned_round_is_not_said_to_be_better_by_less_than_nothing(
    kind: Kind, estimate: float
) -> None:
    assert "by −" not in said(row(kind, estimate), WORTH)


def test_ways_are_a_sentence_per_comparison_beginning_with_its_name(found: Findings) -> None:
    rows = records(found.planned)
    assert len(rows) == 2
    lines = ways(found)
    for line, one in zip(lines, rows, strict=False):
        words = said(one, found.design.worth)
        assert line == f"{words[0].upper()}{words[1:]}."
    assert lines[0].startswith("Tricks: ")
    assert lines[1].startswith("Depth, linear trend: ")


def test_the_command_adds_the_fewest_seeds_that_would_decide_one_with_their_cost(
    found: Findings,
) -> None:
    def planned(*more: float) -> Findings:
        table = found.planned.copy()
        table["more_seeds"] = list(more)
        table["verdict"] = Kind.OPEN.value
        # As if it had been trained in rounds.
        return replace(found, planned=table, design=replace(found.design, once=False))

    # Seeds of six arms, two runs each, of 84 s.
    hours = 2 * 6 * 20 * 4.2 / 3600
    for more in ((9.0, 6.0), (6.0, NAN)):
        assert further(planned(*more)) == (
            f"For 6 seeds more, about {6 * hours:.1f} device-hours:  "
            f"{resume_command(found.run)} --seeds 11"
        )
    assert further(planned(NAN, NAN)) == ""
    assert ways(planned(3.0, NAN))[-1].startswith("For 3 seeds more, about ")
    decided = planned(9.0, 6.0)
    decided.planned["verdict"] = Kind.BETTER.value
    assert further(decided) == ""


def test_short_runs_cost_device_minutes_and_unknown_ones_nothing_that_is_said(
    found: Findings,
) -> None:
    table = found.planned.assign(more_seeds=3.0, verdict=Kind.OPEN.value)
    trials = found.run.trials.copy()
    trials["device_seconds"] = 8.0
    found = replace(found, design=replace(found.design, once=False))
    short = replace(found, planned=table, run=replace(found.run, trials=trials))
    assert further(short).startswith("For 3 seeds more, about 5 device-minutes:  ")
    trials["device_seconds"] = NAN
    untold = replace(found, planned=table, run=replace(found.run, trials=trials))
    assert further(untold).startswith("For 3 seeds more:  ")


@pytest.mark.parametrize("state", ["running", "interrupted", "failed", "damaged"])
def test_a_sweep_that_is_not_at_its_end_is_not_asked_for_more(found: Findings, state: str) -> None:
    table = found.planned.assign(more_seeds=3.0, verdict=Kind.OPEN.value)
    assert further(replace(found, planned=table, run=replace(found.run, state=state))) == ""


def test_the_seeds_that_are_asked_for_end_a_round_of_the_sweep(tmp_path: Path) -> None:
    """Counted from what the sweep has, and not from what the arms have in common."""
    made: dict[str, Any] = {"trials": 6, "outcomes": (), "images": 200, "ablations": False}
    folder = make(tmp_path, seeds=range(4), recipes=1, draws=True, **made)
    findings = find(read_run(folder))
    line = further(findings)
    asked = re.fullmatch(r"For (\d+) seeds more, about .*:  .* --seeds (\d+)", line)
    assert asked
    more, total = map(int, asked.groups())
    assert total == 4 + more
    assert total % findings.design.round == 0


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ((0,), "One seed is too few for confidence intervals and tests; use at least 3."),
        ((0, 1), "Two seeds are too few for confidence intervals and tests; use at least 3."),
    ],
)
def test_too_few_seeds_are_said_to_be(tmp_path: Path, seeds: tuple[int, ...], words: str) -> None:
    made: dict[str, Any] = {"trials": 5, "images": 60, "seeds": seeds}
    findings = find(read_run(make(tmp_path, arms=("resnet18/plain", "resnet18/tricks"), **made)))
    first, second, _ = ways(findings)
    assert re.fullmatch(r"Tricks: cannot tell, [+−]?\d+\.\d points\.", first)
    assert second == words
    assert "interval" not in first


def test_without_predictions_nothing_is_tested_and_it_says_so(tmp_path: Path) -> None:
    findings = find(read_run(make(tmp_path, trials=5, images=60, predictions=False)))
    assert findings.untested == ("tricks", "depth, linear trend")
    assert ways(findings) == ["Nothing is tested: fewer than 3 seeds have predictions in all arms."]


def test_where_most_predictions_are_gone_nothing_is_tested(tmp_path: Path) -> None:
    folder = make(tmp_path, trials=5, images=60, seeds=(0, 1, 2))
    for file in (folder / "predictions").glob("*-s1.npz"):
        file.unlink()
    first, second, last = ways(find(read_run(folder)))
    assert first.startswith("Tricks: cannot tell, ")
    assert second.startswith("Depth, linear trend: cannot tell, ")
    assert last == "Nothing is tested: fewer than 3 seeds have predictions in all arms."


def test_a_sweep_without_contrasts_has_no_ways(tmp_path: Path) -> None:
    folder = make(tmp_path, trials=5, images=60, described={"contrasts": []})
    assert ways(find(read_run(folder))) == []


def test_after_a_round_all_verdicts_are_in_a_line(found: Findings) -> None:
    compared = compare(found.run, [], until=3)
    verdicts = [f"{one['name']}: {one['verdict']}" for one in records(compared.planned)]
    assert progress(compared, 3) == [f"After 3 seeds: {'; '.join(verdicts)}."]
    nothing = replace(compared, planned=compared.planned.iloc[:0])
    assert progress(nothing, 3) == []
