"""How many planted wrong labels are at the top of suspects.csv?

    python benchmarks/suspects.py [--json] [--rounds 3] [--draws fixed]

scikit-learn's scans of the digits 5 to 9. In a share of all images, train, val and test alike, the
label is replaced by another one. Two recipes over two seeds each, the demo's plain and two-stage
defaults, are trained and answer as finalists do: 6 epochs at 32 px from the demo's source weights,
with at most `train` images per class; each seed on a draw of its own, or all on the same images.
`found` is the share of the wrong labels of val and test that are among the first n of our list, n
being their number; the same with all images ranked by the normalized margin, and of the paper's
list of confident off-diagonals. `listed` is how long our list is. Classes 1:20 are thinned out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from sweeps.report.confident_learning import suspects, thresholds
from sweeps.report.suspects import trust
from trainables import checkpoint, source_model
from trainables.compute import Compute
from trainables.data.dataset import Caps, Dataset, prepare, read
from trainables.final import evaluate_finalist
from trainables.finetune import finetune
from trainables.recipe import Recipe
from trainables.weights import Weights

CPU = torch.device("cpu")
WHOLE_S = 3600.0  # seconds: a checkpoint is written once, in the end
# Wrong labels, train images per class, images of the rarest class for 20 of the most frequent.
CASES = (
    (0.05, 20, 20),
    (0.10, 20, 20),
    (0.07, 60, 20),
    (0.07, 60, 1),
    (0.00, 60, 20),
)
PLAIN = Recipe(weights=source_model.NAME, epochs=6, batch_size=25, image_size=32)
TWO_STAGE = replace(
    PLAIN,
    stage1_epochs=1,
    stage2_lr=1e-4,
    scheduler="cosine",
    augmentation="crop_flip",
    weight_decay=1e-4,
)


def planted(
    wrong: float, rarest: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Images, given labels and true ones."""
    rng = np.random.default_rng([seed, rarest])
    scans = load_digits()
    kept = rng.permutation(np.flatnonzero(scans.target >= 5))
    true = scans.target[kept].astype(np.int64) - 5
    most = [max(9, round(175 * (rarest / 20) ** (digit / 4))) for digit in range(5)]
    chosen = np.concatenate([np.flatnonzero(true == digit)[: most[digit]] for digit in range(5)])
    images, true = np.rint(scans.images[kept[chosen]] * (255 / 16)).astype(np.uint8), true[chosen]
    flipped = rng.permutation(len(true))[: round(wrong * len(true))]
    given = true.copy()
    given[flipped] = (true[flipped] + rng.integers(1, 5, len(flipped))) % 5
    return images, given, true


def probabilities(
    sets: list[Dataset], images: int, weights: Weights, work: Path
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows [N] of the images of val and test, and their weighted means over runs [N, classes].

    A run per recipe and set; an image's mean is over the runs that had it in val or test.
    """
    total = np.zeros((images, 5))
    trusted = np.zeros((images, 1))
    for recipe in (PLAIN, TWO_STAGE):
        for seed, data in enumerate(sets, start=1):
            run = work / f"{recipe.scheduler}-{seed}"
            asked = replace(recipe, seed=seed)
            finetune(
                asked, data, CPU, quiet, weights=weights, checkpoints=run, report_every=WHOLE_S
            )
            best = checkpoint.best(run)
            assert best is not None
            evaluate_finalist(best, data, CPU, Compute(), run / "answers.npz")
            with np.load(run / "answers.npz") as answers:
                told = np.exp(np.concatenate([answers["val"], answers["test"]])).astype(np.float64)
                labels = np.concatenate([answers["val_labels"], answers["test_labels"]])
            rows = rows_of(data)
            total[rows] += trust(told, labels) * told
            trusted[rows] += trust(told, labels)
    rows = np.flatnonzero(trusted)
    return rows, total[rows] / trusted[rows]


def rows_of(data: Dataset) -> NDArray[np.int64]:
    """The rows of the images of val and test in the file, by their names."""
    names = [*data.names("val"), *data.names("test")]
    return np.array([int(name.rpartition("[")[2].rstrip("]")) for name in names])


def quiet(metrics: dict[str, float]) -> None:
    """Report nothing."""


def measured(
    case: tuple[float, int, int], seed: int, draws: str, cache: Path, weights: Path
) -> dict[str, Any]:
    """One planting."""
    wrong, train, rarest = case
    started = time.perf_counter()
    images, given, true = planted(wrong, rarest, seed)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "digits.npz"
        np.savez(file, x_train=images, y_train=given)
        caps = Caps(train=train, val=10**6, test=10**6)
        sets = []
        for number in (1, 2):
            draw = number if draws == "new" else None
            made = prepare(str(file), image_size=32, caps=caps, seed=seed, cache=cache, draw=draw)
            sets.append(read(made.path, test=True))
        rows, means = probabilities(sets, len(given), Weights.of(weights), Path(folder))
    labels, right = given[rows], given[rows] == true[rows]
    count = int((~right).sum())
    found = {
        name: float((~right[order[:count]]).sum() / max(count, 1))
        for name, order in rankings(means, labels).items()
    }
    return {
        "draws": draws,
        "wrong": wrong,
        "train": train,
        "classes": f"1:{20 // rarest}",
        "planted": count,
        "of": len(rows),
        "models_right": float((means.argmax(axis=1) == true[rows]).mean()),
        "listed": len(suspects(means, labels)),
        "found": found,
        "seconds": time.perf_counter() - started,
    }


def rankings(means: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Rows, the most suspicious first: our list, and what it is compared with."""
    everything = np.arange(len(labels))
    own = means[everything, labels]
    others = means.copy()
    others[everything, labels] = -1
    reached = np.where(means >= thresholds(means, labels), means, -1)
    confident = np.flatnonzero((reached.max(axis=1) >= 0) & (reached.argmax(axis=1) != labels))
    return {
        "ours": np.array([suspect.row for suspect in suspects(means, labels)], np.int64),
        "margin": np.argsort(own - others.max(axis=1), kind="stable"),
        "off_diagonal": confident[np.argsort(own[confident], kind="stable")],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--draws", choices=("new", "fixed"), default="new")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        weights = source_model.ensure("resnet18", cache)
        for case in CASES:
            for seed in range(asked.rounds):
                row = measured(case, seed, asked.draws, cache, weights)
                print(json.dumps(row) if asked.json else in_words(row), flush=True)


def in_words(row: dict[str, Any]) -> str:
    found = ", ".join(f"{name} {share:.0%}" for name, share in row["found"].items())
    return (
        f"{row['wrong']:.0%} wrong, {row['train']} train, classes {row['classes']}: "
        f"{row['planted']} of {row['of']} planted, "
        f"models right {row['models_right']:.0%}, listed {row['listed']}, found: {found} "
        f"({row['seconds']:.0f} s)"
    )


if __name__ == "__main__":
    main()
