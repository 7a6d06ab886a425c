"""A report of whatever is in the folder: parts missing, junk in their place, lines lost.

It is written, and nothing raises.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.synthetic_sweep import make
from sweeps.report.compare import comparison_page
from sweeps.report.findings import find
from sweeps.report.page import rendered, sweep_page
from sweeps.report.runs import read_run

JUNK = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        3.7,
        10**400,
        float("nan"),
        "",
        "</script>",
        [],
        ["x"],
        [[1]],
        {},
        {"a": {"b": 1}},
    ]
)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    arms = ("resnet18/plain", "resnet18/tricks")
    return make(
        tmp_path_factory.mktemp("origin"),
        trials=2,
        arms=arms,
        images=20,
        seeds=(0, 1, 2),
        epochs=3,
        ablations=False,
    )


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything inside a nested value."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [found for key, below in inner for found in [(*path, key), *places(below, (*path, key))]]


def spoiled(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    """A copy with junk at a place."""
    changed = copy.deepcopy(value)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = junk
    return changed


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_part_of_the_description_may_be_junk(
    origin: Path, tmp_path: Path, data: st.DataObject
) -> None:
    described = json.loads((origin / "sweep.json").read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        described = spoiled(
            described, data.draw(st.sampled_from(places(described))), data.draw(JUNK)
        )
    _reported(origin, tmp_path, json.dumps(described), (origin / "trials.jsonl").read_text())


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_part_of_any_event_may_be_junk(
    origin: Path, tmp_path: Path, data: st.DataObject
) -> None:
    events = [json.loads(line) for line in (origin / "trials.jsonl").read_text().splitlines()]
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(events) - 1))
        events[at] = spoiled(
            events[at], data.draw(st.sampled_from(places(events[at]))), data.draw(JUNK)
        )
    _reported(
        origin,
        tmp_path,
        (origin / "sweep.json").read_text(),
        "".join(json.dumps(event) + "\n" for event in events),
    )


def test_every_field_of_the_description_may_be_missing(origin: Path, tmp_path: Path) -> None:
    described = json.loads((origin / "sweep.json").read_text())
    for first in range(4):
        gone = list(described)[first::4]
        left = {name: value for name, value in described.items() if name not in gone}
        _reported(origin, tmp_path, json.dumps(left), (origin / "trials.jsonl").read_text())


def test_a_journal_may_end_anywhere(origin: Path, tmp_path: Path) -> None:
    journal = (origin / "trials.jsonl").read_text()
    for share in range(0, 100, 13):
        _reported(
            origin,
            tmp_path,
            (origin / "sweep.json").read_text(),
            journal[: len(journal) * share // 100],
        )


@pytest.mark.parametrize("text", ["", "[]", "null", "3", "{", '{"arms": 3}', "\x00"])
def test_a_description_may_be_no_object(origin: Path, tmp_path: Path, text: str) -> None:
    _reported(origin, tmp_path, text, (origin / "trials.jsonl").read_text())


def _reported(origin: Path, folder: Path, description: str, journal: str) -> None:
    (folder / "sweep.json").write_text(description)
    (folder / "trials.jsonl").write_text(journal)
    if not (folder / "predictions").exists():
        (folder / "predictions").symlink_to(origin / "predictions")
    found = find(read_run(folder))
    assert "</html>" in rendered(sweep_page(found))
    comparison_page(found, found)
    found.run.trials.to_csv()
