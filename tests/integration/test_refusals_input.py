"""Wrong input: exit status 2, one line for each thing wrong, no traceback, nothing left behind."""

from __future__ import annotations

import logging
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sweeps.depth_vs_tricks import STUDY
from sweeps.runner import cli
from tests.integration.conftest import run

Refused = Callable[..., str]
SMALL = ("--preset", "demo", "--arms", "resnet18/*", "--weights", "none")


def photos(folder: Path, images: int = 10, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for number in range(images):
            Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(
                folder / name / f"{number}.png"
            )
    return folder


@pytest.fixture
def refused(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Refused]:
    """Run the study's command line in this process, and return what it says.

    This process has torch loaded already.
    """

    def check(cwd: Path, *arguments: str, lines: int = 1) -> str:
        monkeypatch.chdir(cwd)
        code, said = cli.run(STUDY, arguments), capfd.readouterr()
        assert code == 2, said
        assert len(said.err.splitlines()) == lines, said.err
        assert all(line.startswith("error: ") for line in said.err.splitlines())
        assert said.out == ""
        assert not (cwd / "mlruns" / "sweeps").exists()
        assert not (cwd / "mlruns" / "mlflow.db").exists()
        return said.err

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    yield check
    logging.disable(logging.NOTSET)


def test_more_gpus_than_there_are_names_both_numbers_and_the_mend(
    refused: Refused, tmp_path: Path
) -> None:
    line = refused(tmp_path, "--gpus", "4", "--preset", "demo")
    assert "4 are asked for" in line
    assert "0 found" in line
    assert "--gpus 0" in line


def test_all_bad_flags_are_named_at_once(refused: Refused, tmp_path: Path) -> None:
    lines = refused(
        tmp_path,
        "--gpus",
        "-1",
        "--trials",
        "none",
        "--preset",
        "huge",
        "--learning-rate",
        "3",
        lines=4,
    )
    for flag in ("--gpus", "--trials", "--preset", "--learning-rate"):
        assert flag in lines


def test_problems_of_arms_data_and_weights_are_named_together(
    refused: Refused, tmp_path: Path
) -> None:
    lines = refused(
        tmp_path,
        "--preset",
        "demo",
        "--arms",
        "vgg*",
        "--data",
        "nowhere",
        "--weights",
        "nothing.pt",
        lines=3,
    )
    assert "'vgg*'" in lines
    assert "resnet18/plain" in lines
    assert "'nowhere'" in lines
    assert "'nothing.pt'" in lines


def test_demo_weights_with_other_data_are_refused(refused: Refused, tmp_path: Path) -> None:
    assert "--weights" in refused(
        tmp_path, "--preset", "demo", "--data", str(photos(tmp_path / "photos"))
    )


def test_every_damaged_image_is_named(refused: Refused, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    (folder / "cat" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    (folder / "dog" / "empty.png").touch()
    lines = refused(tmp_path, *SMALL, "--data", str(folder), lines=2)
    assert "torn.jpg" in lines
    assert "empty.png" in lines


def test_an_empty_class_and_one_single_class_are_named(refused: Refused, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    (folder / "fish").mkdir()
    assert "fish" in refused(tmp_path, *SMALL, "--data", str(folder))
    assert "cat" in refused(
        tmp_path, *SMALL, "--data", str(photos(tmp_path / "one", classes=("cat",)))
    )


def test_a_class_with_too_few_images_is_named(refused: Refused, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    for number in range(2, 10):
        (folder / "dog" / f"{number}.png").unlink()
    assert "dog" in refused(tmp_path, *SMALL, "--data", str(folder))


def test_labels_without_files_are_named(refused: Refused, tmp_path: Path) -> None:
    folder = tmp_path / "dogs"
    photos(folder / "by_class", images=1)
    (folder / "train").mkdir()
    shutil.copy(folder / "by_class/cat/0.png", folder / "train/a.png")
    shutil.rmtree(folder / "by_class")
    (folder / "labels.csv").write_text("id,breed\na,pug\nlost,corgi\n")
    assert "lost" in run(tmp_path, *SMALL, "--data", str(folder)).err


def test_an_npz_without_a_key_or_with_pickled_objects_is_refused(
    refused: Refused, tmp_path: Path
) -> None:
    np.savez(tmp_path / "half.npz", x_train=np.zeros((30, 8, 8, 3), np.uint8))
    assert "y_train" in refused(tmp_path, *SMALL, "--data", "half.npz")
    np.savez(
        tmp_path / "objects.npz",
        x_train=np.array([{}] * 30, dtype=object),
        y_train=np.zeros(30, int),
    )
    assert "x_train" in refused(tmp_path, *SMALL, "--data", "objects.npz")


def test_weights_of_another_depth_are_refused_and_the_keys_named(
    refused: Refused, tmp_path: Path
) -> None:
    from trainables.backbones import build
    from trainables.recipe import Recipe

    torch.save(
        build(Recipe(backbone="resnet34"), 2).torchvision_state_dict(), tmp_path / "resnet34.pt"
    )
    line = refused(tmp_path, "--preset", "demo", "--arms", "resnet18/*", "--weights", "resnet34.pt")
    assert "layer1.2.conv1.weight" in line
    both = ("--arms", "resnet18/*,resnet50/*")
    line = refused(tmp_path, "--preset", "demo", *both, "--weights", "resnet34.pt")
    assert "folder" in line


class Touch:
    """Pickled, it would make a file when it is read."""

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (Path("touched").absolute(),)


def test_code_in_a_weights_file_never_runs(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Touch()))
    assert "evil.pt" in refused(
        tmp_path, "--preset", "demo", "--arms", "resnet18/*", "--weights", "evil.pt"
    )
    done = run(tmp_path, "--preset", "demo", "--arms", "resnet18/*", "--weights", "evil.pt")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert not (tmp_path / "touched").exists()


def test_a_file_store_and_a_dead_server_are_refused(refused: Refused, tmp_path: Path) -> None:
    assert "file:///x" in refused(tmp_path, "--preset", "demo", "--tracking-uri", "file:///x")
    assert "127.0.0.1:9" in refused(
        tmp_path, "--preset", "demo", "--tracking-uri", "http://127.0.0.1:9"
    )


def test_an_address_where_nothing_listens_is_refused(refused: Refused, tmp_path: Path) -> None:
    assert "127.0.0.1:9" in refused(tmp_path, "--preset", "demo", "--address", "127.0.0.1:9")
