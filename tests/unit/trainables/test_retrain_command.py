"""`python -m trainables RECIPE.json`: the same data and numbers, or a line that says why not."""

import errno
import json
import os
import runpy
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from click.testing import CliRunner, Result

import trainables.__main__ as command
from trainables.backbones import build
from trainables.checkpoint import best
from trainables.data.dataset import Caps, prepare
from trainables.finetune import finetune
from trainables.recipe import Recipe
from trainables.weights import Weights

CAPS = Caps(train=5, val=4, test=3)


@pytest.fixture
def recipe(tiny: Recipe) -> Recipe:
    return replace(tiny, stage1_epochs=1, epochs=3, scheduler="cosine", augmentation="crop_flip")


@pytest.fixture
def saved(recipe: Recipe, tmp_path: Path) -> dict[str, Any]:
    """What a sweep leaves of its champion."""
    data = prepare("digits", image_size=32, caps=CAPS, seed=3, cache=tmp_path / "cache")
    torch.save(build(replace(recipe, seed=8), 9).torchvision_state_dict(), tmp_path / "tiny.pt")
    return {
        "command": "python -m trainables recipe.json",
        "trial": "tiny/007",
        "score": 0.625,
        "recipe": recipe.as_dict(),
        "data": {
            "source": "digits",
            "digest": data.digest,
            "image_size": 32,
            "caps": asdict(CAPS),
            "seed": 3,
        },
        "weights_file": str(tmp_path / "tiny.pt"),
        "cache": str(tmp_path / "cache"),
        "device": "cpu",
        "threads": 1,
    }


@pytest.fixture
def invoke(tmp_path: Path) -> Callable[..., Result]:
    def call(content: Any, *options: str) -> Result:
        file = tmp_path / "recipe.json"
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.write_text(json.dumps(content))
        return CliRunner().invoke(
            command.main, [str(file), "--out", str(tmp_path / "out"), *options]
        )

    return call


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    for word in words:
        assert word in result.output
    assert result.output.count("\n") == 1, "one line"


@pytest.mark.parametrize("draw", [None, 2])
def test_the_champion_is_trained_again_to_the_last_bit(
    draw: int | None,
    recipe: Recipe,
    saved: dict[str, Any],
    invoke: Callable[..., Result],
    tmp_path: Path,
) -> None:
    reports: list[dict[str, Any]] = []
    data = prepare("digits", image_size=32, caps=CAPS, seed=3, cache=tmp_path / "cache", draw=draw)
    if draw is not None:
        assert data.digest != saved["data"]["digest"]
        saved["data"] |= {"draw": draw, "digest": data.digest}
    finetune(
        recipe,
        data,
        torch.device("cpu"),
        reports.append,
        weights=Weights.of(tmp_path / "tiny.pt"),
        checkpoints=tmp_path / "sweep",
    )
    shutil.rmtree(tmp_path / "cache")
    result = invoke(saved)
    assert result.exit_code == 0, result.output
    *epochs, last = result.output.splitlines()
    assert [line.split()[1] for line in epochs] == ["1", "2", "3"]
    for line, report in zip(epochs, reports, strict=True):
        for name in ("train/loss", "val/loss", "val/accuracy", "score"):
            assert f"{report[name]:.4f}" in line
    assert str(tmp_path / "out/best.pt") in last
    assert "0.6250" in last
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"best.pt"}
    ours, theirs = (
        torch.load(path, weights_only=True)
        for path in (tmp_path / "out/best.pt", best(tmp_path / "sweep"))
    )
    assert all(
        torch.equal(ours["state_dict"][key], theirs["state_dict"][key])
        for key in theirs["state_dict"]
    )
    assert (ours["recipe"], ours["epoch"], ours["score"]) == (
        theirs["recipe"],
        theirs["epoch"],
        theirs["score"],
    )


def test_the_best_epoch_is_chosen_by_the_metric_that_decided_in_the_sweep(
    saved: dict[str, Any], invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(command.checkpoint, "best", lambda _: None)
    monkeypatch.setattr(command, "finetune", lambda *_, score, **__: asked.append(score))
    for content in (saved, saved | {"metric": "macro_f1"}):
        invoke(content)
    assert asked == ["accuracy", "macro_f1"]


def test_random_weights_need_no_file(saved: dict[str, Any], invoke: Callable[..., Result]) -> None:
    assert invoke(saved | {"weights_file": None}, "--device", "cpu").exit_code == 0


def test_changed_data_are_refused_before_training(
    saved: dict[str, Any], invoke: Callable[..., Result], tmp_path: Path
) -> None:
    digest = saved["data"]["digest"]
    saved["data"]["digest"] = "0123456789abcdef"
    refused(invoke(saved), "the data have changed", digest, "0123456789abcdef")
    saved["data"] |= {"digest": digest, "seed": 4}
    refused(invoke(saved), "the data have changed", digest)
    saved["data"] |= {"seed": 3, "draw": 0}
    refused(invoke(saved), "the data have changed", digest)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "Expecting value"),
        (b"{'recipe': 1}", "Expecting property name"),
        (b"\xff\xfe\x00", "decode"),
        ([], ""),
        ("recipe", ""),
        ({}, "it lacks"),
        (None, ""),
    ],
)
def test_a_file_that_is_no_champions_recipe_is_refused(
    content: Any, word: str, invoke: Callable[..., Result]
) -> None:
    refused(invoke(content), "recipe.json", word)


