"""The pictures that MLflow gets: the worst mistakes, and images of each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.synthetic_sweep import make
from sweeps.report import sheets
from sweeps.report.blocks import Picture, Pictures, Text
from sweeps.report.findings import Findings, find
from sweeps.report.mistakes import data_uri
from sweeps.report.runs import read_run
from sweeps.report.sheets import EXAMPLES, IN_A_ROW, MISTAKES, write_sheets
from trainables.data import dataset
from trainables.data.sheets import GAP, SIDE

PICTURE = Picture(data_uri(np.full((8, 8, 3), 200, np.uint8)), ["cat", "predicted dog"])


@pytest.fixture
def with_images(tmp_path: Path) -> Findings:
    """A sweep on images of two classes that are in the cache."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "photos.npz", x_train=pixels, y_train=np.arange(60) % 2)
    caps = dataset.Caps(train=10**6, val=4, test=4)
    data = dataset.prepare(
        str(tmp_path / "photos.npz"), image_size=32, caps=caps, seed=0, cache=tmp_path / "cache"
    )
    described = {"path": str(data.path), "classes": ["cat", "dog"]}
    arms = ("resnet18/tricks",)
    folder = make(tmp_path, trials=2, seeds=(), arms=arms, described={"data": described})
    return find(read_run(folder))


def test_each_class_has_a_row_of_its_training_images(with_images: Findings) -> None:
    folder = with_images.run.folder
    written = write_sheets(with_images, folder)
    assert written == {EXAMPLES: folder / EXAMPLES}
    with Image.open(folder / EXAMPLES) as sheet:
        assert sheet.format == "PNG"
        assert sheet.width == IN_A_ROW * (SIDE + 2 * GAP)
        assert 2 * SIDE < sheet.height < 3 * SIDE


def test_mistakes_are_those_of_the_page_in_rows(
    found: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "worst", lambda findings: Pictures([PICTURE] * 9, "caption"))
    written = write_sheets(found, tmp_path)
    assert list(written) == [MISTAKES]
    with Image.open(tmp_path / MISTAKES) as sheet:
        assert sheet.width == IN_A_ROW * (SIDE + 2 * GAP)
        assert sheet.height > 2 * SIDE
        # Words below the first picture, and nothing in the cells that the second row lacks.
        pixels = np.asarray(sheet)
    assert pixels[GAP + SIDE : GAP + SIDE + 30, : SIDE + GAP].min() < 100
    assert pixels[sheet.height // 2 :, SIDE + 2 * GAP :].min() == 255


def test_where_there_is_nothing_to_show_nothing_is_written(
    found: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "worst", lambda findings: Text("it makes none."))
    assert write_sheets(found, tmp_path) == {}
    assert list(tmp_path.iterdir()) == []
