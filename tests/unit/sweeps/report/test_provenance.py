"""What a sweep left out of its plan is said, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.findings import find
from sweeps.report.provenance import provenance
from sweeps.report.runs import read_run

ARMS = ("resnet18/plain", "resnet18/tricks")
TERM = "Left out of the plan"


def left_out(storage: Path, **changes: Any) -> list[str]:
    folder = make(storage, **{"arms": ARMS, "recipes": 3, "seeds": tuple(range(6)), **changes})
    facts = dict(provenance(find(read_run(folder))).facts)
    return list(facts.get(TERM, []))


def test_epochs_of_stopped_trials_and_seeds_of_decided_arms_are_counted(tmp_path: Path) -> None:
    lines = left_out(tmp_path, stopped={"resnet18/plain": 3}, outcomes=("pruned",))
    trials = read_run(tmp_path / "sweeps" / "one").rows("trial")
    stopped = trials[trials["outcome"] == "pruned"]
    saved = int((20 - stopped["epochs_done"]).sum())
    assert len(stopped) == len(ARMS)
    assert lines == [
        f"{saved} epochs of the search's {20 * len(trials)}: 2 trials stopped for being among the "
        "worse half of its own arm",
        "3 seeds of resnet18/plain: with 3, each of its comparisons is decided, or no comparison "
        "is planned",
    ]


@pytest.mark.parametrize("changes", [{"outcomes": ()}, {"outcomes": (), "finish": "interrupted"}])
def test_where_nothing_was_left_out_nothing_is_said(tmp_path: Path, changes: Any) -> None:
    assert left_out(tmp_path, **changes) == []


def test_a_sweep_that_broke_off_has_not_decided_to_leave_seeds_out(tmp_path: Path) -> None:
    stopped = {"resnet18/plain": 3}
    assert left_out(tmp_path, outcomes=(), stopped=stopped, finish="interrupted") == []


def test_seeds_that_a_default_did_not_get_are_counted(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"arms": ARMS, "recipes": 3, "seeds": tuple(range(6))}
    found = find(read_run(make(tmp_path, outcomes=(), **changes)))
    fewer = {arm: replace(group, seeds=group.seeds[:3]) for arm, group in found.default.items()}
    lines = dict(provenance(replace(found, default=fewer)).facts)[TERM]
    assert lines == [
        f"3 seeds of the default of {arm}: no planned comparison is of it" for arm in found.default
    ]


def test_the_full_plan_is_named(tmp_path: Path) -> None:
    (line,) = left_out(tmp_path, described={"options": {"exact": True}})
    assert "--exact" in line
