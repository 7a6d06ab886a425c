"""A sweep is meant by its name, by a part that no other has, or by being the newest."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.refused import Refused
from sweeps.records.named import newest_first, sweep_named
from tests.unit.sweeps.journals import ALL, write_sweep

NAMES = ("depth-20251101-a196", "depth-20251102-a197", "depth-20251102-a197-2", "two_stage-x")


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    for day, name in enumerate(NAMES, 1):
        write_sweep(tmp_path, name, ALL, started=f"2025-11-{day:02}T00:00:00+00:00")
    return tmp_path


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("depth-20251101-a196", "depth-20251101-a196"),
        ("a196", "depth-20251101-a196"),
        ("two", "two_stage-x"),
        ("1101", "depth-20251101-a196"),
        ("depth-20251102-a197", "depth-20251102-a197"),
        ("97-2", "depth-20251102-a197-2"),
    ],
)
def test_a_whole_name_or_a_part_of_one_alone_is_enough(storage: Path, word: str, name: str) -> None:
    assert sweep_named(storage, word) == name


def test_a_part_of_several_names_lists_them(storage: Path) -> None:
    with pytest.raises(Refused) as refused:
        sweep_named(storage, "1102")
    assert refused.value.problems == (
        "'1102' must be in the name of one sweep, but is in 2: "
        "depth-20251102-a197, depth-20251102-a197-2.",
    )


@pytest.mark.parametrize("word", ["", "depht-20251101-a196", "../sweeps/two_stage-x", "a\nb"])
def test_what_no_name_has_is_refused_with_the_known_names(storage: Path, word: str) -> None:
    with pytest.raises(Refused) as refused:
        sweep_named(storage, word)
    (line,) = refused.value.problems
    assert line.isprintable()
    assert line.startswith("no sweep named ")
    assert line.endswith(f"Known: {', '.join(NAMES)}.")


def test_the_newest_comes_first_and_what_says_no_time_is_left_out(storage: Path) -> None:
    (storage / "sweeps" / NAMES[0] / "sweep.json").write_text("{")
    assert newest_first(storage) == [NAMES[3], NAMES[2], NAMES[1]]


def test_a_storage_without_sweeps_says_so(tmp_path: Path) -> None:
    for look in (newest_first, lambda storage: sweep_named(storage, "a")):
        with pytest.raises(Refused, match="no sweeps in "):
            look(tmp_path)
    (tmp_path / "sweeps" / "one").mkdir(parents=True)
    (tmp_path / "sweeps" / "one" / "sweep.json").write_text("[]")
    with pytest.raises(Refused, match="`dvt list` says why"):
        newest_first(tmp_path)
