"""A sweep on a folder of photographs of different sizes and modes, as a user has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
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
        *("--preset", "demo", "--data", "scans", "--weights", "digits-source", "--arms", "resnet18/plain", "--trials", "1"),
        DVT_CACHE_DIR=cache,
    )
    assert done.code == 0, done.err
    assert "2 classes" in done.out
    assert "registered as models:/depth_vs_tricks-scans@champion" in done.out
