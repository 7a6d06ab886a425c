"""A storage that was moved or copied has its artifacts where it is now."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.records.events import ChampionKept, SweepFinished, SweepResumed
from sweeps.records.results import Outcome
from sweeps.tracking.moved import bring_home, here

STUDY = "a study's"
TABLES = """
create table experiments (artifact_location text, name text);
create table runs (artifact_uri text);
create table logged_models (artifact_location text);
create table model_versions (storage_location text, source text);
"""


def storage(folder: Path, *, of: Path | None = None, name: str = STUDY) -> Path:
    """Make a storage whose database has the places of another one, by default its own."""
    place = ((of or folder) / "artifacts" / name).as_uri()
    (folder / "artifacts" / name).mkdir(parents=True)
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection, connection:
        connection.executescript(TABLES)
        connection.execute("insert into experiments values ('/old/mlruns/0', 'Default')")
        connection.execute("insert into experiments values (?, ?)", (place, name))
        connection.execute("insert into experiments values (?, 'other')", (f"{place}/of/other",))
        connection.execute("insert into runs values (?)", (f"{place}/1f/artifacts",))
        connection.execute("insert into runs values (?)", (f"{place}2/1f/artifacts",))
        connection.execute("insert into logged_models values (?)", (f"{place}/models/m-1",))
        connection.execute(
            "insert into model_versions values (?, 'models:/m-1')", (f"{place}/models/m-1",)
        )
        connection.execute("insert into model_versions values (null, ?)", (f"{place}/models/m-1",))
    return folder


def places(folder: Path) -> list[str | None]:
    """Return all places in a storage's database."""
    return list(_places(folder))


def _places(folder: Path) -> Iterator[str | None]:
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        for which in (
            "artifact_location from experiments",
            "artifact_uri from runs",
            "artifact_location from logged_models",
            "storage_location from model_versions",
            "source from model_versions",
        ):
            for (place,) in connection.execute(f"select {which} order by rowid"):
                yield place


@pytest.mark.parametrize("name", ["new", "with ' and \" and %20", "q?x#y;z", "ä"])
@pytest.mark.parametrize("old", ["old", "an old one, 100%", "o_d"])
def test_all_places_of_a_moved_storage_are_below_it(tmp_path: Path, name: str, old: str) -> None:
    new = storage(tmp_path / name, of=tmp_path / old)
    assert bring_home(new / "mlflow.db", new) == [tmp_path / old]
    place = (new / "artifacts" / STUDY).as_uri()
    before = (tmp_path / old / "artifacts" / STUDY).as_uri()
    assert places(new) == [
        "/old/mlruns/0",
        place,
        f"{place}/of/other",
        f"{place}/1f/artifacts",
        f"{before}2/1f/artifacts",
        f"{place}/models/m-1",
        f"{place}/models/m-1",
        None,
        "models:/m-1",
        f"{place}/models/m-1",
    ]
    assert bring_home(new / "mlflow.db", new) == []


def test_a_copy_does_not_write_into_the_original(tmp_path: Path) -> None:
    original = storage(tmp_path / "original")
    copy = storage(tmp_path / "copy", of=original)
    before = places(original)
    assert bring_home(copy / "mlflow.db", copy) == [original]
    before_here = (original / "artifacts" / STUDY).as_uri() + "/"
    assert not [place for place in places(copy) if place and place.startswith(before_here)]
    assert bring_home(original / "mlflow.db", original) == []
    assert places(original) == before


def test_what_another_storage_has_and_this_one_has_not_stays(tmp_path: Path) -> None:
    other = storage(tmp_path / "other")
    ours = storage(tmp_path / "ours", of=other)
    (ours / "artifacts" / STUDY).rmdir()
    before = places(ours)
    assert bring_home(ours / "mlflow.db", ours) == []
    assert places(ours) == before


def test_a_storage_behind_a_link_is_the_same(tmp_path: Path) -> None:
    ours = storage(tmp_path / "ours")
    (tmp_path / "link").symlink_to(ours)
    before = places(ours)
    assert bring_home(tmp_path / "link" / "mlflow.db", tmp_path / "link") == []
    assert places(ours) == before


def test_places_that_no_storage_gave_stay(tmp_path: Path) -> None:
    ours = storage(tmp_path / "ours")
    with closing(sqlite3.connect(ours / "mlflow.db")) as connection, connection:
        connection.execute("delete from experiments")
        for place in ("s3://bucket/artifacts/x", "file:///gone/elsewhere/x", "mlruns/1", None):
            connection.execute("insert into experiments values (?, 'x')", (place,))
    before = places(ours)
    assert bring_home(ours / "mlflow.db", ours) == []
    assert places(ours) == before


def test_files_of_a_moved_sweep_are_in_its_folder(tmp_path: Path) -> None:
    kept = ChampionKept(
        name="x",
        checkpoint="/gone/sweeps/x/mlruns/sweeps/one/champion/best.pt",
        recipe={},
        classes=("a",),
        move_alias=True,
        predictions="/gone/sweeps/one/predictions/a-000-s1.npz",
    )
    folder = tmp_path / "sweeps" / "two"
    assert here(kept, folder) == replace(
        kept,
        checkpoint=str(folder / "champion/best.pt"),
        predictions=str(folder / "predictions/a-000-s1.npz"),
    )
    alone = replace(kept, predictions="")
    assert here(alone, folder) == replace(alone, checkpoint=str(folder / "champion/best.pt"))
    end = SweepFinished(
        outcome=Outcome.COMPLETED,
        artifacts={"sweep.json": "/gone/sweeps/one/sweep.json", "odd": "/elsewhere/odd"},
    )
    ours = {"sweep.json": str(folder / "sweep.json"), "odd": "/elsewhere/odd"}
    assert here(end, folder) == replace(end, artifacts=ours)
    resumed = SweepResumed(changes=())
    assert here(resumed, folder) is resumed
    assert here(None, folder) is None
