"""What of a manifest tells one sweep from every other, and what no longer is what it was."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from search_spaces.depth_vs_tricks import SPACE
from sweeps.records.champion import Bounds
from sweeps.records.deciding_code import code_digest
from sweeps.records.manifest import (
    ROOT,
    bounds_of,
    changes,
    definition,
    study_file,
    write_manifest,
)


def manifest(**other: Any) -> dict[str, Any]:
    whole = {
        "definition": definition(SPACE.grid()),
        "data": {"source": "digits", "digest": "d"},
        "weights": [{"weights": "imagenet", "backbone": "resnet18", "digest": "w"}],
        "code": "c",
        "versions": {"torch": "2.15.0"},
    }
    return whole | other


def test_everything_that_has_changed_is_named() -> None:
    before = manifest()
    assert changes(before, manifest()) == []
    other = json.loads(json.dumps(before["definition"]))
    other["resnet18/plain"]["tuned"]["stage2_lr"]["high"] = 0.5
    del other["resnet50/tricks"]
    now = manifest(
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


def test_contrasts_that_are_planned_anew_are_a_change() -> None:
    before = manifest(contrasts=[{"name": "a"}], finalist_seeds=[1, 2])
    assert changes(before, before) == []
    lines = changes(before, before | {"contrasts": [], "finalist_seeds": [1]})
    assert lines == ['contrasts: [{"name": "a"}] is now []', "finalist seeds: [1, 2] is now [1]"]


@pytest.mark.parametrize(
    ("now", "changed"),
    [
        ([1, 2, 3], False),
        ([1, 2], False),
        ([1], True),
        ([], True),
        ([2, 1, 3], True),
        ([1, 3, 2], True),
    ],
)
def test_seeds_may_go_on_where_they_ended_and_no_other_change_of_them_is_none(
    now: list[int], changed: bool
) -> None:
    before = manifest(finalist_seeds=[1, 2])
    expected = [f"finalist seeds: [1, 2] is now {now}"] if changed else []
    assert changes(before, before | {"finalist_seeds": now}) == expected


def test_one_more_contrast_is_a_change_though_those_before_are_the_same() -> None:
    before = manifest(contrasts=[{"name": "a"}])
    now = before | {"contrasts": [{"name": "a"}, {"name": "b"}]}
    assert changes(before, now) == [
        'contrasts: [{"name": "a"}] is now [{"name": "a"}, {"name": "b"}]'
    ]


@pytest.mark.parametrize(
    ("options", "bounds"),
    [
        ({"max_ms": 20.0, "max_mb": 90}, Bounds(ms=20.0, mb=90)),
        ({"max_ms": None, "max_mb": 90.5}, Bounds(mb=90.5)),
        ({}, Bounds()),
        ({"max_ms": "20", "max_mb": float("nan")}, Bounds()),
        (None, Bounds()),
        (["max_ms"], Bounds()),
    ],
)
def test_a_champions_bounds_are_those_of_the_options_whatever_else_they_hold(
    options: Any, bounds: Bounds
) -> None:
    assert bounds_of({"options": options}) == bounds
    assert bounds_of({}) == Bounds()


def test_a_definition_is_what_json_gives_back() -> None:
    found = definition(SPACE.grid())
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("python my/study.py --trials 3", "my/study.py"),
        ("python '/my runs/study.py' --gpus 2", "/my runs/study.py"),
        ("python -m mine", "sweeps/two_stage.py"),
        ("python 'torn", "sweeps/two_stage.py"),
        (None, "sweeps/two_stage.py"),
    ],
)
def test_the_study_is_where_it_was_started_from(command: str | None, path: str) -> None:
    assert study_file({"study": "two_stage", "command": command}) == path


def test_a_manifest_is_written_whole(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"study": "s"})
    assert json.loads((tmp_path / "sweep.json").read_text()) == {"study": "s"}
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.json"]


NOTHING_CHANGED: dict[str, Any] = {
    "definition": {},
    "data": {"digest": "d", "source": "digits"},
    "weights": [],
    "versions": {},
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The project's packages, to be changed."""
    for package in ("sweeps", "trainables", "search_spaces", "cluster"):
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=skipped)
    return tmp_path


