"""What an earlier run of a sweep left, read back from its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cluster.refused import Refused
from search_spaces.depth_vs_tricks import SPACE
from sweeps.records.manifest import changes, code_digest, definition
from sweeps.records.results import Outcome
from sweeps.runner.options import Options
from sweeps.runner.resume import past, restored, trials_of

TRIAL = {
    "event": "trial",
    "arm": "a",
    "number": 0,
    "sample": {"stage2_lr": 0.1},
    "recipe": {"epochs": 9},
    "trial_id": "a/000",
}


WHOLE = {"event": "finish", "outcome": "completed", "tags": {"sweep.partial": "false"}}


def epochs(*numbers: int, trial_id: str = "a/000") -> dict[str, Any]:
    return {
        "event": "epochs",
        "trial_id": trial_id,
        "epochs": [{"epoch": number, "score": number / 10} for number in numbers],
    }


def end(outcome: str, trial_id: str = "a/000") -> dict[str, Any]:
    return {"event": "end", "trial_id": trial_id, "outcome": outcome}


def test_each_epoch_counts_once_however_often_it_was_reported() -> None:
    (trial,) = trials_of([TRIAL, epochs(1, 2), TRIAL, epochs(2), epochs(2, 3), end("completed")])
    assert [epoch["epoch"] for epoch in trial.epochs] == [1, 2, 3]
    assert trial.outcome is Outcome.COMPLETED


def test_an_interrupted_trial_is_left_to_do_until_it_ends_otherwise() -> None:
    events = [TRIAL, epochs(1), end("interrupted")]
    assert trials_of(events)[0].outcome is None
    assert trials_of([*events, TRIAL, epochs(2), end("pruned")])[0].outcome is Outcome.PRUNED
    assert trials_of([TRIAL])[0].outcome is None


def test_trials_keep_the_order_in_which_they_were_handed_out() -> None:
    other = TRIAL | {"trial_id": "b/000", "arm": "b"}
    found = trials_of(
        [other, TRIAL, epochs(1), other, epochs(1, trial_id="b/000"), end("failed", "b/000")]
    )
    assert [trial.trial_id for trial in found] == ["b/000", "a/000"]
    assert [trial.outcome for trial in found] == [Outcome.FAILED, None]


def described(**other: Any) -> dict[str, Any]:
    options = {
        "arms": None,
        "data": None,
        "weights": None,
        "preset": "demo",
        "seed": 3,
        "tracking_uri": None,
    }
    whole = {
        "study": "depth_vs_tricks",
        "trials_per_arm": 4,
        "options": options,
        "definition": definition(SPACE.grid()),
        "data": {"source": "digits", "digest": "d"},
        "weights": [{"weights": "imagenet", "backbone": "resnet18", "digest": "w"}],
        "code": "c",
        "versions": {"torch": "2.15.0"},
    }
    return whole | other


def sweep(storage: Path, events: list[dict[str, Any]], **other: Any) -> None:
    folder = storage / "sweeps" / "night"
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text(json.dumps(described(**other)))
    (folder / "trials.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))


@pytest.mark.parametrize(
    ("ends", "finished"),
    [
        ([], False),
        ([WHOLE], True),
        ([WHOLE | {"tags": {"sweep.partial": "true"}}], False),
        ([{"event": "finish", "outcome": "interrupted"}], False),
        ([WHOLE, {"event": "resumed"}], False),
        ([{"event": "finish", "outcome": "failed"}, {"event": "resumed"}, WHOLE], True),
    ],
)
def test_a_sweep_is_finished_where_its_last_run_came_to_its_end(
    ends: list[dict[str, Any]], finished: bool, tmp_path: Path
) -> None:
    sweep(tmp_path, [TRIAL, *ends])
    assert past(tmp_path, "night", "depth_vs_tricks").finished is finished


def test_a_line_that_was_not_written_to_its_end_is_left_out(tmp_path: Path) -> None:
    sweep(tmp_path, [TRIAL, epochs(1)])
    journal = tmp_path / "sweeps/night/trials.jsonl"
    journal.write_bytes(journal.read_bytes() + json.dumps(end("completed")).encode()[:-4])
    (trial,) = past(tmp_path, "night", "depth_vs_tricks").trials
    assert (trial.outcome, len(trial.epochs)) == (None, 1)


def test_a_sweep_that_was_killed_before_its_first_event_is_resumed_from_nothing(
    tmp_path: Path,
) -> None:
    sweep(tmp_path, [])
    (tmp_path / "sweeps/night/trials.jsonl").unlink()
    found = past(tmp_path, "night", "depth_vs_tricks")
    assert (found.trials, found.finished) == ((), False)


def test_contrasts_that_are_planned_anew_are_a_change() -> None:
    before = described(contrasts=[{"name": "a"}], finalist_seeds=[1, 2])
    assert changes(before, before) == []
    lines = changes(before, before | {"contrasts": [], "finalist_seeds": [1]})
    assert lines == ['contrasts: [{"name": "a"}] is now []', "finalist seeds: [1, 2] is now [1]"]


def test_a_finalist_is_not_over_before_the_test_split_has_answered() -> None:
    start = TRIAL | {"role": "finalist", "group": "a/000", "trial_id": "a/000/s0"}
    done = [start, epochs(*range(1, 10), trial_id="a/000/s0")]
    assert trials_of(done)[0].outcome is None
    assert trials_of([*done, end("completed", "a/000/s0")])[0].outcome is Outcome.COMPLETED


def test_what_cannot_be_resumed_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="holds no sweep"):
        past(tmp_path, "night", "depth_vs_tricks")
    sweep(tmp_path, [TRIAL])
    with pytest.raises(Refused, match=r"'nigth' is no sweep in .* Did you mean 'night'"):
        past(tmp_path, "nigth", "depth_vs_tricks")
    with pytest.raises(
        Refused,
        match=r"is a sweep of depth_vs_tricks, not of other: run python sweeps/depth_vs_tricks\.py",
    ):
        past(tmp_path, "night", "other")
    for content in ("", "{", "[]", "{}"):
        (tmp_path / "sweeps/night/sweep.json").write_text(content)
        with pytest.raises(Refused, match="must hold a sweep") as refused:
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


def test_the_score_that_decided_is_kept_and_was_accuracy_before_there_was_another(
    tmp_path: Path,
) -> None:
    sweep(tmp_path / "old", [TRIAL])
    sweep(
        tmp_path / "new", [TRIAL], options=described()["options"] | {"score": "balanced_accuracy"}
    )
    kept = [
        restored(Options(resume="night"), past(tmp_path / name, "night", "depth_vs_tricks"))
        for name in ("old", "new")
    ]
    assert [options.score for options in kept] == ["accuracy", "balanced_accuracy"]


def test_a_recipe_of_a_version_without_class_weights_is_the_same_recipe_without_them() -> None:
    """A finalist that such a version trained is not trained again."""
    finalist = TRIAL | {"role": "finalist", "trial_id": "a/000/s0"}
    now = finalist | {"recipe": {**TRIAL["recipe"], "class_weights": "none"}}
    (trial,) = trials_of(
        [finalist, epochs(1, trial_id="a/000/s0"), now, end("completed", "a/000/s0")]
    )
    assert [epoch["epoch"] for epoch in trial.epochs] == [1]
    assert trial.recipe == now["recipe"]


def test_a_password_is_asked_for_again(tmp_path: Path) -> None:
    options = described()["options"] | {"tracking_uri": "http://me:***@host"}
    sweep(tmp_path, [TRIAL], options=options)
    earlier = past(tmp_path, "night", "depth_vs_tricks")
    with pytest.raises(Refused, match="--tracking-uri must be given again"):
        restored(Options(resume="night"), earlier)
    assert (
        restored(
            Options(resume="night", tracking_uri="http://me:secret@host"), earlier
        ).tracking_uri
        is not None
    )


def test_everything_that_has_changed_is_named() -> None:
    before = described()
    assert changes(before, described()) == []
    other = json.loads(json.dumps(before["definition"]))
    other["resnet18/plain"]["tuned"]["stage2_lr"]["high"] = 0.5
    del other["resnet50/tricks"]
    now = described(
        definition=other,
        data={"source": "digits", "digest": "e"},
        weights=[{"weights": "imagenet", "backbone": "resnet18", "digest": "x"}],
        code="k",
        versions={"torch": "2.16.0"},
    )
    lines = changes(before, now)
    assert len(lines) == 6
    for words in (
        "resnet18/plain: tuned stage2_lr",
        '"high": 0.5',
        "resnet50/tricks: is gone",
        "data digits",
        "weights imagenet",
    ):
        assert any(words in line for line in lines), words
    assert "torch: 2.15.0 is now 2.16.0" in lines


def test_the_codes_digest_is_stable() -> None:
    assert code_digest() == code_digest()
    assert len(code_digest()) == 16
