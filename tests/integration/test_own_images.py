"""A sweep on a folder of photographs of different sizes and modes, as a user has them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.integration.conftest import run


@pytest.mark.timeout(300)
def test_a_folder_of_class_folders_is_swept(tmp_path: Path, cache: str) -> None:
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if label in (1, 7) and number < 300:
            folder = tmp_path / "scans" / f"digit {label}"
            folder.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray((pixels * 15).astype(np.uint8)).resize((20 + number % 7, 24))
            image.convert(("L", "RGB", "P", "RGBA")[number % 4]).save(folder / f"{number}.png")
    done = run(
        tmp_path,
        *(
            "--preset",
            "demo",
            "--data",
            "scans",
            "--weights",
            "digits-source",
            "--arms",
            "resnet18/plain",
            "--trials",
            "1",
        ),
        DVT_CACHE_DIR=cache,
    )
    assert done.code == 0, done.err
    assert "2 classes" in done.out
    assert "(best seed) as models:/depth_vs_tricks-scans-demo@champion" in done.out


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_uneven_classes_are_judged_by_balanced_accuracy_and_a_resume_keeps_to_it(
    tmp_path: Path, cache: str
) -> None:
    digits, wanted = load_digits(), {5: 90, 6: 45, 8: 15}
    for label, images in wanted.items():
        (tmp_path / "scans" / f"digit {label}").mkdir(parents=True)
        for number in np.flatnonzero(digits.target == label)[:images]:
            image = Image.fromarray((digits.images[number] * 15).astype(np.uint8))
            image.save(tmp_path / "scans" / f"digit {label}" / f"{number}.png")
    first = (
        "--preset",
        "demo",
        "--data",
        "scans",
        "--weights",
        "digits-source",
        "--arms",
        "resnet18/plain",
        "--name",
        "one",
    )
    done = run(tmp_path, *first, "--trials", "1", DVT_CACHE_DIR=cache)
    assert done.code == 0, done.err
    assert "Score: balanced accuracy, since val has 3 to 18 images per class.\n" in done.out
    assert re.search(
        r"this model has a balanced accuracy of [0-9.]+% on the test images\.", done.out
    )
    folder = tmp_path / "mlruns" / "sweeps" / "one"
    again = run(tmp_path, "--resume", "one", "--trials", "2", DVT_CACHE_DIR=cache)
    assert again.code == 0, again.err
    assert "Score: balanced accuracy, as when the sweep began.\n" in again.out
    rows = pd.read_csv(folder / "results.csv")
    done_rows = rows[rows.outcome == "completed"]
    assert done_rows.score.tolist() == pytest.approx(done_rows.val_balanced_accuracy.tolist())
    assert (
        json.loads((folder / "champion" / "recipe.json").read_text())["metric"]
        == "balanced_accuracy"
    )
    assert (
        json.loads((folder / "sweep.json").read_text())["options"]["score"] == "balanced_accuracy"
    )
