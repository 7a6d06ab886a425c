"""CIFAR-10 as torchvision downloads and unpacks it, its checksums verified before it is read."""

from __future__ import annotations

import shutil
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from http.client import HTTPException
from pathlib import Path

import numpy as np
from filelock import FileLock

from trainables.data.arrays import Arrays
from trainables.data.listing import Listing, Source, SplitName
from trainables.data.problems import DataError
from trainables.download import socket_timeout
from trainables.problems import reason

FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5")
LAYOUT = "CIFAR-10 as published, its train and test images"


def cifar10(cache: Path) -> Source:
    """Return the data set by its name, downloaded to `datasets/` of the cache when first loaded."""
    return Source(
        name="cifar10",
        identity=["cifar10"],  # fixed by its checksums
        preview=lambda: _known(cache / "datasets"),
        load=lambda: _downloaded(cache / "datasets", cache / "locks" / "cifar10.lock"),
    )


def cifar10_folder(path: Path) -> Source | None:
    """Return the data set at a path that is, or holds, `cifar-10-batches-py`, or None."""
    folder = path if path.resolve().name == FOLDER else path / FOLDER
    if not folder.is_dir():
        return None
    files = []
    for file in sorted(folder.iterdir()):
        stat = file.stat()
        files.append((file.name, stat.st_size, stat.st_mtime_ns))
    root = folder.resolve().parent
    return Source(
        name="cifar10",
        identity=["cifar10 folder", str(root), files],
        preview=lambda: _known(root, {name for name, _, _ in files}),
        load=lambda: _at(root),
    )


def _known(root: Path, files: set[str] | None = None) -> Listing:
    """Return the published classes and counts, 5,000 and 1,000 images each, without reading any."""
    # A folder may lack files; what is downloaded is complete.
    problems: tuple[str, ...] = ()
    if files is not None:
        missing = [name for name in (*BATCHES, "test_batch", "batches.meta") if name not in files]
        if missing:
            problems = (_refusal(root, f"lacks {', '.join(missing)}"),)
    return Listing(
        classes=CLASSES,
        labels={"train": np.repeat(np.arange(10), 5000), "test": np.repeat(np.arange(10), 1000)},
        places=_places(root),
        layout=LAYOUT,
        problems=problems,
    )


def _downloaded(root: Path, lock: Path) -> tuple[Listing, Arrays]:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        # torchvision prints its progress; standard output is for results.
        printed = redirect_stdout(sys.stderr)
        with FileLock(lock), _removed_on_failure(root), socket_timeout(), printed:
            return _read(root, download=True)
    except (OSError, RuntimeError, HTTPException, tarfile.TarError, EOFError) as error:
        problem = (
            f"cifar10 must be downloaded once, but {_url()} failed ({reason(error)}): "
            f"put {FOLDER}/ or {ARCHIVE} into {root}, or use --data digits or --data FILE.npz."
        )
        raise DataError([problem]) from error


@contextmanager
def _removed_on_failure(root: Path) -> Iterator[None]:
    """Remove what a failed download leaves, and nothing that was there before."""
    mine = [path for path in (root / FOLDER, root / ARCHIVE) if not path.exists()]
    try:
        yield
    except BaseException:
        for path in mine:
            shutil.rmtree(path, ignore_errors=True)
            path.unlink(missing_ok=True)
        with suppress(OSError):
            root.rmdir()
        raise


def _at(root: Path) -> tuple[Listing, Arrays]:
    try:
        return _read(root, download=False)
    except (OSError, RuntimeError) as error:
        broken = f"has files that are missing or have another checksum ({reason(error)})"
        raise DataError([_refusal(root, broken)]) from error


def _read(root: Path, *, download: bool) -> tuple[Listing, Arrays]:
    from torchvision.datasets import CIFAR10  # imports torch, which takes seconds

    # torchvision verifies the checksums of all files.
    train = CIFAR10(root, train=True, download=download)
    test = CIFAR10(root, train=False)
    listing = Listing(
        classes=tuple(train.classes),
        labels={
            "train": np.array(train.targets, np.int64),
            "test": np.array(test.targets, np.int64),
        },
        places=_places(root),
        layout=LAYOUT,
    )
    return listing, Arrays([train.data, test.data], ["cifar10 train", "cifar10 test"])


def _places(root: Path) -> dict[SplitName, str]:
    return {"train": f"{root / FOLDER} (train)", "test": f"{root / FOLDER} (test)"}


def _refusal(root: Path, broken: str) -> str:
    return (
        f"{root / FOLDER} must hold CIFAR-10 as published for Python, but {broken}: "
        f"unpack {ARCHIVE} there again."
    )


def _url() -> str:
    from torchvision.datasets import CIFAR10

    return str(CIFAR10.url)
