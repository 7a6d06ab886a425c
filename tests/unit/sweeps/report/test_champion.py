"""The report's champion is the one that the driver ships: both ask the records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from benchmarks.synthetic_sweep import make
from search_spaces.space import Float, SearchSpace, Variant
from sweeps.records.history import read_history
from sweeps.records.manifest import bounds_of, definition
from sweeps.records.results import Results
from sweeps.report.cautions import cautions
from sweeps.report.finalists import Group
from sweeps.report.findings import find
from sweeps.report.runs import read_run
from sweeps.runner.finalists.contenders import Retrained, champion
from sweeps.runner.search import replay
from tests.unit.sweeps.journals import (
    Line,
    chosen,
    ended,
    epochs,
    finalist_started,
    resumed,
    trial,
    write_journal,
)
from trainables.recipe import Recipe

TUNED = Variant(tuned={"stage2_lr": Float(low=1e-5, high=1e-1, log=True, default=1e-3)})
ARMS = SearchSpace(
    arms={
        "arm": {"zebra": TUNED, "still": Variant(), "ant": TUNED}
    },  # in an order that no sorting by name gives
    fixed={"weights": "none"},
).grid()


def shipped(folder: Path) -> Retrained | None:
    """Return the champion of the finalists that the last run has chosen, as a resume would."""
    history = read_history(folder / "trials.jsonl")
    described = json.loads((folder / "sweep.json").read_text())
    finals = Results(dict.fromkeys(described["arms"], 0))
    wanted = history.wanted or history.trials.keys()
    replay(finals, tuple(run for run in history.of("finalist") if run.trial_id in wanted))
    choice = champion(finals, bounds_of(described))
    return choice.champion if choice else None


def shown(folder: Path) -> Group | None:
    """Return the champion, as the report has it."""
    return find(read_run(folder)).champion


def assert_same(folder: Path) -> Group:
    ours, theirs = shipped(folder), shown(folder)
    assert ours
    assert theirs
    assert ours.seeds[0].finalist
    assert theirs.name == ours.seeds[0].finalist.group
    assert {seed.trial_id for seed in theirs.seeds} == {record.trial_id for record in ours.seeds}
    assert theirs.by_seed == ours.by_seed
    assert theirs.score == fmean(ours.by_seed.values())
    return theirs


@pytest.mark.parametrize("lost", [(), ("resnet34/tricks/000/s1", "resnet18/tricks/000/s0")])
def test_the_report_names_the_champion_that_the_driver_ships(
    tmp_path: Path, lost: Sequence[str]
) -> None:
    assert_same(make(tmp_path, trials=4, images=60, seeds=(0, 1, 2), lost=lost))


@pytest.mark.parametrize("lost", [(), ("resnet34/tricks/000/s1", "resnet18/tricks/000/s0")])
@pytest.mark.parametrize("contenders", [(), ("resnet34/tricks/004", "resnet50/tricks/005")])
def test_of_recipes_in_turn_the_report_names_the_champion_that_the_driver_ships(
    tmp_path: Path, lost: Sequence[str], contenders: Sequence[str]
) -> None:
    asked: dict[str, Any] = {"trials": 6, "outcomes": (), "images": 60, "seeds": range(9)}
    folder = make(tmp_path, recipes=3, lost=lost, contenders=contenders, **asked)
    assert_same(folder)


def test_within_bounds_both_name_the_same(tmp_path: Path) -> None:
    bounded = {"options": {"score": "accuracy", "max_mb": 50.0}}
    folder = make(tmp_path, trials=4, images=60, seeds=(0, 1, 2), described=bounded)
    assert assert_same(folder).arm.startswith("resnet18/")
    nothing = {"options": {"score": "accuracy", "max_ms": 0.5}}
    folder = make(tmp_path, "two", trials=4, images=60, seeds=(0, 1, 2), described=nothing)
    assert shipped(folder) is shown(folder) is None


def timed(arm: str, number: int, scores: Sequence[float], times: Sequence[float]) -> list[Line]:
    """Return the seeds of a finalist that took so many milliseconds per image."""
    lines = retrained(arm, number, scores)
    for end, ms in zip((line for line in lines if line["event"] == "end"), times, strict=True):
        end["test"] = {"parameters": 1e6, "inference_ms": ms}
    return lines


@pytest.mark.parametrize("max_ms", [None, 10.0])
def test_where_seeds_were_timed_differently_both_name_the_same(
    tmp_path: Path, max_ms: float | None
) -> None:
    lines = [*trial("ant", 0), *trial("zebra", 0)]
    lines += timed("zebra", 0, [0.72, 0.70, 0.71], [9.0, 14.0, 14.0])
    lines += timed("ant", 0, [0.71, 0.71, 0.70], [9.0, 9.0, 9.0])
    folder = sweep(tmp_path, lines, seeds=3)
    described = json.loads((folder / "sweep.json").read_text())
    described["options"] = {"score": "accuracy", "max_ms": max_ms}
    (folder / "sweep.json").write_text(json.dumps(described))
    assert_same(folder)


def test_seeds_of_a_turn_that_a_longer_search_gave_another_recipe_do_not_count(
    tmp_path: Path,
) -> None:
    """It had seed 0 first; after more trials its turn is seed 1, and seed 0 another's."""
    lines = [*trial("ant", 0, score=0.5), *trial("ant", 1, score=0.7), *trial("ant", 2, score=0.6)]
    lines += [*retrained("ant", 0, [0.5, 0.5]), *retrained("ant", 1, [0.9])]
    lines.append(resumed(6))
    lines += trial("ant", 3, score=0.8)
    wanted = ["ant/000/s0", "ant/000/s1", "ant/003/s0", "ant/001/s1"]
    lines.append(chosen(*wanted) | {"recipes": {"ant": ["ant/003", "ant/001"]}})
    lines += [*retrained("ant", 3, [0.6]), *retrained("ant", 1, [0.4, 0.6])[3:]]
    assert_same(sweep(tmp_path, lines, seeds=2))


