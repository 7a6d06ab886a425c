"""The report and the data page can be read on a phone, and by who uses a screen reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from benchmarks.synthetic_sweep import make
from sweeps.report.page import write
from tests.data_zoo.pictures import picture, save
from tests.integration.browser import axe, axe_script, needs_axe, needs_chromium, on_a_phone
from tests.integration.conftest import shared_folder
from tests.integration.test_dvt import dvt
from trainables.data import dataset

PAGES = ("report", "compared", "running", "data")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The pages as commands write them: with figures, pictures, caveats and a banner."""
    storage = tmp_path_factory.mktemp("storage")
    data = dataset.prepare(
        "digits",
        image_size=32,
        caps=dataset.Caps(train=20, val=30, test=30),
        seed=0,
        cache=storage / "cache",
    )
    test = dataset.read(data.path, test=True).split("test")
    told = {"name": "digits", "classes": list(data.classes), "path": str(data.path)}
    asked: dict[str, Any] = {
        "trials": 12,
        "recipes": 3,
        "seeds": range(6),
        "classes": data.classes,
        "labels": test.labels.tolist(),
        "images": len(test.labels),
        "described": {"data": told},
    }
    report = write(make(storage, "one", **asked)).page
    make(storage, "two", trials=5, shift=-0.03)
    part = make(storage, "part", trials=4, seeds=(), finish=None)
    done = dvt(storage, "report", "one", "two", "--storage", ".")
    assert done.code == 0, done.err
    return {
        "report": report,
        "compared": report.with_name("compare-two.html"),
        "running": write(part, "running", reload_s=10).page,
        "data": data_page(storage),
    }


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shared_folder(tmp_path_factory)
    with FileLock(folder / "axe.lock"):
        return axe_script(folder)


def data_page(folder: Path) -> Path:
    """Return the page of a folder of photos, with a copy and a long name."""
    for part in ("train", "val", "test"):
        for name in ("ant", "bee", "cat"):
            for at in range(4):
                file = folder / "photos" / part / name / f"{'long name ' * 4}{at}.png"
                save(file, picture(f"{part} {name}", at))
    save(folder / "photos" / "train" / "ant" / "copy.png", picture("test ant", 0))
    done = dvt(folder, "data", "photos", "--size", "32", "--storage", ".")
    assert done.code == 0, done.err
    return folder / "data" / "photos.html"


@needs_axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(
    pages: dict[str, Path], script: Path, tmp_path: Path, name: str, scheme: str
) -> None:
    flags = ["--force-dark-mode"] if scheme == "dark" else []
    found = axe(pages[name], script, tmp_path, *flags)
    assert found["passed"] > 20
    assert [one for one in found["violations"] if one["impact"] != "minor"] == []


@needs_axe
def test_axe_would_find_what_is_wrong(pages: dict[str, Path], script: Path, tmp_path: Path) -> None:
    spoiled = tmp_path / "spoiled.html"
    html = (
        pages["report"]
        .read_text()
        .replace(' lang="en"', "")
        .replace("--soft: #5c6168", "--soft: #bbb")
    )
    spoiled.write_text(html)
    found = axe(spoiled, script, tmp_path)
    assert {"html-has-lang", "color-contrast"} <= {one["id"] for one in found["violations"]}


@needs_chromium
@pytest.mark.parametrize("name", PAGES)
def test_on_a_phone_the_page_is_no_wider_than_the_screen(
    pages: dict[str, Path], tmp_path: Path, name: str
) -> None:
    told = on_a_phone(pages[name], tmp_path)
    assert told["width"] <= 390
    assert told["flat"] == told["overflow"] == 0
    assert told["charts"] > (20 if name == "report" else -1)
