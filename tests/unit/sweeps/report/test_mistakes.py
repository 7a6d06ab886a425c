"""What the champion gets wrong: counts, and pictures of where it is most wrongly sure."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.synthetic_sweep import make
from sweeps.report.blocks import Matrix, Pictures, Table, Text
from sweeps.report.findings import Findings, find
from sweeps.report.mistakes import (
    SIDE,
    _mistake,
    confused_pairs,
    confusion,
    data_uri,
    thumbnail,
    worst,
)
from sweeps.report.runs import read_run
from trainables.data import dataset


def opened(uri: str) -> np.ndarray:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 7), (72, 72)])
def test_a_data_uri_is_the_image_as_png(height: int, width: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert np.array_equal(opened(data_uri(image)), image)


@pytest.mark.parametrize("side", [8, 72, 73, 120, 280])
def test_a_thumbnail_is_small_and_a_small_image_is_left_alone(side: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    small = thumbnail(image)
    assert max(small.shape) <= SIDE
    assert np.array_equal(small, image) == (side <= SIDE)
    assert abs(float(small.mean()) - float(image.mean())) < 2


def test_the_matrix_is_the_share_of_each_true_class(found: Findings) -> None:
    plot = confusion(found)
    assert isinstance(plot, Matrix)
    cells = 100 * np.array([[share for share, _ in row] for row in plot.cells])
    assert cells.shape == (5, 5)
    assert cells.sum(axis=1) == pytest.approx(100, abs=0.5)
    champion = found.champion
    assert champion is not None
    cat = np.concatenate([seed.said[seed.labels == 3] for seed in champion.seeds])
    assert cells[3, 3] == pytest.approx(100 * np.mean(cat == 3), abs=0.06)


def test_of_a_thousand_classes_the_matrix_shows_those_that_are_confused(tmp_path: Path) -> None:
    names = [f"class {at}" for at in range(1000)]
    found = find(
        read_run(
            make(
                tmp_path, trials=2, arms=("resnet18/plain",), classes=names, images=500, seeds=(0,)
            )
        )
    )
    plot = confusion(found)
    assert isinstance(plot, Matrix)
    assert np.array([[share for share, _ in row] for row in plot.cells]).shape == (24, 24)
    assert "of 1,000 classes" in plot.caption


def test_confused_pairs_are_ordered_by_what_they_cost(found: Findings) -> None:
    table = confused_pairs(found)
    assert isinstance(table, Table)
    shares = [float(row.cells[3]) for row in table.rows]
    assert shares == sorted(shares, reverse=True)
    assert all(row.cells[0] != row.cells[1] for row in table.rows)


def test_two_classes_work_and_have_no_table_of_pairs(tmp_path: Path) -> None:
    found = find(
        read_run(
            make(tmp_path, trials=2, arms=("resnet18/plain",), classes=("no", "yes"), images=60)
        )
    )
    assert isinstance(confusion(found), Matrix)
    assert confused_pairs(found) is None


def test_without_names_classes_have_numbers(found: Findings) -> None:
    bare = replace(found, run=replace(found.run, described={}))
    plot = confusion(bare)
    assert isinstance(plot, Matrix)
    assert plot.names[0] == "class 0"


def test_the_pictures_are_the_test_images_of_highest_loss(tmp_path: Path) -> None:
    data = dataset.prepare(
        "digits",
        image_size=32,
        caps=dataset.Caps(train=20, val=30, test=30),
        seed=0,
        cache=tmp_path / "cache",
    )
    test = dataset.read(data.path, test=True).split("test")
    described = {"data": {"classes": list(data.classes), "path": str(data.path)}}
    folder = make(
        tmp_path,
        trials=2,
        arms=("resnet18/plain",),
        images=len(test.labels),
        labels=test.labels.tolist(),
        classes=data.classes,
        described=described,
    )
    found = find(read_run(folder))
    shown = worst(found)
    assert isinstance(shown, Pictures)
    assert found.champion is not None
    losses = np.mean([seed.losses for seed in found.champion.seeds], axis=0)
    first = int(losses.argmax())
    assert np.array_equal(opened(shown.pictures[0].uri), test.images[first])
    true, predicted, likely = shown.pictures[0].lines
    assert true == data.classes[test.labels[first]]
    votes = [int(seed.said[first]) for seed in found.champion.seeds if not seed.right[first]]
    said = max(sorted(set(votes)), key=votes.count)
    number = f"{votes.count(said)} of 5 seeds"
    if votes.count(said) == 5:
        number = "all 5 seeds"
    assert predicted == f"predicted {data.classes[said]} ({number})"
    assert likely == f"{100 * np.exp(-losses[first]):.2f}% for {true}"
    assert 1 <= len(shown.pictures) <= 24

    only = np.arange(len(test.labels)) == first
    seeds = tuple(replace(seed, right=~only) for seed in found.champion.seeds)
    assert found.choice is not None
    champion = replace(found.champion, seeds=seeds)
    one = worst(replace(found, choice=replace(found.choice, champion=champion)))
    assert isinstance(one, Pictures)
    assert one.caption.startswith("The test image of highest log loss, ")


def test_where_the_cache_is_gone_or_holds_other_images_a_sentence_says_so(
    found: Findings, tmp_path: Path
) -> None:
    said = worst(found)
    assert isinstance(said, Text)
    assert "no longer in the cache" in said.text
    data = dataset.prepare(
        "digits",
        image_size=32,
        caps=dataset.Caps(train=20, val=30, test=30),
        seed=0,
        cache=tmp_path,
    )
    other = replace(found, run=replace(found.run, described={"data": {"path": str(data.path)}}))
    assert isinstance(worst(other), Text)


def test_a_mistake_says_how_many_seeds_predicted_that_class_and_how_likely_the_true_one_was(
    found: Findings,
) -> None:
    champion = found.champion
    assert champion is not None
    names = ("plane", "car", "bird", "cat", "deer")
    for classes, loss, expected in (
        ((1, 1), 8.4, ("predicted car (both seeds)", "0.02% for plane")),
        ((1, 1, 1), 0.6931, ("predicted car (all 3 seeds)", "50.00% for plane")),
        ((1, 2, 1), 40.0, ("predicted car (2 of 3 seeds)", "< 0.01% for plane")),
        ((3,), 2.0, ("predicted cat (1 seed)", "13.53% for plane")),
    ):
        one = np.zeros(1, np.int64)
        seeds = [
            replace(champion.seeds[0], labels=one, said=one + said, right=one + said == one)
            for said in classes
        ]
        assert _mistake(seeds, 0, names, loss) == ["plane", *expected]
