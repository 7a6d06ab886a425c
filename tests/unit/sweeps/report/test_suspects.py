"""Labels that look wrong: which are listed in `suspects.csv` and on the page, with which names."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks.synthetic_sweep import make
from sweeps.report.blocks import Pictures, Table, Text
from sweeps.report.finalists import groups_of
from sweeps.report.findings import Findings, find
from sweeps.report.page import rendered, sweep_page, write
from sweeps.report.runs import read_run
from sweeps.report.suspect_pictures import MOST_PICTURES, suspect_pictures
from sweeps.report.suspects import COLUMNS, SuspectImage, suspected, write_suspects
from trainables.data import dataset
from trainables.data.dataset import Dataset

CLASSES = ("<b>cat", "dog & co", "=1+1")
PER_CLASS = 30
# Rows whose images all finalists take for the next class.
PLANTED = {
    "val": (1, 7),
    "test": (0, 3, 11),
}
DOCS = (Path(__file__).parents[4] / "docs" / "results.md").read_text()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Photographs in class folders.

    Names of classes and files hold what HTML and CSV take for their own.
    """
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for at, name in enumerate(CLASSES):
        (folder / name).mkdir()
        for image in range(PER_CLASS):
            pixels = rng.integers(60 * at, 60 * at + 60, (8, 8, 3), dtype=np.uint8)
            file = f'<img src=x onerror="alert(1)">, {image}\r.png'
            Image.fromarray(pixels).save(folder / name / file)
    caps = dataset.Caps(train=10**6, val=10**6, test=10**6)
    prepared = dataset.prepare(
        str(folder), image_size=32, caps=caps, seed=0, cache=tmp_path_factory.mktemp("cache")
    )
    return dataset.read(prepared.path, test=True)


@pytest.fixture
def sweep(data: Dataset, tmp_path: Path) -> Path:
    return planted(data, tmp_path)


def planted(data: Dataset, storage: Path, wrong: dict[str, tuple[int, ...]] | None = None) -> Path:
    """A sweep whose finalists are sure of all images; of planted ones, of the next class."""
    wrong = PLANTED if wrong is None else wrong
    described = {"data": {"classes": list(data.classes), "path": str(data.path)}}
    asked = {
        "arms": ("resnet18/tricks",),
        "trials": 5,
        "seeds": (0, 1),
        "classes": data.classes,
        "described": described,
    }
    folder = make(storage, images=len(data.split("test").labels), **asked)
    for at, file in enumerate(sorted((folder / "predictions").iterdir())):
        arrays = {}
        for split in ("val", "test"):
            labels = data.split(split).labels
            said = labels.copy()
            rows = list(wrong.get(split, ()))
            said[rows] = (labels[rows] + 1) % len(data.classes)
            noise = np.random.default_rng([at, len(split)]).uniform(0.9, 0.98, len(labels))
            told = np.full((len(labels), len(data.classes)), 0.01)
            told[np.arange(len(labels)), said] = noise
            arrays |= {
                split: np.log(told / told.sum(axis=1, keepdims=True)).astype(np.float32),
                f"{split}_labels": labels,
            }
        np.savez(file, **arrays)
    return folder


def rewritten(
    folder: Path, change: Callable[[dict[str, np.ndarray]], None], name: str = "*"
) -> None:
    """Change arrays of some files of predictions."""
    for file in (folder / "predictions").glob(f"{name}.npz"):
        with np.load(file) as arrays:
            kept = dict(arrays)
        change(kept)
        np.savez(file, **kept)


def found_in(folder: Path) -> Findings:
    return find(read_run(folder))


def test_the_planted_images_are_listed_with_names_and_both_classes(
    sweep: Path, data: Dataset
) -> None:
    images = found_in(sweep).suspected.images
    expected = {(split, row) for split, rows in PLANTED.items() for row in rows}
    assert {(image.split, image.row) for image in images} == expected
    assert [image.rank for image in images] == [1, 2, 3, 4, 5]
    for image in images:
        label = int(data.split(image.split).labels[image.row])
        assert (image.given, image.suggested) == (
            data.classes[label],
            data.classes[(label + 1) % 3],
        )
        assert image.file == data.names(image.split)[image.row]
        assert image.probability_given < 0.05 < 0.9 < image.probability_suggested
        assert image.score == pytest.approx(1 - image.probability_given)


