"""`dvt data` as a user types it: what it says, what it writes, and how it is refused."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

import pytest

from tests.data_zoo.pictures import picture, save
from tests.integration.test_dvt import dvt


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """`Training` and `Test` of seven classes, one test image in train too."""
    for part, number in (("Training", 8), ("Test", 4)):
        for name in ("ant", "bee", "cat", "dog", "elk", "fox", "gnu"):
            for at in range(number):
                save(
                    tmp_path / "my photos" / part / name / f"{at}.png",
                    picture(f"{part} {name}", at),
                )
    shutil.copy(
        tmp_path / "my photos/Test/ant/0.png", tmp_path / "my photos/Training/ant/again.png"
    )
    (tmp_path / "my photos" / "notes.txt").write_text("mine")
    return tmp_path


def test_it_says_what_was_understood_and_writes_a_page(photos: Path) -> None:
    done = dvt(photos, "data", "my photos", "--size", "32")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "Data: a folder per class inside Training/, Test/ of my photos"
    assert lines[1] == "7 classes: ant, bee, cat, dog, elk and 2 more (-v lists all)"
    assert "test: 28 images, 4 per class, from my photos/Test" in lines
    assert "Passed over: ending in .txt (1, such as notes.txt)" in lines
    (caution,) = [line for line in lines if line.startswith("Caution: ")]
    assert "Training/ant/again.png and Test/ant/0.png; left out of train" in caution
    page = photos / "mlruns" / "data" / "my-photos.html"
    assert lines[-3:] == ["To train on it:", "  dvt best 'my photos'", str(page)]
    assert "Test/ant/0.png" in page.read_text()


def test_the_command_that_it_prints_reads_the_data_in_the_same_way(photos: Path) -> None:
    done = dvt(
        photos,
        "data",
        "my photos",
        "--size",
        "32",
        "--layout",
        "splits",
        "--keep-copies",
        "--seed",
        "3",
    )
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    name, *words = shlex.split(lines[lines.index("To train on it:") + 1])
    assert name == "dvt"
    dry = dvt(photos, *words, "--weights", "none", "--gpus", "0", "--dry-run")
    assert dry.code == 0, dry.err
    assert set(lines[:6]) <= set(dry.out.splitlines()), (
        "the layout, classes, splits and what is passed over"
    )


def test_all_classes_are_named_with_v(photos: Path) -> None:
    done = dvt(photos, "data", "my photos", "--size", "32", "-v")
    assert "7 classes: ant, bee, cat, dog, elk, fox, gnu" in done.out.splitlines()


def test_json_is_one_object_with_all_that_was_found(photos: Path) -> None:
    done = dvt(photos, "data", "my photos", "--size", "32", "--json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert found["classes"] == ["ant", "bee", "cat", "dog", "elk", "fox", "gnu"]
    assert found["counts"]["test"] == dict.fromkeys(found["classes"], 4)
    assert found["origins"]["test"] == "my photos/Test"
    assert found["passed_over"] == {"ending in .txt": "1, such as notes.txt"}
    assert len(found["cautions"]) == 1
    assert found["notes"] == []
    assert found["sizes"]["shorter_side"] == {"least": 32, "median": 32, "most": 32}
    assert set(found["brightness"]) == set(found["classes"])
    assert found["copies"]["groups"] == 1
    assert {
        (image["file"], image["used"]) for image in found["copies"]["examples"][0]["images"]
    } == {
        ("Training/ant/again.png", None),
        ("Test/ant/0.png", "test"),
    }
    assert Path(found["page"]).is_file()


def test_data_that_cannot_be_used_are_refused_as_a_sweep_refuses_them(photos: Path) -> None:
    shutil.rmtree(photos / "my photos" / "Test" / "ant")
    (photos / "my photos" / "Training" / "bee" / "0.png").write_text("<html>")
    done = dvt(photos, "data", "my photos")
    assert (done.code, done.out) == (2, "")
    assert 0 < len(done.err.splitlines()) <= 8
    assert all(line.startswith("error: ") for line in done.err.splitlines())
    assert not (photos / "mlruns" / "data").exists()


def test_all_that_is_wrong_with_the_flags_is_said_at_once(photos: Path) -> None:
    done = dvt(photos, "data", "--layout", "flat", "--size", "2", "--sed", "3")
    assert (done.code, done.out) == (2, "")
    said = done.err.splitlines()
    assert len(said) == 3
    assert "--layout must be one of auto, classes, " in done.err
    assert "--size must be a whole number from 8 to 2048, but got '2'." in done.err
    assert "unknown option '--sed' of dvt data. Did you mean '--seed'?" in done.err
    assert not (photos / "mlruns").exists()


def test_data_as_a_flag_is_the_same_so_that_what_refusals_say_can_be_typed(photos: Path) -> None:
    (photos / "my photos" / "other").mkdir()
    shutil.copy(photos / "my photos/Test/ant/1.png", photos / "my photos/other/1.png")
    done = dvt(photos, "data", "--data", "my photos", "--layout", "splits", "--size", "32")
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    "words",
    [(), ("my photos", "other"), ("other", "--data", "my photos")],
    ids=["none", "two", "both"],
)
def test_one_data_set_must_be_named(photos: Path, words: tuple[str, ...]) -> None:
    done = dvt(photos, "data", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: dvt data takes one PATH or NAME of a data set, but ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("place", ["file", "/proc/runs", "x" * 300])
def test_a_storage_that_cannot_be_written_is_refused_together_with_the_data(
    photos: Path, place: str
) -> None:
    (photos / "file").touch()
    done = dvt(photos, "data", "nowhere", "--storage", place)
    assert (done.code, done.out) == (2, "")
    storage, data = done.err.splitlines()
    assert (
        place in storage
        or "--storage must be a folder that can be written to, but /proc cannot (" in storage
    )
    assert data.startswith("error: unknown data set or path 'nowhere'.")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_storage_is_refused_before_anything_is_decoded(photos: Path) -> None:
    (photos / "mlruns").mkdir(mode=0o500)
    done = dvt(photos, "data", "my photos")
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        f"error: --storage must be a folder that can be written to, but {photos / 'mlruns'} cannot "
        "(Permission denied): give "
        "another."
    ]


def test_read_only_data_are_read(photos: Path) -> None:
    folders = [
        photos / "my photos",
        *(path for path in (photos / "my photos").rglob("*") if path.is_dir()),
    ]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert dvt(photos, "data", "my photos", "--size", "32").code == 0
    finally:
        for folder in folders:
            folder.chmod(0o755)
