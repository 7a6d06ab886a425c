"""The demo's pretrained weights: a source model trained for seconds on the digits 0-4, and cached.

No download.
"""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import torch
from filelock import FileLock

from trainables import checkpoint
from trainables.data.dataset import Caps, prepare
from trainables.finetune import finetune
from trainables.recipe import Recipe

NAME = "digits-source"
SEED = 0  # of the source model, whatever the sweep's seed: pretrained weights do not change with it
WHOLE_S = 3600.0  # seconds: the model is written once, in the end
VERSION = 1  # raise it when the recipe below changes


def source_recipe(backbone: str) -> Recipe:
    """Return the recipe: from random weights, everything trainable.

    There are some 540 images of 8x8 pixels, shown at 32.
    """
    return Recipe(
        backbone=backbone,
        weights="none",
        trainable_layers=6,
        batchnorm="batch_stats",
        stage2_lr=1e-3,
        scheduler="cosine",
        epochs=6,
        batch_size=64,
        image_size=32,
        seed=SEED,
    )


def path(backbone: str, cache: Path) -> Path:
    """Return the place of a backbone's weights: `<cache>/digits-source/v1/<backbone>.pt`."""
    return cache / NAME / f"v{VERSION}" / f"{backbone}.pt"


def ensure(backbone: str, cache: Path) -> Path:
    """Return the file of a backbone's weights; one process trains them if they are not there."""
    file = path(backbone, cache)
    if file.is_file():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        if not file.is_file():
            _train(backbone, cache, file)
    return file


def _train(backbone: str, cache: Path, file: Path) -> None:
    # All scans of these digits.
    recipe = source_recipe(backbone)
    caps = Caps(train=1000, val=1000, test=1000)
    data = prepare(NAME, image_size=recipe.image_size, caps=caps, seed=SEED, cache=cache)
    work = file.with_suffix(".work")
    finetune(
        recipe,
        data,
        torch.device("cpu"),
        lambda metrics: None,
        checkpoints=work,
        report_every=WHOLE_S,
    )
    # The weights are the best checkpoint; the rest of the run goes, whatever came of it.
    best = checkpoint.best(work)
    if best is not None:
        best.replace(file)
    shutil.rmtree(work)
    if best is None:
        raise OSError(errno.EIO, "the checkpoint is damaged: try again", str(work))
