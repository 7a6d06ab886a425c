"""What an earlier run of a sweep left, read back from its files, and who may go on with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cluster.refused import Refused
from sweeps.records.folder import sweep_folder
from sweeps.runner.options import Options
from sweeps.runner.resume import finished, held, past, restored
from tests.unit.sweeps import journals
from tests.unit.sweeps.journals import Line, ended, epochs, other_driver, resumed, started
from trainables.recipe import Recipe

TRIAL = started("a", recipe=Recipe(epochs=9).as_dict())
WHOLE = journals.finished(partial=False)
OPTIONS = {
    "arms": None,
    "data": None,
    "weights": None,
    "preset": "demo",
    "seed": 3,
    "tracking_uri": None,
}


def sweep(storage: Path, lines: list[Line], **other: Any) -> Path:
    described = {"trials_per_arm": 4, "finalist_seeds": [5, 6, 7], "options": OPTIONS} | other
    return journals.write_sweep(storage, "night", lines, **described)


@pytest.mark.parametrize(
    ("ends", "complete"),
    [
        ([], False),
        ([WHOLE], True),
        ([journals.finished(partial=True)], False),
        ([journals.finished("interrupted")], False),
        ([WHOLE, resumed()], False),
        ([journals.finished("failed"), resumed(), WHOLE], True),
    ],
)
def test_a_sweep_is_finished_where_its_last_run_came_to_its_end(
    ends: list[Line], complete: bool, tmp_path: Path
) -> None:
    sweep(tmp_path, [TRIAL, *ends])
    earlier = past(tmp_path, "night", "depth_vs_tricks")
    assert finished(restored(Options(resume="night"), earlier), earlier) is complete


@pytest.mark.parametrize("more", [{"trials": 5}, {"seeds": 4}, {"ablate": True}])
def test_a_finished_sweep_that_is_asked_for_more_is_not_finished(
    more: dict[str, Any], tmp_path: Path
) -> None:
    sweep(tmp_path, [TRIAL, WHOLE])
    earlier = past(tmp_path, "night", "depth_vs_tricks")
    assert not finished(restored(Options(resume="night", **more), earlier), earlier)
    as_many = Options(resume="night", trials=4, seeds=3)
    assert finished(restored(as_many, earlier), earlier)


def test_what_is_kept_may_change_and_sweeps_of_earlier_versions_kept_the_best(
    tmp_path: Path,
) -> None:
    sweep(tmp_path, [TRIAL])
    earlier = past(tmp_path, "night", "depth_vs_tricks")
    assert restored(Options(resume="night"), earlier).keeps == "best"
    assert restored(Options(resume="night", keep="all"), earlier).keeps == "all"


def test_a_line_that_was_not_written_to_its_end_is_left_out(tmp_path: Path) -> None:
    journal = sweep(tmp_path, [TRIAL, epochs("a/000", 1)]) / "trials.jsonl"
    journal.write_bytes(journal.read_bytes() + json.dumps(ended("a/000")).encode()[:-4])
    (trial,) = past(tmp_path, "night", "depth_vs_tricks").history.trials.values()
    assert (trial.outcome, len(trial.epochs)) == (None, 1)


def test_a_sweep_that_was_killed_before_its_first_event_is_resumed_from_nothing(
    tmp_path: Path,
) -> None:
    (sweep(tmp_path, []) / "trials.jsonl").unlink()
    found = past(tmp_path, "night", "depth_vs_tricks")
    assert (found.history.trials, found.history.complete) == ({}, False)


def test_what_cannot_be_resumed_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"it cannot be read \(FileNotFoundError"):
        past(tmp_path, "night", "depth_vs_tricks")
    folder = sweep(tmp_path, [TRIAL])
    with pytest.raises(
        Refused,
        match=r"is a sweep of depth_vs_tricks, not of other: run python sweeps/depth_vs_tricks\.py",
    ):
        past(tmp_path, "night", "other")
    for content in ("", "{", "[]", "{}"):
        (folder / "sweep.json").write_text(content)
        with pytest.raises(Refused, match="must hold a sweep") as refused:
            past(tmp_path, "night", "depth_vs_tricks")
        assert len(refused.value.problems) == 1


def test_a_line_that_is_no_event_is_refused_in_one_line(tmp_path: Path) -> None:
    journal = sweep(tmp_path, [TRIAL]) / "trials.jsonl"
    for damaged in ('{"event": "trial"}\n', "{torn\n"):
        journal.write_text(damaged + json.dumps(TRIAL) + "\n")
        with pytest.raises(Refused, match="must hold a sweep, but") as refused:
            past(tmp_path, "night", "depth_vs_tricks")
        assert len(refused.value.problems) == 1


def test_the_first_commands_options_are_kept_and_trials_may_only_be_raised(tmp_path: Path) -> None:
    sweep(tmp_path, [TRIAL])
    earlier = past(tmp_path, "night", "depth_vs_tricks")
    again = restored(Options(resume="night", gpus=2), earlier)
    assert (again.preset, again.seed, again.trials, again.name, again.gpus) == (
        "demo",
        3,
        4,
        "night",
        2,
    )
    assert restored(Options(resume="night", trials=9), earlier).trials == 9
    with pytest.raises(
        Refused, match="--trials must be at least the 4 that the sweep has, but got 3"
    ):
        restored(Options(resume="night", trials=3), earlier)


def test_seeds_may_only_be_raised_and_both_refusals_come_at_once(tmp_path: Path) -> None:
    sweep(tmp_path, [TRIAL])
    earlier = past(tmp_path, "night", "depth_vs_tricks")
    assert restored(Options(resume="night"), earlier).seeds == 3
    assert restored(Options(resume="night", seeds=3), earlier).seeds == 3
    assert restored(Options(resume="night", seeds=9), earlier).seeds == 9
    with pytest.raises(
        Refused, match="--seeds must be at least the 3 that the sweep has, but got 2: leave it out"
    ):
        restored(Options(resume="night", seeds=2), earlier)
    with pytest.raises(Refused) as refused:
        restored(Options(resume="night", seeds=2, trials=3), earlier)
    assert len(refused.value.problems) == 2


def test_a_sweep_without_finalists_is_asked_for_none(tmp_path: Path) -> None:
    sweep(tmp_path, [TRIAL], finalist_seeds=[])
    earlier = past(tmp_path, "night", "depth_vs_tricks")
    assert restored(Options(resume="night"), earlier).seeds is None


def test_finalists_of_an_earlier_version_go_on_with_the_images_of_the_search(
    tmp_path: Path,
) -> None:
    sweep(tmp_path / "old", [TRIAL])
    bounded = OPTIONS | {"draws": "new", "max_ms": 20.0, "max_mb": None}
    sweep(tmp_path / "new", [TRIAL], options=bounded)
    old, new = (
        restored(Options(resume="night"), past(tmp_path / name, "night", "depth_vs_tricks"))
        for name in ("old", "new")
    )
    assert (old.draws, old.max_ms, old.max_mb) == ("fixed", None, None)
    assert (new.draws, new.max_ms, new.max_mb) == ("new", 20.0, None)


def test_the_score_that_decided_is_kept_and_was_accuracy_before_there_was_another(
    tmp_path: Path,
) -> None:
    sweep(tmp_path / "old", [TRIAL])
    sweep(tmp_path / "new", [TRIAL], options=OPTIONS | {"score": "balanced_accuracy"})
    kept = [
        restored(Options(resume="night"), past(tmp_path / name, "night", "depth_vs_tricks"))
        for name in ("old", "new")
    ]
    assert [options.score for options in kept] == ["accuracy", "balanced_accuracy"]


def test_a_password_is_asked_for_again(tmp_path: Path) -> None:
    sweep(tmp_path, [TRIAL], options=OPTIONS | {"tracking_uri": "http://me:***@host"})
    earlier = past(tmp_path, "night", "depth_vs_tricks")
    with pytest.raises(Refused, match="--tracking-uri must be given again"):
        restored(Options(resume="night"), earlier)
    given = Options(resume="night", tracking_uri="http://me:secret@host")
    assert restored(given, earlier).tracking_uri is not None


def test_a_sweep_has_one_driver_and_a_dead_ones_lock_does_not_last(tmp_path: Path) -> None:
    folder = sweep(tmp_path, [])
    assert folder == sweep_folder(tmp_path, "night")
    with other_driver(folder) as process:
        with pytest.raises(Refused, match="night is being run by another process"), held(folder):
            pass
        process.kill()
        process.wait()
        with held(folder), pytest.raises(Refused, match="by another process"), held(folder):
            pass
