"""The images that a sweep was scored on: whose they are, and what they are called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.decoded import decoded, draw_of
from sweeps.report.runs import Run, read_run
from trainables.data import dataset
from trainables.data.dataset import Dataset

IMAGES = 60
SEED = "resnet18/tricks/000/s1"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[int | None, Dataset]:
    """The images of a search, and a draw of a seed."""
    folder = tmp_path_factory.mktemp("data")
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 8, 8, 3), np.uint8)
    np.savez(folder / "photos.npz", x_train=pixels, y_train=np.arange(IMAGES) % 2)
    caps = dataset.Caps(train=10**6, val=4, test=4)
    made = {}
    for draw in (None, 1):
        made[draw] = dataset.prepare(
            str(folder / "photos.npz"),
            image_size=32,
            caps=caps,
            seed=0,
            cache=folder / "cache",
            draw=draw,
        )
    return {draw: dataset.read(data.path, test=True) for draw, data in made.items()}


def a_run(storage: Path, drawn: dict[int | None, Dataset], **told: Any) -> Run:
    """A sweep of these images, whose journal says something of draws."""
    data = {"path": str(drawn[None].path)}
    folder = make(storage, trials=2, seeds=(), arms=("resnet18/tricks",), described={"data": data})
    if told:
        line = {"event": "finalists", "trial_ids": [SEED], "time": 1, **told}
        journal = folder / "trials.jsonl"
        journal.write_text(journal.read_text() + json.dumps(line) + "\n")
    return read_run(folder)


def entry(data: Dataset) -> dict[str, str]:
    return {"digest": data.digest, "path": str(data.path)}


def test_all_have_the_images_of_the_search_in_a_sweep_without_draws(
    tmp_path: Path, drawn: dict[int | None, Dataset]
) -> None:
    assert draw_of(a_run(tmp_path, drawn), SEED) is None
    assert draw_of(a_run(tmp_path / "told", drawn, recipes={}), SEED) is None


def test_a_finalist_has_the_draw_of_its_seed_and_a_trial_the_images_of_the_search(
    tmp_path: Path, drawn: dict[int | None, Dataset]
) -> None:
    run = a_run(tmp_path, drawn, draws={"1": entry(drawn[1])})
    assert draw_of(run, SEED) == 1
    assert draw_of(run, "resnet18/tricks/000") is None


def test_a_draw_has_its_own_val_images_and_names(
    tmp_path: Path, drawn: dict[int | None, Dataset]
) -> None:
    run = a_run(tmp_path, drawn, draws={"1": entry(drawn[1])})
    for draw, data in drawn.items():
        val = data.split("val")
        found = decoded(run, "val", val.labels, draw)
        assert found.named
        assert found.names == data.names("val")
        assert found.images is not None
        assert np.array_equal(found.images, val.images)
    assert drawn[None].names("val") != drawn[1].names("val")


@pytest.mark.parametrize(
    "told",
    [{}, {"digest": "0123456789abcdef"}, {"path": "/nowhere"}, {"path": None}],
    ids=["unknown", "of others", "gone", "damaged"],
)
def test_a_draw_that_cannot_be_read_has_numbers_and_its_own(
    tmp_path: Path, drawn: dict[int | None, Dataset], told: dict[str, Any]
) -> None:
    draws = {"1": {**entry(drawn[1]), **told}} if told else {"0": entry(drawn[1])}
    run = a_run(tmp_path, drawn, draws=draws)
    found = decoded(run, "val", drawn[1].split("val").labels, 1)
    assert found.images is None
    assert not found.named
    assert found.names[:2] == ["val image 0 of draw 1", "val image 1 of draw 1"]
