"""The page of `dvt data`, from a tiny set with names that hold HTML, dark images and copies."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sweeps.report.blocks import Pictures, Table
from sweeps.report.data_findings import DataFindings, Spread, find_in_data
from sweeps.report.data_page import CLASSES, EACH, data_page, write_data_page
from sweeps.report.page import rendered
from tests.data_zoo.pictures import picture, save
from trainables.data.dataset import Caps, prepare, read
from trainables.data.splits import EVERY

COMMAND = "python sweeps/find_best.py --data 'my pets'"
HOUND = "<b>hound & 'co'"
Look = Callable[..., DataFindings]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Decode a folder or file and look at it."""

    def find(data: Path, size: int = 32) -> DataFindings:
        caps = Caps(train=EVERY, val=EVERY, test=EVERY)
        ready = prepare(str(data), image_size=size, caps=caps, seed=0, cache=tmp_path / "cache")
        return find_in_data(read(ready.path, test=True))

    return find


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for name in ("cat", HOUND):
        for at in range(15):
            save(tmp_path / "pets" / name / f"{at:02d}.png", picture(name, at, 32 + at))
    return tmp_path / "pets"


def parts(found: DataFindings) -> dict[str, tuple[object, ...]]:
    return {section.name: tuple(section.blocks) for section in data_page(found, COMMAND).sections}


def test_a_set_without_faults_has_no_cautions_and_no_sections_of_them(
    look: Look, pets: Path
) -> None:
    found = look(pets)
    page = data_page(found, COMMAND)
    assert page.cautions == []
    assert "No copies and no blank images were found." in page.recipe
    assert [section.name for section in page.sections] == [
        "understood",
        "classes",
        "pictures",
        "sizes",
    ]
    assert page.answer == "pets: 2 classes, 30 images."


def test_images_are_counted_by_class_and_split(look: Look, pets: Path) -> None:
    (table,) = parts(look(pets))["classes"]
    assert isinstance(table, Table)
    assert [row.cells[:4] for row in table.rows] == [
        (HOUND, "9", "3", "3"),
        ("cat", "9", "3", "3"),
        ("all", "18", "6", "6"),
    ]
    assert not table.folded


def test_each_class_shows_some_images_of_each_split(look: Look, pets: Path) -> None:
    blocks = parts(look(pets))["pictures"]
    assert [block.title for block in blocks if isinstance(block, Pictures)] == [HOUND, "cat"]
    for block in blocks:
        assert isinstance(block, Pictures)
        assert [picture.lines[0] for picture in block.pictures] == [
            *["train"] * EACH,
            *["val"] * EACH,
            *["test"] * EACH,
        ]
        assert all(re.fullmatch(r"\d\d\.png", picture.lines[1]) for picture in block.pictures)


def test_names_of_classes_and_files_are_text_not_html(look: Look, pets: Path) -> None:
    shutil.copy(pets / "cat" / "00.png", pets / "cat" / "<img src=x onerror=alert(1)>.png")
    html = rendered(data_page(look(pets), COMMAND))
    assert "<b>hound" not in html
    assert "&lt;b&gt;hound" in html
    assert "<img src=x" not in html
    assert "onerror=alert(1)&gt;" in html


def test_the_page_asks_for_nothing_and_runs_nothing(look: Look, pets: Path) -> None:
    html = rendered(data_page(look(pets), COMMAND))
    assert "<script" not in html
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)
    assert len(html) < 200_000
    assert all(re.search(r' alt="[^"]+"', image) for image in re.findall(r"<img [^>]*>", html))


def test_images_of_one_color_are_shown_and_are_a_caution(look: Look, pets: Path) -> None:
    Image.new("RGB", (40, 40), (4, 4, 9)).save(pets / "cat" / "black.png")
    Image.new("RGB", (40, 40), (255, 250, 250)).save(pets / "cat" / "white.png")
    Image.new("RGB", (40, 40), (120, 120, 120)).save(pets / "cat" / "grey.png")
    found = look(pets)
    kinds = {image.name: image.kind for image in found.one_color}
    assert kinds == {
        "cat/black.png": "nearly black",
        "cat/white.png": "nearly white",
        "cat/grey.png": "of one color",
    }
    assert any(line.startswith("blank images: 3, such as ") for line in found.cautions)
    (shown,) = parts(found)["blank"]
    assert isinstance(shown, Pictures)
    assert sorted(picture.lines[2] for picture in shown.pictures) == sorted(kinds)


def test_copies_stand_side_by_side_with_their_names(look: Look, pets: Path) -> None:
    shutil.copy(pets / "cat" / "03.png", pets / HOUND / "wrong.png")
    text, pair = parts(look(pets))["copies"]
    assert getattr(text, "text", "").startswith("1 picture occurs more than once, 2 images in all.")
    assert isinstance(pair, Pictures)
    assert {(picture.lines[0], picture.lines[2]) for picture in pair.pictures} == {
        ("cat", "cat/03.png"),
        (HOUND, f"{HOUND}/wrong.png"),
    }
    assert "at least one label is wrong" in pair.caption


def test_brightness_and_sizes_are_those_of_the_images(look: Look, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 20, 30, 3), np.uint8)
    np.savez(tmp_path / "noise.npz", x_train=images, y_train=np.arange(40) % 2)
    found = look(tmp_path / "noise.npz", size=16)
    means = images[::2, :, 5:25].mean(axis=(1, 2, 3))
    assert found.side == 20
    assert found.brightness["0"].least == pytest.approx(means.min(), abs=0.01)
    assert found.brightness["0"].median == pytest.approx(np.median(means), abs=0.01)
    assert found.brightness["0"].most == pytest.approx(means.max(), abs=0.01)
    assert found.sizes["shorter side"] == Spread(least=20, median=20, most=20)
    assert found.sizes["longer to shorter side"] == Spread(least=1.5, median=1.5, most=1.5)


def test_one_image_that_is_enlarged_is_counted_as_one(look: Look, pets: Path) -> None:
    found = look(pets)
    for enlarged, said in ((1, " 1 image is smaller and enlarged."), (2, " 2 images are smaller")):
        (table,) = parts(replace(found, enlarged=enlarged))["sizes"]
        assert isinstance(table, Table)
        assert said in table.caption


def test_of_many_classes_the_largest_are_shown_and_the_table_is_folded(
    look: Look, tmp_path: Path
) -> None:
    classes = 40
    labels = np.concatenate([np.repeat(np.arange(classes), 9), [7] * 3])
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 64, 64, 3), np.uint8)
    np.savez(tmp_path / "many.npz", x_train=images, y_train=labels)
    found = look(tmp_path / "many.npz", size=64)
    sections = parts(found)
    (table,) = sections["classes"]
    assert isinstance(table, Table)
    assert table.folded
    assert len(table.rows) == classes + 1
    text, *blocks = sections["pictures"]
    assert getattr(text, "text", "") == "Of 40 classes, the 30 with the most images."
    assert len(blocks) == CLASSES
    assert getattr(blocks[0], "title", "") == "7"
    assert len(rendered(data_page(found, COMMAND))) < 2_000_000, "noise, which packs worst"


def test_it_is_written_whole_into_a_folder_that_is_made(
    look: Look, pets: Path, tmp_path: Path
) -> None:
    page = write_data_page(look(pets), COMMAND, tmp_path / "new" / "data")
    assert page == tmp_path / "new" / "data" / "pets.html"
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in page.parent.iterdir()] == ["pets.html"]
    assert "--data &#39;my pets&#39;" in page.read_text()