def test_the_file_holds_the_list_whatever_names_hold(sweep: Path) -> None:
    images = found_in(sweep).suspected.images
    path = write_suspects(sweep, images)
    with path.open(newline="", encoding="utf-8") as file:
        rows = pd.read_csv(file)
    assert list(rows.columns) == list(COLUMNS)
    assert list(rows["file"]) == [as_text(image.file) for image in images]
    assert list(rows["rank"]) == [1, 2, 3, 4, 5]
    assert list(rows["given"]) == [as_text(image.given) for image in images]
    assert list(rows["suggested"]) == [as_text(image.suggested) for image in images]
    assert rows["score"].is_monotonic_decreasing


def as_text(name: str) -> str:
    return f"'{name}" if name.startswith("=") else name


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_no_name_is_a_formula_to_a_spreadsheet(tmp_path: Path, begin: str) -> None:
    name = f'{begin}HYPERLINK("http://x";"y")/1.jpg'
    plain = {
        "rank": 1,
        "split": "val",
        "row": 0,
        "probability_given": 0.1,
        "probability_suggested": 0.9,
        "score": 0.9,
    }
    write_suspects(tmp_path, [SuspectImage(file=name, given=name, suggested=name, **plain)])
    with (tmp_path / "suspects.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert {row["file"], row["given"], row["suggested"]} == {f"'{name}"}
    write_suspects(tmp_path, [SuspectImage(file=f"a{name}", given="a", suggested="b-c", **plain)])
    with (tmp_path / "suspects.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["file"], row["given"], row["suggested"]) == (f"a{name}", "a", "b-c")


def test_the_documentation_names_each_column_with_its_meaning() -> None:
    part = DOCS[DOCS.index("# suspects.csv") :]
    for name, meaning in COLUMNS.items():
        assert f"- `{name}`: {meaning}" in part


def test_nothing_suspicious_is_one_line_and_a_head_alone(data: Dataset, tmp_path: Path) -> None:
    folder = planted(data, tmp_path, wrong={})
    found = found_in(folder)
    block = suspect_pictures(found)
    assert isinstance(block, Text)
    assert block.text == "No label of 18 val and 18 test images looks wrong to 4 finalist runs."
    assert pd.read_csv(write(folder).suspects).empty


def test_the_mean_is_over_all_finalists_but_ablations(sweep: Path) -> None:
    expected = found_in(sweep).suspected
    assert expected.runs == 4
    rewritten(sweep, lambda arrays: arrays["val"].fill(-1.1), "*without*")
    again = found_in(sweep).suspected
    assert (again.images, again.runs) == (expected.images, 4)


def test_each_file_of_predictions_is_opened_once(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, opened, problems = read_run(sweep), [], []
    groups = groups_of(run, problems)
    load = np.load

    def counted(path: Path, **options: object) -> object:
        opened.append(path)
        return load(path, **options)

    monkeypatch.setattr(np, "load", counted)
    assert suspected(run, groups, problems).runs == 4
    predicted = [path for path in opened if Path(path).parent.name == "predictions"]
    assert len(predicted) == len(set(predicted)) == 4
    assert problems == []


def test_runs_that_learned_nothing_do_not_drown_the_others(sweep: Path) -> None:
    expected = found_in(sweep).suspected
    finalists = sorted(
        file.stem for file in (sweep / "predictions").iterdir() if "without" not in file.stem
    )
    rng = np.random.default_rng(0)

    def noise(arrays: dict[str, np.ndarray]) -> None:
        for split in ("val", "test"):
            told = rng.uniform(0, 1, arrays[split].shape) ** 8
            arrays[split] = np.log(told / told.sum(axis=1, keepdims=True))

    for name in finalists[1:]:
        rewritten(sweep, noise, name)
    found = found_in(sweep).suspected
    assert found.runs == expected.runs == 4
    assert {(image.split, image.row) for image in found.images} == {
        (image.split, image.row) for image in expected.images
    }


def test_runs_whose_predictions_are_not_whole_are_left_out_and_named(sweep: Path) -> None:
    rewritten(sweep, lambda arrays: arrays.pop("val"), "resnet18-tricks-000-s1")
    found = found_in(sweep)
    assert found.suspected.runs == 3
    assert len(found.suspected.images) == 5
    assert [line for line in found.problems if "resnet18-tricks-000-s1.npz cannot be read" in line]


def test_runs_that_saw_other_images_are_left_out(sweep: Path) -> None:
    rewritten(
        sweep,
        lambda arrays: arrays.update(val_labels=arrays["val_labels"][::-1]),
        "resnet18-tricks-000-s1",
    )
    assert found_in(sweep).suspected.runs == 3
    rewritten(
        sweep,
        lambda arrays: arrays.update(
            val=arrays["val"][:, :2] * 0 - 0.7, val_labels=arrays["val_labels"] * 0
        ),
    )
    found = found_in(sweep)
    assert found.suspected.runs == 0
    assert "no predictions" in str(suspect_pictures(found))


def test_the_pictures_are_those_of_the_list(sweep: Path, data: Dataset) -> None:
    from tests.unit.sweeps.report.test_mistakes import opened

    found = found_in(sweep)
    block = suspect_pictures(found)
    assert isinstance(block, Pictures)
    for picture, image in zip(block.pictures, found.suspected.images, strict=True):
        assert np.array_equal(opened(picture.uri), data.split(image.split).images[image.row])
        assert picture.lines[0].startswith(f"given {image.given}, ")
        assert picture.lines[1].startswith(f"suggested {image.suggested}, ")
        assert picture.lines[-1] == image.file
    assert "5 images of 18 val and 18 test images" in block.caption
    assert "Nothing was changed: check them yourself." in block.caption
    assert "Val also chose each run's epoch" in block.caption


def test_no_more_pictures_than_fit_are_shown(sweep: Path) -> None:
    found = found_in(sweep)
    many = replace(found.suspected, images=found.suspected.images * 6)
    block = suspect_pictures(replace(found, suspected=many))
    assert isinstance(block, Pictures)
    assert len(block.pictures) == MOST_PICTURES
    assert "The first 24 of 30 images" in block.caption


def test_without_names_an_image_has_its_number(sweep: Path, data: Dataset, tmp_path: Path) -> None:
    run = read_run(sweep)
    gone = {**run.described, "data": {**run.part("data"), "path": str(tmp_path / "cleaned")}}
    (sweep / "sweep.json").write_text(pd.Series(gone).to_json())
    found = found_in(sweep)
    assert {image.file for image in found.suspected.images} == {
        f"{split} image {row}" for split, rows in PLANTED.items() for row in rows
    }
    block = suspect_pictures(found)
    assert isinstance(block, Table)
    assert len(block.rows) == 5
    assert "no longer in the cache" in block.caption


class Tags(HTMLParser):
    """Elements of the section, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_names_of_files_and_classes_may_hold_anything(sweep: Path, data: Dataset) -> None:
    html = rendered(sweep_page(found_in(sweep)))
    section = html[html.index('<section id="suspects">') :]
    shown = Tags(section[: section.index("</section>")])
    plain = {"section", "h2", "div", "figure", "figcaption", "img", "b", "span", "p"}
    assert set(shown.tags) == plain
    assert shown.tags.count("img") == 5
    assert "<b>cat" in shown.text
    assert '<img src=x onerror="alert(1)">' in shown.text


def test_a_list_that_cannot_be_written_leaves_the_old_one_whole(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(sweep).suspects
    before = path.read_bytes()
    shutil.rmtree(sweep / "predictions")
    monkeypatch.setattr("secrets.token_hex", lambda _: "taken")
    (sweep / ".suspects.csv.taken.tmp").mkdir()
    with pytest.raises(FileExistsError):
        write(sweep)
    assert path.read_bytes() == before
