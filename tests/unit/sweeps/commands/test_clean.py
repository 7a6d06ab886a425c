"""What `dvt clean` shows, removes and leaves."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from sweeps.commands import dvt
from tests.unit.sweeps.journals import ALL, finished, other_driver, write_sweep

Clean = Callable[..., str]


@pytest.fixture
def clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Clean:
    """Run the command on the storage; what it says on both streams."""
    monkeypatch.delenv("DVT_CACHE_DIR", raising=False)

    def run(*words: str, yes: bool = True, code: int = 0) -> str:
        found = dvt.run(["clean", *words, *["--yes"] * yes, "--storage", str(tmp_path)])
        said = capsys.readouterr()
        assert found == code, said
        assert bool(said.err) == (code != 0)
        return said.out + said.err

    return run


def ended(storage: Path, name: str = "one", outcome: str = "completed") -> Path:
    """An ended sweep with the checkpoints of three trials, of which the second is the champion."""
    folder = write_sweep(storage, name, [*ALL, finished(outcome)])
    for trial in ("plain-000", "plain-001", "tricks-000"):
        (folder / "checkpoints" / f"resnet18-{trial}").mkdir(parents=True)
        (folder / "checkpoints" / f"resnet18-{trial}" / "best.pt").write_bytes(bytes(1000))
    (folder / "champion").mkdir()
    (folder / "champion" / "best.pt").write_bytes(bytes(1000))
    (folder / "champion" / "recipe.json").write_text(
        '{"trial": "resnet18/plain/001", "score": 0.5}'
    )
    return folder


def cached(cache: Path, **users: list[str]) -> Path:
    """A cache with stored activations, and who used each."""
    for name in ("data/abc", "digits-source/v1", "datasets", "locks", "prefix/locks", "notes"):
        (cache / name).mkdir(parents=True)
        (cache / name / "file").write_bytes(bytes(5000))
    for entry, names in users.items():
        (cache / "prefix" / entry / "sweeps").mkdir(parents=True)
        (cache / "prefix" / entry / "activations.npy").write_bytes(bytes(2000))
        for name in names:
            (cache / "prefix" / entry / "sweeps" / name).touch()
    return cache


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_without_a_word_it_shows_what_occupies_what_and_removes_nothing(
    clean: Clean, tmp_path: Path
) -> None:
    folder, cache = ended(tmp_path), cached(tmp_path / "cache", aa=["one"])
    before = sorted(tmp_path.rglob("*"))
    said = clean(yes=False)
    for part in (
        "decoded data",
        "activations of frozen layers",
        "source models",
        "3.0 kB",
        "7.0 kB",
        "1.0 kB",
        "finished",
    ):
        assert part in said, said
    assert str(cache) in said
    assert folder.name in said
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_storage_is_no_error(clean: Clean, tmp_path: Path) -> None:
    assert "0 bytes" in clean(yes=False)
    assert "Nothing to remove" in clean("cache", "checkpoints", "prefix", "data")
    assert list(tmp_path.iterdir()) == []


def test_cache_is_all_of_it_that_is_ours(clean: Clean, tmp_path: Path) -> None:
    ended(tmp_path)
    cache = cached(tmp_path / "cache", aa=["one"])
    (cache / "convolutions.json").write_text("{}")
    assert "Removed" in clean("cache", "prefix", "data")
    assert names(cache) == {"notes"}, "what the user keeps there is not ours"
    assert names(tmp_path / "sweeps") == {"one"}


@pytest.mark.parametrize("part", ["data", "prefix"])
def test_a_part_of_the_cache_goes_alone(part: str, clean: Clean, tmp_path: Path) -> None:
    cache = cached(tmp_path / "cache", aa=["one"])
    before = names(cache)
    clean(part)
    assert names(cache) == before - {part}


def test_the_cache_may_be_elsewhere(
    clean: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, other = cached(tmp_path / "elsewhere", aa=["one"]), cached(tmp_path / "cache")
    monkeypatch.setenv("DVT_CACHE_DIR", str(cache))
    assert "other storages" in clean("cache")
    assert names(cache) == {"notes"}
    assert (other / "data" / "abc" / "file").exists()


def test_a_running_sweep_keeps_the_cache_but_for_activations_of_others(
    clean: Clean, tmp_path: Path
) -> None:
    running = ended(tmp_path, "running")
    cache = cached(tmp_path / "cache", aa=["one@s1"], bb=["one", "running"], cc=["running@s0"])
    (cache / "prefix" / ".half.tmp").mkdir()
    before = names(cache)
    with other_driver(running):
        assert "wait for its end" in clean("data", code=2)
        assert "wait for its end" in clean("cache", code=2)
        said = clean("prefix")
    assert "prefix: 1 of 3 entries" in said
    assert "stay (4.0 kB): they are used by running." in said
    assert names(cache) == before
    assert names(cache / "prefix") == {"bb", "cc", ".half.tmp", "locks"}


def test_checkpoints_of_finished_sweeps_go_and_the_champions_stay(
    clean: Clean, tmp_path: Path
) -> None:
    one, two, broken, running = (
        ended(tmp_path, name) for name in ("one", "two", "broken", "running")
    )
    stopped = ended(tmp_path, "stopped", "interrupted")
    (two / "champion" / "recipe.json").unlink()
    bare = ended(tmp_path, "bare")
    (bare / "champion" / "best.pt").unlink()
    (broken / "sweep.json").unlink()
    with FileLock(running / "driver.lock"):
        said = clean("checkpoints")
    assert "3.0 kB  checkpoints of one" in said
    assert names(one / "checkpoints") == set()
    assert "2.0 kB  checkpoints of bare" in said
    assert names(bare / "checkpoints") == {"resnet18-plain-001"}, "the champion's only file"
    assert names(one / "champion") == {"best.pt", "recipe.json"}
    for folder, why in (
        (two, "recipe.json"),
        (broken, "damaged"),
        (running, "it is running"),
        (stopped, "--resume"),
    ):
        assert len(names(folder / "checkpoints")) == 3
        assert any(
            why in line
            for line in said.splitlines()
            if line.startswith(f"Checkpoints of {folder.name} stay (3.0 kB)")
        )


def test_weights_that_mlflow_holds_too_are_not_counted_as_freed(
    clean: Clean, tmp_path: Path
) -> None:
    folder = ended(tmp_path)
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "best.pt").hardlink_to(folder / "champion" / "best.pt")
    assert "3.0 kB  checkpoints of one" in clean("checkpoints")
    (folder / "again.pt").write_bytes(bytes(500_000))
    (folder / "twice.pt").hardlink_to(folder / "again.pt")
    said = clean("one")
    assert "Removed 50" in said, "its own file once, and not the one that stays"
    assert (tmp_path / "artifacts" / "best.pt").stat().st_size == 1000


def test_sweeps_go_by_name_or_pattern_and_mlflow_stays(clean: Clean, tmp_path: Path) -> None:
    for name in ("one", "two-a", "two-b", "three"):
        ended(tmp_path, name)
    (tmp_path / "mlflow.db").touch()
    (tmp_path / "sweeps" / "two-foreign").mkdir()
    said = clean("one", "two-*", "checkpoints")
    assert "MLflow keeps" in said
    assert names(tmp_path / "sweeps") == {"three", "two-foreign"}
    assert names(tmp_path / "sweeps" / "three" / "checkpoints") == set()
    assert (tmp_path / "mlflow.db").exists()
    clean("two-foreign")
    assert names(tmp_path / "sweeps") == {"three"}


def test_a_running_sweep_is_left(clean: Clean, tmp_path: Path) -> None:
    folder = ended(tmp_path, "two-b")
    ended(tmp_path, "two-a")
    with other_driver(folder):
        assert "two-b is running" in clean("two-b", code=2)
        assert "two-b stays: it is running" in clean("two-*")
    assert names(tmp_path / "sweeps") == {"two-b"}
    assert (folder / "champion" / "best.pt").exists()


def test_a_sweep_that_starts_after_the_question_is_left(
    clean: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ended(tmp_path)
    lock = FileLock(folder / "driver.lock")
    monkeypatch.setattr(sys, "stdin", _Terminal())
    monkeypatch.setattr("click.confirm", lambda question: lock.acquire() is not None)
    assert "started meanwhile" in clean("one", yes=False, code=1)
    lock.release()
    assert (folder / "champion" / "best.pt").exists()


class _Terminal:
    def isatty(self) -> bool:
        return True


def test_it_asks_and_takes_no_for_an_answer(
    clean: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ended(tmp_path)
    questions: list[str] = []
    monkeypatch.setattr(sys, "stdin", _Terminal())
    monkeypatch.setattr("click.confirm", lambda question: questions.append(question))
    assert dvt.run(["clean", "one", "--storage", str(tmp_path)]) == 1
    assert len(questions) == 1
    assert folder.exists()


def test_without_a_terminal_it_needs_yes(clean: Clean, tmp_path: Path) -> None:
    folder = ended(tmp_path)
    assert "pass --yes" in clean("one", yes=False, code=2)
    assert folder.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["on"], "Did you mean 'one'?"),
        (["chache"], "Did you mean 'cache'?"),
        (["x*"], "no sweep matches 'x*'"),
        (["../one"], "unknown sweep"),
        (["--al"], "unknown option '--al' of dvt clean"),
        ([], "--yes needs"),
    ],
)
def test_what_is_not_known_is_refused_and_nothing_goes(
    words: list[str], said: str, clean: Clean, tmp_path: Path
) -> None:
    folder = ended(tmp_path)
    cached(tmp_path / "cache")
    found = clean(*words, *["cache"] * bool(words), code=2)
    assert said in found
    assert found.count("\n") == 1
    assert (tmp_path / "cache" / "data").exists()
    assert folder.exists()


def test_what_cannot_be_deleted_is_a_line_and_goes_the_next_time(
    clean: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(tmp_path)
    ended(tmp_path, "two")

    def refuse(path: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise PermissionError(13, "Permission denied", str(path / "checkpoints"))

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", refuse)
        said = clean("one", code=1)
    assert "Removed 0 bytes" in said
    assert [line for line in said.splitlines() if "error: " in line and "Permission denied" in line]
    assert not (tmp_path / "sweeps" / "one").exists(), "nobody sees half a sweep"
    assert "earlier removal" in clean("two")
    assert names(tmp_path / "sweeps") == set()


def test_one_that_cannot_be_renamed_does_not_keep_the_others(
    clean: Clean, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(tmp_path)
    ended(tmp_path, "two")
    rename = Path.rename

    def refuse(path: Path, target: Any) -> Path:
        if path.name == "one":
            raise PermissionError(13, "Permission denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    assert clean("one", "two", code=1).count("error: ") == 1
    assert names(tmp_path / "sweeps") == {"one"}


def test_a_link_goes_and_what_it_leads_to_stays(clean: Clean, tmp_path: Path) -> None:
    real = ended(tmp_path / "real")
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "link").symlink_to(real)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "data").symlink_to(real / "checkpoints")
    clean("link", "data")
    assert names(tmp_path / "sweeps") == names(tmp_path / "cache") == set()
    assert len(names(real / "checkpoints")) == 3


def test_events_that_only_the_folder_has_are_pointed_out(clean: Clean, tmp_path: Path) -> None:
    (ended(tmp_path) / "mlflow.offset").unlink()
    assert "dvt sync one" in clean("one")
