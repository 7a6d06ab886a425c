"""Where the answers of `dvt predict` go: a terminal, a file, a submission."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.integration.conftest import environment
from tests.integration.test_predict import Predict, champion, photos, predict, told
from trainables.data.cifar10 import CLASSES as CIFAR10

__all__ = ["predict"]


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["table", "json"])
def test_an_output_that_is_not_taken_ends_in_one_line_at_most(
    tmp_path: Path, form: tuple[str, ...]
) -> None:
    champion(tmp_path / "mlruns", "one", ("bee", "cat", "dog"), 40)
    photos(tmp_path / "photos", 30, 60, images=3)
    (tmp_path / "photos" / "bee" / "0.jpg").rename(
        tmp_path / "photos" / "bee" / "\U0001f41d caf\u00e9.jpg"
    )
    command = [
        str(Path(sys.executable).parent / "dvt"),
        "predict",
        "--sweep",
        "one",
        *form,
        "photos",
    ]

    def lines(out: int, **env: str) -> tuple[int, list[str]]:
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment(**env),
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
        )
        return done.returncode, done.stderr.decode().splitlines()

    with Path("/dev/full").open("w") as full:
        code, (note, line) = lines(full.fileno())
    assert (code, note) == (1, "note: 9 images in photos.")
    assert line.startswith(
        "error: The output must be written whole, but cannot be (No space left on device)"
    )
    read, write = os.pipe()
    os.close(read)
    assert lines(write) == (1, ["note: 9 images in photos."])
    os.close(write)
    with (tmp_path / "out").open("w") as out:
        assert lines(out.fileno(), PYTHONIOENCODING="ascii") == (0, ["note: 9 images in photos."])
    said = (tmp_path / "out").read_text("ascii")
    named = [json.loads(line)["file"] for line in said.splitlines()] if form else []
    assert (
        "photos/bee/\U0001f41d caf\u00e9.jpg" in named
        or r"photos/bee/\U0001f41d caf\xe9.jpg" in said
    )


@pytest.mark.parametrize(
    ("name", "classes"), [("cifar10", CIFAR10), ("dogs", tuple(f"breed{n}" for n in range(120)))]
)
def test_a_kaggle_folder_becomes_a_submission(
    tmp_path: Path, predict: Predict, name: str, classes: tuple[str, ...]
) -> None:
    champion(tmp_path / "mlruns", "one", classes, 40)
    photos(tmp_path, 30, 60, images=12, classes=("test",))
    asked = ("--sweep", "one", "--kaggle", name, "test")
    assert predict(tmp_path, *asked) == [f"submission.csv: 12 images, for Kaggle's {name}"]
    with (tmp_path / "submission.csv").open(newline="") as file:
        header, *lines = csv.reader(file)
    by_file = {
        path.stem: row
        for path, row in told(predict(tmp_path, "--sweep", "one", "--json", "test")).items()
    }
    ids = [line[0] for line in lines]
    assert ids == sorted(by_file, key=int if name == "cifar10" else str)
    if name == "cifar10":
        assert lines == [[key, classes[by_file[key].argmax()]] for key in ids]
    else:
        assert header == ["id", *sorted(classes)]
        written = np.array([line[1:] for line in lines], np.float64)
        order = sorted(range(120), key=lambda number: classes[number])
        np.testing.assert_allclose(
            written, np.array([by_file[key][order] for key in ids]), rtol=0, atol=1e-6
        )
        np.testing.assert_allclose(written.sum(1), 1, rtol=0, atol=1e-6)
    (said,) = predict(tmp_path, *asked, code=2)
    assert "must be a new file" in said
    (said,) = predict(
        tmp_path,
        "--sweep",
        "one",
        "--kaggle",
        {"dogs": "cifar10", "cifar10": "dogs"}[name],
        "test",
        "--out",
        "o",
        code=2,
    )
    assert "needs a model of" in said
    assert not (tmp_path / "o").exists()
