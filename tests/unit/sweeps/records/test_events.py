"""Events are written and read back the same, and a line that holds anything else is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.records.events import (
    KINDS,
    ChampionKept,
    DataRecord,
    EpochsReported,
    Event,
    EventError,
    FinalistsChosen,
    SweepFinished,
    SweepResumed,
    SweepStarted,
    TrialEnded,
    TrialStarted,
    TrialTagged,
    from_json,
    to_json,
)
from sweeps.records.history import fold
from sweeps.records.results import Finalist, Outcome
from trainables.recipe import ADDED, Recipe

JOURNALS = sorted((Path(__file__).parents[3] / "journals").glob("*/trials.jsonl"))
TRIAL, FINALIST = "resnet18/tricks/007", "resnet18/tricks/007/s1"
RECIPE = Recipe(epochs=3).as_dict()
# What a champion's event of an earlier version lacks, and what is read instead.
LATER: dict[str, Any] = {"predictions": "", "test_digest": "", "metric": "accuracy"}
# And a choice of finalists.
LATER_OF_CHOICE: dict[str, Any] = {"recipes": {}, "turns": {}, "draws": {}, "seeds": 0}
EVENTS: tuple[Event, ...] = (
    SweepStarted(
        study="depth_vs_tricks",
        sweep_name="s1",
        tags={"sweep.preset": "demo"},
        params={"seed": 0, "weights": "none"},
        dataset=DataRecord(name="digits", digest="5f3a", source="digits", num_images={"train": 9}),
        description="Does **depth** pay?",
    ),
    SweepResumed(changes=("code of this project: a is now b",), trials_per_arm=16),
    FinalistsChosen(
        trial_ids=(FINALIST,),
        recipes={"resnet18/tricks": (TRIAL, "resnet18/tricks/000")},
        draws={"1": {"digest": "0f1e", "path": "/runs/cache/data/0f1e"}},
    ),
    TrialStarted(
        trial_id=TRIAL, arm="resnet18/tricks", number=7, recipe=RECIPE, sample={"lr": 0.1}
    ),
    TrialStarted(
        trial_id=FINALIST, arm="resnet18/tricks", number=7, recipe=RECIPE, finalist=Finalist(TRIAL)
    ),
    TrialStarted(
        trial_id=f"{TRIAL}-mixup/s1",
        arm="resnet18/tricks",
        number=7,
        recipe=RECIPE,
        finalist=Finalist(f"{TRIAL}-mixup", without="mixup"),
    ),
    EpochsReported(trial_id=TRIAL, epochs=({"epoch": 1, "score": 0.5, "val/loss": 1.5},)),
    TrialTagged(trial_id=TRIAL, tags={"micro_batch": "16"}),
    TrialEnded(trial_id=TRIAL, outcome=Outcome.DIVERGED, reason="the loss is not finite"),
    TrialEnded(
        trial_id=FINALIST,
        outcome=Outcome.COMPLETED,
        wall_seconds=12.5,
        device_seconds=6.25,
        score=0.8,
        best_epoch=2,
        test={"test/accuracy": 0.75},
    ),
    SweepFinished(
        outcome=Outcome.INTERRUPTED,
        artifacts={"report.html": "/runs/report.html"},
        metrics={"score": 0.8},
        tags={"sweep.partial": "true"},
    ),
    ChampionKept(
        name="depth_vs_tricks-digits-demo",
        checkpoint="/runs/best.pt",
        recipe=RECIPE,
        classes=("5", "6"),
        move_alias=True,
        description="**80%**",
        stored_side=8,
        predictions="/runs/predictions/s1.npz",
        test_digest="0f" * 8,
        metric="balanced_accuracy",
    ),
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
"""What `json.loads` gives, NaN and infinities among it."""


@st.composite
def changed_lines(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the JSON of an event of which something is missing or is anything else."""
    line = to_json(draw(st.sampled_from(EVENTS)))
    for _ in range(draw(st.integers(1, 3))):
        place = line
        name = draw(st.sampled_from(sorted({*line, "time"})))
        inner = line.get(name)
        if isinstance(inner, dict) and inner and draw(st.booleans()):
            place = line[name] = dict(inner)
            name = draw(st.sampled_from(sorted(inner)))
        if name in place and draw(st.booleans()):
            del place[name]
        else:
            place[name] = draw(json_values)
    return line


def test_every_kind_has_an_example_here() -> None:
    assert {type(event) for event in EVENTS} == set(KINDS.values())


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
@pytest.mark.parametrize("time", [None, 1_700_000_000_000])
def test_an_event_is_read_back_as_it_was_written(event: Event, time: int | None) -> None:
    timed = replace(event, time=time)
    assert from_json(_through_json(to_json(timed))) == timed
    assert ("time" in to_json(timed)) == (time is not None)


@given(line=changed_lines() | st.dictionaries(st.text(), json_values))
def test_a_line_is_an_event_or_none_or_refused_whatever_it_holds(line: dict[str, Any]) -> None:
    try:
        event = from_json(line)
    except EventError as error:
        assert "\n" not in str(error)  # noqa: PT017 - both ends are good
        return
    if event is None:
        assert str(line.get("event")) not in KINDS
        return
    assert event.time is None or type(event.time) is int
    fold([event])
    written = to_json(event)
    again = from_json(_through_json(written))
    assert again is not None
    assert _dumped(to_json(again)) == _dumped(written)


