"""Labels that look wrong where each seed drew val images of its own: one list, each image once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.blocks import Pictures, Table
from sweeps.report.findings import Findings, find
from sweeps.report.runs import read_run
from sweeps.report.suspect_pictures import suspect_pictures
from sweeps.report.suspects import Suspected, SuspectImage, trust
from tests.unit.sweeps.report.test_mistakes import opened
from trainables.data import dataset
from trainables.data.dataset import Dataset

CLASSES = 3
PER_CLASS = 30
SIDE = 8
MANY_VAL = 6  # per class; two draws share some of them
FEW_VAL = 2  # few enough that two draws can share none


@dataclass(frozen=True)
class Photos:
    """Images that differ in all pixels, and draws of them.

    Attributes:
        pixels: uint8 [N, S, S, 3], as the user has them.
        base: The search's images.
        overlapping: Draws that share some val images.
        disjoint: Draws that share none, although their labels are the same.
    """

    pixels: np.ndarray
    base: Dataset
    overlapping: Sequence[Dataset]
    disjoint: Sequence[Dataset]


@dataclass(frozen=True)
class Told:
    """A sweep's folder, and what its finalists said, ablations left out.

    Attributes:
        folder: The sweep's.
        names: Of each run, its images in val and test.
        probabilities: Of each run, [val and test, classes].
        labels: Of each run, [val and test].
    """

    folder: Path
    names: list[list[str]] = field(default_factory=list)
    probabilities: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)

    def mean(self, name: str) -> np.ndarray:
        """The weighted mean over the runs that had an image in val or test, [classes]."""
        told = []
        weights = []
        for names, probabilities, labels in zip(
            self.names, self.probabilities, self.labels, strict=True
        ):
            if name in names:
                told.append(probabilities[names.index(name)])
                weights.append(trust(probabilities, labels))
        return np.average(told, axis=0, weights=weights)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Photos:
    folder = tmp_path_factory.mktemp("photos")
    images = CLASSES * PER_CLASS
    pixels = np.random.default_rng(0).integers(0, 256, (images, SIDE, SIDE, 3), np.uint8)
    np.savez(folder / "photos.npz", x_train=pixels, y_train=np.arange(images) % CLASSES)

    def draw(number: int | None, val: int) -> Dataset:
        caps = dataset.Caps(train=10**6, val=val, test=10**6)
        source = str(folder / "photos.npz")
        made = dataset.prepare(
            source, image_size=32, caps=caps, seed=0, cache=folder / "cache", draw=number
        )
        return dataset.read(made.path, test=True)

    first = draw(0, FEW_VAL)
    taken = set(first.names("val"))
    others = (draw(number, FEW_VAL) for number in range(1, 50))
    apart = next(other for other in others if taken.isdisjoint(other.names("val")))
    overlapping = (draw(0, MANY_VAL), draw(1, MANY_VAL))
    return Photos(pixels, draw(None, MANY_VAL), overlapping, (first, apart))


def swept(
    storage: Path,
    photos: Photos,
    sets: Sequence[Dataset],
    wrong: Iterable[str],
    entries: Sequence[Dataset] = (),
    draws: bool = True,
) -> Told:
    """A sweep whose finalists are sure of all images; of wrong ones, of the next class.

    Args:
        storage: Where it is written.
        photos: Whose base it searched.
        sets: Of each seed, the images that it was scored on.
        wrong: Names of images.
        entries: Of each seed, the entry that the journal names; `sets` where there are none.
        draws: Whether the journal says that seeds have draws of their own.
    """
    data = {"classes": list(photos.base.classes), "path": str(photos.base.path)}
    folder = make(
        storage,
        arms=("resnet18/tricks",),
        trials=5,
        seeds=tuple(range(len(sets))),
        images=len(photos.base.split("test").labels),
        classes=photos.base.classes,
        described={"data": data},
    )
    told = Told(folder)
    for at, file in enumerate(sorted((folder / "predictions").iterdir())):
        own = sets[int(file.stem.rpartition("-s")[2])]
        arrays: dict[str, np.ndarray] = {}
        for split in ("val", "test"):
            labels = own.split(split).labels
            named = np.isin(own.names(split), list(wrong))
            said = (labels + named) % CLASSES
            rng = np.random.default_rng([at, len(split)])
            probabilities = np.full((len(labels), CLASSES), 0.01)
            doubt = rng.uniform(0.02, 0.5, len(labels))
            doubt[named] *= 0.1
            probabilities[np.arange(len(labels)), said] = 1 - doubt
            probabilities /= probabilities.sum(axis=1, keepdims=True)
            arrays |= {
                split: np.log(probabilities).astype(np.float32),
                f"{split}_labels": labels,
            }
        np.savez(file, **arrays)
        if "without" not in file.stem:
            told.names.append([*own.names("val"), *own.names("test")])
            told.probabilities.append(np.exp(np.concatenate([arrays["val"], arrays["test"]])))
            told.labels.append(np.concatenate([arrays["val_labels"], arrays["test_labels"]]))
    if draws:
        chosen(folder, entries or sets)
    return told


def chosen(folder: Path, entries: Sequence[Dataset]) -> None:
    """Say in the journal which entries of the cache seeds have."""
    draws = {
        str(seed): {"digest": data.digest, "path": str(data.path)}
        for seed, data in enumerate(entries)
    }
    line = {"event": "finalists", "trial_ids": [], "draws": draws, "time": 1}
    journal = folder / "trials.jsonl"
    journal.write_text(journal.read_text() + json.dumps(line) + "\n")


def found_in(folder: Path) -> Findings:
    return find(read_run(folder))


def by_name(suspected: Suspected) -> dict[str, SuspectImage]:
    images = {image.file: image for image in suspected.images}
    assert len(images) == len(suspected.images)
    return images


def common(sets: Sequence[Dataset]) -> list[str]:
    return sorted(set.intersection(*(set(data.names("val")) for data in sets)))


def alone(sets: Sequence[Dataset], seed: int) -> list[str]:
    """Val images that only the draw of this seed has."""
    others = [data.names("val") for at, data in enumerate(sets) if at != seed]
    return sorted(set(sets[seed].names("val")).difference(*others))


def test_a_val_image_of_two_draws_is_listed_once_with_the_mean_over_both(
    photos: Photos, tmp_path: Path
) -> None:
    sets = photos.overlapping
    wrong = {common(sets)[0], alone(sets, 0)[0], alone(sets, 1)[0], sets[0].names("test")[4]}
    told = swept(tmp_path, photos, sets, wrong)
    suspected = found_in(told.folder).suspected
    images = by_name(suspected)
    assert set(images) == wrong
    assert suspected.runs == 4
    assert len(suspected.val) == 2 * CLASSES * MANY_VAL - len(common(sets))
    assert len(suspected.test) == len(photos.base.split("test").labels)
    for name, image in images.items():
        mean = told.mean(name)
        given = photos.base.classes.index(image.given)
        assert given == int(name.rstrip("]").rpartition("[")[2]) % CLASSES
        assert image.suggested == photos.base.classes[(given + 1) % CLASSES]
        assert image.probability_given == pytest.approx(mean[given], rel=1e-5)
        assert image.probability_suggested == pytest.approx(mean.max(), rel=1e-5)


def test_the_rank_is_one_over_val_of_all_draws_and_test(photos: Photos, tmp_path: Path) -> None:
    sets = photos.overlapping
    wrong = {common(sets)[0], alone(sets, 0)[0], alone(sets, 1)[0], *sets[0].names("test")[:2]}
    images = found_in(swept(tmp_path, photos, sets, wrong).folder).suspected.images
    assert [image.rank for image in images] == [1, 2, 3, 4, 5]
    scores = [image.score for image in images]
    assert scores == sorted(scores, reverse=True)


def test_other_images_with_the_same_labels_are_not_averaged(photos: Photos, tmp_path: Path) -> None:
    first, second = photos.disjoint
    assert np.array_equal(first.split("val").labels, second.split("val").labels)
    wrong = {first.names("val")[3], second.names("val")[1]}
    told = swept(tmp_path, photos, photos.disjoint, wrong)
    suspected = found_in(told.folder).suspected
    images = by_name(suspected)
    assert set(images) == wrong
    assert len(suspected.val) == 2 * CLASSES * FEW_VAL
    assert suspected.agreed == pytest.approx(1 - 2 / (len(suspected.val) + len(suspected.test)))
    for name, image in images.items():
        assert image.probability_suggested == pytest.approx(told.mean(name).max(), rel=1e-5)
    assert {(image.draw, image.row) for image in images.values()} == {(0, 3), (1, 1)}


def test_an_image_that_was_given_another_class_since_is_not_averaged_with_what_it_was(
    photos: Photos, tmp_path: Path
) -> None:
    first, second = photos.overlapping
    name = common(photos.overlapping)[0]
    path = tmp_path / "changed"
    shutil.copytree(second.path, path)
    labels = np.load(path / "val_labels.npy")
    labels[second.names("val").index(name)] += 1
    np.save(path / "val_labels.npy", labels % CLASSES)
    sets = (first, replace(second, path=path))
    suspected = found_in(swept(tmp_path, photos, sets, {name}).folder).suspected
    given = [image.given for image in suspected.images if image.file == name]
    assert len(set(given)) == len(given) == 2


def test_ablations_are_left_out(photos: Photos, tmp_path: Path) -> None:
    sets = photos.overlapping
    told = swept(tmp_path, photos, sets, {common(sets)[0], alone(sets, 1)[2]})
    expected = found_in(told.folder).suspected
    ablations = list((told.folder / "predictions").glob("*without*"))
    assert len(ablations) == 2
    for file in ablations:
        with np.load(file) as arrays:
            np.savez(file, **(dict(arrays) | {"val": arrays["val"] * 0 - 1.1}))
    assert found_in(told.folder).suspected.images == expected.images


def test_runs_that_saw_other_images_than_their_draw_are_left_out(
    photos: Photos, tmp_path: Path
) -> None:
    sets = photos.overlapping
    told = swept(tmp_path, photos, sets, {alone(sets, 1)[0]})
    file = told.folder / "predictions" / "resnet18-tricks-000-s1.npz"
    with np.load(file) as arrays:
        np.savez(file, **(dict(arrays) | {"val_labels": arrays["val_labels"][::-1]}))
    assert found_in(told.folder).suspected.runs == 3


def test_images_of_a_draw_that_has_left_the_cache_have_a_number_and_its_own(
    photos: Photos, tmp_path: Path
) -> None:
    kept, gone = photos.disjoint
    entry = replace(gone, path=tmp_path / "gone")
    wrong = {kept.names("val")[3], gone.names("val")[1], kept.names("test")[0]}
    told = swept(tmp_path, photos, photos.disjoint, wrong, entries=(kept, entry))
    found = found_in(told.folder)
    images = by_name(found.suspected)
    assert set(images) == {
        kept.names("val")[3],
        "val image 1 of draw 1",
        kept.names("test")[0],
    }
    mean = told.mean(gone.names("val")[1])
    assert images["val image 1 of draw 1"].probability_suggested == pytest.approx(
        mean.max(), rel=1e-5
    )
    block = suspect_pictures(found)
    assert isinstance(block, Table)
    assert "Some of the decoded images are no longer in the cache" in block.caption


def test_without_any_names_no_draws_are_averaged(photos: Photos, tmp_path: Path) -> None:
    sets = photos.overlapping
    entries = [replace(data, path=tmp_path / "gone") for data in sets]
    name = common(sets)[0]
    told = swept(tmp_path, photos, sets, {name}, entries=entries)
    suspected = found_in(told.folder).suspected
    rows = [data.names("val").index(name) for data in sets]
    assert set(by_name(suspected)) == {
        f"val image {row} of draw {seed}" for seed, row in enumerate(rows)
    }
    assert len(suspected.val) == 2 * CLASSES * MANY_VAL


def test_an_entry_that_holds_another_draw_by_now_names_nothing(
    photos: Photos, tmp_path: Path
) -> None:
    first, second = photos.disjoint
    taken = replace(second, path=first.path)
    told = swept(
        tmp_path, photos, photos.disjoint, {second.names("val")[1]}, entries=(first, taken)
    )
    assert set(by_name(found_in(told.folder).suspected)) == {"val image 1 of draw 1"}


def test_a_seed_whose_draw_the_journal_lost_does_not_take_the_names_of_another(
    photos: Photos, tmp_path: Path
) -> None:
    first, second = photos.disjoint
    told = swept(tmp_path, photos, photos.disjoint, {second.names("val")[1]}, entries=(first,))
    assert set(by_name(found_in(told.folder).suspected)) == {"val image 1 of draw 1"}
    # With no line on finalists at all, the options say that seeds had draws.
    described = json.loads((told.folder / "sweep.json").read_text())
    described["options"]["draws"] = "new"
    (told.folder / "sweep.json").write_text(json.dumps(described))
    journal = told.folder / "trials.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]))
    assert set(by_name(found_in(told.folder).suspected)) == {"val image 1 of draw 1"}


@pytest.mark.parametrize("option", [None, "fixed"])
def test_without_draws_all_runs_are_averaged_as_ever(
    photos: Photos, tmp_path: Path, option: str | None
) -> None:
    base = photos.base
    wrong = {base.names("val")[2], base.names("test")[9]}
    told = swept(tmp_path, photos, (base, base), wrong, draws=False)
    if option:
        described = json.loads((told.folder / "sweep.json").read_text())
        described["options"]["draws"] = option
        (told.folder / "sweep.json").write_text(json.dumps(described))
    suspected = found_in(told.folder).suspected

    # As it was before there were draws, to the last bit.
    total = np.zeros_like(told.probabilities[0])
    weights = 0.0
    for probabilities, labels in zip(told.probabilities, told.labels, strict=True):
        weight = trust(probabilities, labels)
        total += weight * probabilities
        weights += weight
    means = total / weights
    images = by_name(suspected)
    assert set(images) == wrong
    for name, image in images.items():
        row = told.names[0].index(name)
        assert image.probability_given == float(means[row, told.labels[0][row]])
        assert image.draw is None
    assert set(suspected.draws) == {None}
    assert np.array_equal(suspected.val, base.split("val").labels)
    assert "drew" not in suspect_pictures(found_in(told.folder)).caption


def test_the_pictures_are_of_the_images_that_are_named(photos: Photos, tmp_path: Path) -> None:
    sets = photos.overlapping
    wrong = {common(sets)[1], *alone(sets, 0)[:2], *alone(sets, 1)[:2], sets[0].names("test")[4]}
    found = found_in(swept(tmp_path, photos, sets, wrong).folder)
    block = suspect_pictures(found)
    assert isinstance(block, Pictures)
    shown = {picture.lines[-1]: opened(picture.uri) for picture in block.pictures}
    assert set(shown) == wrong
    for name, pixels in shown.items():
        row = int(name.rstrip("]").rpartition("[")[2])
        assert np.array_equal(pixels, photos.pixels[row])
    val = len(found.suspected.val)
    assert f"6 images of {val} val and 18 test images" in block.caption
    assert "judged by the runs whose seed drew it for val" in block.caption


def test_pictures_are_a_table_once_all_decoded_images_are_gone(
    photos: Photos, tmp_path: Path
) -> None:
    copied = []
    for data in photos.disjoint:
        path = tmp_path / data.path.name
        shutil.copytree(data.path, path)
        copied.append(replace(data, path=path))
    wrong = {data.names("val")[1] for data in copied}
    found = found_in(swept(tmp_path, photos, copied, wrong).folder)
    assert isinstance(suspect_pictures(found), Pictures)
    for data in copied:
        shutil.rmtree(data.path)
    block = suspect_pictures(found)
    assert isinstance(block, Table)
    assert "The decoded images are no longer in the cache" in block.caption