@pytest.mark.parametrize(
    "field",
    [
        "recipe",
        "data",
        "weights_file",
        "cache",
        "device",
        "threads",
        "score",
        "data.source",
        "data.digest",
        "data.seed",
    ],
)
def test_a_missing_entry_is_named(
    field: str, saved: dict[str, Any], invoke: Callable[..., Result], tmp_path: Path
) -> None:
    *outer, name = field.split(".")
    del (saved[outer[0]] if outer else saved)[name]
    refused(invoke(saved), f"it lacks {name!r}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("where", "name", "value", "word"),
    [
        ("recipe", "epochs", 0, "epochs must be a whole number"),
        ("recipe", "epoch", 3, "unknown recipe field 'epoch'"),
        ("recipe", "backbone", "tinny", "unknown backbone 'tinny'"),
        ("data", "source", "digist", "digist"),
        ("data", "caps", {"train": 0, "val": 1, "test": 1}, "caps: train must be"),
        ("data", "caps", {"train": 5}, "recipe.json"),
        ("data", "caps", 3, "recipe.json"),
        ("data", "draw", ["2"], "the data have changed"),
        (None, "device", "cpux", "cpux"),
        (None, "threads", [1], "recipe.json"),
        (None, "weights_file", "/no/such/tiny.pt", "/no/such/tiny.pt"),
        (None, "metric", "acuracy", "unknown score 'acuracy'. Did you mean 'accuracy'?"),
        (None, "metric", ["accuracy"], "recipe.json"),
    ],
)
def test_a_wrong_entry_is_refused_in_one_line(
    where: str | None,
    name: str,
    value: Any,
    word: str,
    saved: dict[str, Any],
    invoke: Callable[..., Result],
    tmp_path: Path,
) -> None:
    (saved[where] if where else saved)[name] = value
    refused(invoke(saved), word)
    assert not (tmp_path / "out").exists()


def test_weights_that_do_not_fit_are_refused(
    saved: dict[str, Any], invoke: Callable[..., Result], tmp_path: Path
) -> None:
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "tiny.pt")
    refused(invoke(saved), str(tmp_path / "tiny.pt"), "conv1.weight")


def test_a_gpu_that_is_not_there_is_refused_with_the_mend(
    saved: dict[str, Any], invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    refused(invoke(saved | {"device": "cuda"}), "--device cpu")
    assert invoke(saved | {"device": "cuda"}, "--device", "cpu").exit_code == 0


def test_an_unfinished_run_is_not_mixed_with_another(
    saved: dict[str, Any], invoke: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    last = tmp_path / "out/last-000003-00000000.pt"
    last.write_bytes(b"of somebody")
    refused(invoke(saved), "unfinished run", "--out")
    assert {path: path.read_bytes() for path in last.parent.iterdir()} == {last: b"of somebody"}


def test_the_best_of_an_earlier_run_stays_until_this_one_is_over(
    saved: dict[str, Any],
    invoke: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert invoke(saved).exit_code == 0
    before = (tmp_path / "out/best.pt").read_bytes()
    saved["recipe"] |= {"seed": 5}
    seen = []
    monkeypatch.setattr(
        command, "_show", lambda _: seen.append((tmp_path / "out/best.pt").read_bytes())
    )
    assert invoke(saved).exit_code == 0
    assert seen == [before] * 3
    assert (tmp_path / "out/best.pt").read_bytes() != before
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"best.pt"}


def test_a_full_disk_or_a_damaged_best_is_one_line(
    saved: dict[str, Any],
    invoke: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(command.checkpoint, "best", lambda _: None)
        patch.setattr(command, "finetune", lambda *_, **__: None)
        result = invoke(saved)
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "damaged" in result.output

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = invoke(saved)
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "No space left on device" in result.output


def test_a_run_that_diverges_says_so_without_a_traceback(
    saved: dict[str, Any], invoke: Callable[..., Result]
) -> None:
    saved["recipe"] |= {"stage2_lr": 1e30, "trainable_layers": 6, "weight_decay": 0.1}
    result = invoke(saved)
    assert result.exit_code == 1
    assert "the loss is not finite in epoch 2" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no.json"],
        ["{file}", "--out", "{file}"],
        ["{file}", "--device", "gpu"],
        ["{file}", "--lr", "1"],
    ],
)
def test_wrong_arguments_are_clicks_to_refuse(
    arguments: list[str], saved: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps(saved))
    result = CliRunner().invoke(
        command.main, [argument.format(file=file) for argument in arguments]
    )
    assert result.exit_code == 2
    assert "Error:" in result.output


@pytest.mark.filterwarnings("ignore:'trainables.__main__' found in sys.modules")
def test_the_package_runs_as_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(click.Command, "__call__", lambda self: called.append(self.name))
    runpy.run_module("trainables", run_name="__main__")
    assert called == ["main"]