def test_a_value_that_is_nested_too_deep_to_be_shown_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(EventError):
        from_json({**to_json(EVENTS[0]), "study": deep})


def test_a_kind_of_a_later_version_is_passed_over() -> None:
    assert from_json({"event": "paused", "trial_id": TRIAL}) is None
    assert from_json({"event": ["trial"]}) is None
    assert from_json({}) is None


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"resumed"}))  # of which all is filled in
def test_a_refusal_names_the_kind_and_what_is_amiss(kind: str) -> None:
    with pytest.raises(EventError, match=rf"^an event '{kind}' is not what it must be \(.+\)$"):
        from_json({"event": kind})


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e400, -1, 1.5, "4", 2**60])
@pytest.mark.parametrize("name", ["trials_per_arm", "time"])
def test_a_count_or_a_time_that_is_no_whole_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(EventError, match="must be a whole number"):
        from_json({"event": "resumed", "changes": [], name: value})


@pytest.mark.parametrize(
    "odd",
    [
        {"recipes": ["a/000"]},
        {"recipes": {"a": "a/000"}},
        {"recipes": {"a": [7]}},
        {"draws": ["0f1e"]},
        {"draws": {"1": "0f1e"}},
    ],
)
def test_recipes_that_are_no_lists_of_names_and_draws_that_are_no_objects_are_refused(
    odd: dict[str, Any],
) -> None:
    with pytest.raises(EventError, match="an event 'finalists' is not what it must be"):
        from_json({"event": "finalists", "trial_ids": [FINALIST], **odd})


def test_a_metric_that_decides_nothing_is_refused() -> None:
    with pytest.raises(EventError, match="'f1' must be one of accuracy, balanced_accuracy, macro"):
        from_json({**to_json(EVENTS[-1]), "metric": "f1"})


def test_what_is_no_number_in_an_end_is_not_known() -> None:
    line = {"event": "end", "trial_id": TRIAL, "outcome": "completed", "test": {"a": 1, "b": None}}
    odd = dict.fromkeys(("score", "best_epoch", "wall_seconds"), float("nan"))
    expected = TrialEnded(trial_id=TRIAL, outcome=Outcome.COMPLETED, test={"a": 1})
    assert from_json({**line, **odd, "device_seconds": "many"}) == expected


def test_what_is_no_epoch_among_others_is_left_out() -> None:
    good = {"epoch": 1, "score": 0.5}
    odd = [{"epoch": 0}, {"epoch": "1"}, {"epoch": float("inf")}, {"score": 0.5}, 1, None]
    line = {"event": "epochs", "trial_id": TRIAL, "epochs": [*odd, good]}
    assert from_json(line) == EpochsReported(trial_id=TRIAL, epochs=(good,))


def test_what_an_earlier_version_lacked_is_filled_in() -> None:
    # A finalist without its group, and a recipe without the fields that came later.
    had = {name: value for name, value in RECIPE.items() if name not in ADDED}
    line = {"event": "trial", "trial_id": FINALIST, "arm": "resnet18/tricks", "number": 7}
    event = from_json({**line, "role": "finalist", "recipe": had})
    assert isinstance(event, TrialStarted)
    assert event.finalist == Finalist(TRIAL)
    assert event.recipe == had | dict(ADDED)
    assert event.sample == {}

    # A champion without the side of its stored images and without predictions, and an end without
    # more than its outcome.
    champion = to_json(EVENTS[-1])
    for name in ("stored_side", "description", *LATER):
        del champion[name]
    untold = {"stored_side": None, "description": "", **LATER}
    assert from_json(champion) == replace(EVENTS[-1], **untold)
    # A choice of finalists that compared the best recipe alone, all on the same images.
    chosen = from_json({"event": "finalists", "trial_ids": [FINALIST]})
    assert chosen == FinalistsChosen(trial_ids=(FINALIST,), **LATER_OF_CHOICE)
    finish = from_json({"event": "finish", "outcome": "completed"})
    assert finish == SweepFinished(outcome=Outcome.COMPLETED)
    assert finish.partial is None


@pytest.mark.parametrize("path", JOURNALS, ids=lambda path: path.parent.name)
def test_lines_of_earlier_versions_are_written_back_as_they_were(path: Path) -> None:
    lines = list(map(json.loads, path.read_text().splitlines()))
    assert lines
    for line in lines:
        event = from_json(line)
        assert event is not None
        written = _through_json(to_json(event))
        if line["event"] == "trial":
            for name in ADDED.keys() - line["recipe"].keys():
                del written["recipe"][name]
        if line["event"] == "champion":
            for name in LATER:
                del written[name]
        if line["event"] == "sweep":
            assert written.pop("shared") == {}
        if line["event"] == "finalists":
            for name, untold in LATER_OF_CHOICE.items():
                assert written.pop(name) == untold
        assert written == line


def test_there_are_journals_of_earlier_versions() -> None:
    assert len(JOURNALS) == 3


def _through_json(line: Mapping[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(_dumped(line))
    return read


def _dumped(line: Mapping[str, Any]) -> str:
    """Return a line as the journal has it; as text, NaN is equal to itself."""
    return json.dumps(line)
