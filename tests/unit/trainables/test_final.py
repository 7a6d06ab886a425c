"""The test split: shut while recipes are chosen, and asked once of a finalist's best checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import trainables.finetune as loop
from trainables import checkpoint
from trainables import metrics as names
from trainables.compute import Compute
from trainables.data import dataset
from trainables.data.augment import plain_view
from trainables.data.dataset import Caps, Dataset, Split, TestSplitShutError
from trainables.files import leftovers
from trainables.final import evaluate_finalist
from trainables.recipe import Recipe

CPU = torch.device("cpu")
CAPS = Caps(train=6, val=8, test=9)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset.prepare(
        "digits", image_size=32, caps=CAPS, seed=0, cache=tmp_path_factory.mktemp("cache")
    )


class Opened:
    """The training data of `conftest.py`, whose second validation part stands in for test."""

    def __init__(self, make_data: Callable[..., Any]) -> None:
        self._data, self._other = make_data(), make_data(val=300, seed=1)
        self.classes, self.digest = self._data.classes, self._data.digest

    def split(self, name: str) -> Split:
        return self._other.split("val") if name == "test" else self._data.split(name)


def test_the_test_split_is_shut_unless_it_is_opened_on_purpose(digits: Dataset) -> None:
    for data in (digits, dataset.read(digits.path)):
        with pytest.raises(TestSplitShutError, match="is for finalists alone"):
            data.split("test")
    assert len(dataset.read(digits.path, test=True).split("test").labels) == 5 * CAPS.test


def test_a_search_that_looks_at_the_test_split_fails(
    digits: Dataset, tiny: Recipe, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = loop.evaluate

    def leaking(network: Any, split: Split, *rest: Any) -> dict[str, float]:
        return honest(network, digits.split("test"), *rest)

    assert len(run(tiny, on=digits)) == tiny.epochs
    monkeypatch.setattr(loop, "evaluate", leaking)
    with pytest.raises(TestSplitShutError):
        run(tiny, on=digits)


@pytest.mark.parametrize("layers", [1, 3, 6])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_finalists_answers_give_its_score_and_what_a_plain_evaluation_gives(
    tiny: Recipe,
    run: Callable[..., Any],
    make_data: Callable[..., Any],
    tmp_path: Path,
    layers: int,
    precision: Any,
) -> None:
    data, compute = Opened(make_data), Compute(precision=precision)
    recipe = replace(tiny, trainable_layers=layers)
    reports = run(recipe, on=data, checkpoints=tmp_path, compute=compute)
    best = checkpoint.best(tmp_path)
    told = evaluate_finalist(best, data, CPU, compute, tmp_path / "sub" / "answers.npz")
    saved = np.load(tmp_path / "sub" / "answers.npz", allow_pickle=False)
    assert (saved["val"].argmax(1) == saved["val_labels"]).mean() == reports[-1][names.SCORE]
    network, _, _ = checkpoint.load_best(best)
    network.precision = precision
    test = data.split("test")
    with torch.inference_mode():
        logits = network.logits(plain_view(torch.tensor(test.images), recipe.image_size))
    labels = torch.tensor(test.labels)
    assert saved["test"].shape == (300, 3)
    assert np.allclose(np.exp(saved["test"]).sum(1), 1, atol=1e-5)
    rough = 1e-4 if precision == "fp32" else 2e-2
    assert np.allclose(saved["test"], logits.log_softmax(1).numpy(), atol=rough)
    assert told[names.TEST_LOSS] == pytest.approx(F.cross_entropy(logits, labels).item(), abs=rough)
    assert told[names.TEST_ACCURACY] == (saved["test"].argmax(1) == saved["test_labels"]).mean()
    assert told[names.PARAMETERS] == sum(parameter.numel() for parameter in network.parameters())
    assert told[names.INFERENCE_MS] > 0
    assert set(told) == set(names.TESTED)


def test_answers_are_written_whole_or_not_at_all(
    tiny: Recipe,
    run: Callable[..., Any],
    make_data: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = Opened(make_data)
    run(tiny, on=data, checkpoints=tmp_path)
    path = tmp_path / "answers.npz"
    path.write_bytes(b"before")

    def full(*arrays: Any, **named: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        evaluate_finalist(checkpoint.best(tmp_path), data, CPU, Compute(), path)
    assert path.read_bytes() == b"before"
    assert leftovers(tmp_path) == []