def test_the_codes_digest_is_stable(tree: Path) -> None:
    assert code_digest() == code_digest(tree)
    assert re.fullmatch(r"syntax-1:[0-9a-f]{16}", code_digest())


@pytest.mark.parametrize(
    "file",
    [
        "trainables/finetune.py",
        "trainables/ray_trial.py",
        "trainables/data/splits.py",
        "trainables/tricks/mixup.py",
        "search_spaces/space.py",
        "search_spaces/to_optuna.py",
        "sweeps/records/history.py",
        "sweeps/records/results.py",
        "sweeps/records/score.py",
        "sweeps/runner/searcher.py",
        "sweeps/runner/scheduler.py",
        "sweeps/records/design.py",
        "sweeps/runner/finalists/candidates.py",
        "sweeps/runner/finalists/contenders.py",
        "sweeps/runner/finalists/draws.py",
        "sweeps/runner/finalists/rounds.py",
        "sweeps/runner/finalists/training.py",
        "sweeps/runner/trials.py",
    ],
)
def test_code_that_decides_numbers_or_the_search_is_in_the_digest(tree: Path, file: str) -> None:
    before = code_digest(tree)
    path = tree / file
    path.write_text(path.read_text() + "CHANGED = 1\n")
    assert code_digest(tree) != before


def test_comments_docstrings_and_layout_are_not_in_the_digest(tree: Path) -> None:
    before = code_digest(tree)
    path = tree / "trainables/finetune.py"
    text = path.read_text().replace('"""', '"""Also: ', 1)
    path.write_text(f"# A comment.\n{text}\n\n\n# Another.\n")
    assert code_digest(tree) == before


def test_a_value_that_looks_like_a_docstring_is_in_the_digest(tree: Path) -> None:
    path = tree / "trainables/new.py"
    path.write_text('WORDS = """one"""\n')
    before = code_digest(tree)
    path.write_text('WORDS = """two"""\n')
    assert code_digest(tree) != before


def test_code_that_is_no_python_yet_is_in_the_digest_as_it_is(tree: Path) -> None:
    path = tree / "trainables/new.py"
    path.write_text("def half(\n")
    before = code_digest(tree)
    path.write_text("def half(a\n")
    assert code_digest(tree) != before


def test_a_digest_of_an_earlier_form_is_never_taken_for_the_same() -> None:
    before = {**NOTHING_CHANGED, "code": "0123456789abcdef"}
    now = {**NOTHING_CHANGED, "code": code_digest()}
    assert "whether it changed is not known" in " ".join(changes(before, now))


@pytest.mark.parametrize("file", ["trainables/new.py", "sweeps/runner/new.py"])
def test_a_file_more_of_such_code_changes_the_digest(tree: Path, file: str) -> None:
    before = code_digest(tree)
    (tree / file).touch()
    assert code_digest(tree) != before


@pytest.mark.parametrize(
    "file",
    [
        "sweeps/commands/clean.py",
        "sweeps/report/page.py",
        "sweeps/tracking/courier.py",
        "sweeps/predict/model.py",
        "sweeps/runner/cli.py",
        "sweeps/runner/options.py",
        "sweeps/runner/progress.py",
        "sweeps/runner/view.py",
        "sweeps/runner/finalists/ahead.py",
        "trainables/problems.py",
        "sweeps/two_stage.py",
        "search_spaces/two_stage.py",
        "cluster/session.py",
    ],
)
def test_code_that_decides_neither_and_another_studys_space_are_not(tree: Path, file: str) -> None:
    before = code_digest(tree)
    path = tree / file
    path.write_text(path.read_text() + "CHANGED = 1\n")
    assert code_digest(tree) == before