def test_without_a_finalist_that_completed_neither_has_one(tmp_path: Path) -> None:
    folder = sweep(tmp_path, [*trial("ant", 0), *retrained("ant", 0, [0.5], outcome="failed")])
    assert shipped(folder) is shown(folder) is None


def test_where_means_are_equal_both_name_the_arm_and_the_trial_that_come_first(
    tmp_path: Path,
) -> None:
    lines = [*trial("ant", 0, score=0.7), *trial("zebra", 0, score=0.5)]
    lines += trial("zebra", 1, score=0.7)
    for arm, number in (("ant", 0), ("zebra", 1), ("zebra", 0)):
        lines += retrained(arm, number, [0.1, 0.2, 0.3] if number else [0.3, 0.1, 0.2])
    assert assert_same(sweep(tmp_path, lines, seeds=3)).name == "zebra/000"


def test_seeds_that_are_no_longer_asked_for_do_not_count(tmp_path: Path) -> None:
    lines = [*trial("ant", 0), *trial("zebra", 0), *retrained("zebra", 0, [0.6, 0.6, 0.6])]
    lines += [*trial("ant", 1, score=0.8), *retrained("ant", 1, [0.9, 0.9])]
    lines.append(chosen("zebra/000/s0", "zebra/000/s1", "ant/001/s0", "ant/001/s1"))
    assert assert_same(sweep(tmp_path, lines, seeds=2)).name == "ant/001"


def test_an_arm_that_the_study_no_longer_has_is_no_champion_and_nobody_misses_it(
    tmp_path: Path,
) -> None:
    lines = [*trial("ant", 0), *trial("zebra", 0)]
    lines += [*retrained("zebra", 0, [0.5, 0.5]), *retrained("ant", 0, [0.9, 0.9])]
    folder = sweep(tmp_path, lines, seeds=2)
    assert assert_same(folder).name == "ant/000"
    folder = sweep(tmp_path, lines, seeds=2, without="ant")
    assert assert_same(folder).name == "zebra/000"
    missed = [line for line in cautions(find(read_run(folder))) if "has no finalist" in line]
    assert not [line for line in missed if "ant" in line]


def test_a_finalist_whose_recipe_was_changed_is_what_came_of_the_new_one(tmp_path: Path) -> None:
    lines = retrained("still", 0, [0.9], stage2_lr=1e-3)
    lines += retrained("still", 0, [0.7], stage2_lr=1e-2)
    champion = assert_same(sweep(tmp_path, lines))
    assert (champion.recipe["stage2_lr"], champion.score) == (1e-2, 0.7)


def sweep(folder: Path, lines: Sequence[Line], *, seeds: int = 1, without: str = "") -> Path:
    """Write the files of a sweep of the arms above, or of those that are left without one."""
    left = tuple(arm for arm in ARMS if arm.name != without)
    described: Mapping[str, Any] = {
        "arms": [arm.name for arm in left],
        "definition": definition(left),
        "finalist_seeds": list(range(seeds)),
    }
    (folder / "sweep.json").write_text(json.dumps(described))
    write_journal(folder, lines)
    return folder


def retrained(
    arm: str, number: int, scores: Sequence[float], outcome: str = "completed", **fields: Any
) -> list[Line]:
    """Return what a driver writes of a finalist's seeds."""
    lines = []
    for seed, score in enumerate(scores):
        recipe = Recipe(epochs=2, seed=seed, **fields).as_dict()
        started = finalist_started(arm, number, seed=seed, recipe=recipe)
        name = started["trial_id"]
        lines += [started, epochs(name, 1, 2, score=score), ended(name, outcome, score)]
    return lines
