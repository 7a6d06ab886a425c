"""A data name or path to uint8 arrays on disk: checked, split, decoded once, mapped by every trial of a node."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from filelock import FileLock

from trainables.data.entry import Meta, entry_meta, write_entry
from trainables.data.listing import Images, Rows, Source
from trainables.data.problems import DataError, reason
from trainables.data.sources import find
from trainables.data.splits import Caps, Choice, choose

__all__ = ["Caps", "DataError", "Dataset", "Split", "Summary", "TestSplitShutError", "inspect", "prepare", "present", "read"]

CODE_VERSION = 3  # raise it when the same input would give other arrays
DECODE_SCALE = 1.25  # stored side over image_size: room for random crops


class TestSplitShutError(RuntimeError):
    """The test split was asked for before a finalist may see it."""

    __test__ = False  # no test case of pytest's


@dataclass(frozen=True)
class Split:
    """One split, read-only: `images` uint8 [N, S, S, 3], mapped from disk, and `labels` int64 [N]."""

    images: Images
    labels: Rows


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a data set would give: its name, what the user passed, classes, images used by split and class, lines to show."""

    name: str
    source: str
    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A decoded data set in the cache. Its test split stays shut until a finalist asks for it.

    Attributes:
        name: "digits", "cifar10", a file's stem or a folder's name, fit for an MLflow model's name.
        source: What the user passed.
        classes: Names of the classes; a label is an index into them.
        digest: 16 hex digits of the SHA-256 of all splits' images, labels and class names.
        counts: Images used, by split and class.
        notes: Lines to show: classes with fewer images than asked for, files left out.
        path: The cache entry, for `read` on a worker.
        test_is_open: Whether `split("test")` answers.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    digest: str
    counts: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]
    path: Path
    test_is_open: bool = False

    def split(self, name: Literal["train", "val", "test"]) -> Split:
        """The arrays of one split; train is stored shuffled, its classes interleaved.

        Raises:
            TestSplitShutError: Test is asked for by what may not see it: recipes are chosen without it.
        """
        if name == "test" and not self.test_is_open:
            raise TestSplitShutError("the test split answers once, to finalists: read the data with test=True.")
        labels = np.load(self.path / f"{name}_labels.npy", allow_pickle=False)
        labels.flags.writeable = False
        return Split(np.load(self.path / f"{name}_images.npy", mmap_mode="r", allow_pickle=False), labels)

    def names(self, split: Literal["train", "val", "test"]) -> tuple[str, ...]:
        """What the user calls the images of a split, in its order; empty where an older version decoded them."""
        path = self.path / f"{split}_names.json"
        return tuple(json.loads(path.read_bytes())) if path.is_file() else ()


def prepare(data: str, *, image_size: int, caps: Caps, seed: int, cache: Path) -> Dataset:
    """Check a data set, split it, decode it into the cache unless it is there, and return it.

    `data` is digits, digits-source, cifar10 (downloaded if need be), an .npz, a folder of class folders or a Kaggle folder.
    Of several processes that ask at once, one decodes and the others wait.

    Raises:
        DataError: Everything that is wrong with the data, or a cache that cannot be written.
    """
    cache = cache.absolute()
    source = find(data, cache)
    key = json.dumps([CODE_VERSION, source.identity, image_size, asdict(caps), seed])
    entry = cache / "data" / hashlib.sha256(key.encode()).hexdigest()[:24]
    if meta := entry_meta(entry):
        return _dataset(entry, meta, data)
    try:
        return _dataset(entry, _decoded(entry, data, source, image_size, caps, seed), data)
    except OSError as error:
        raise DataError(
            [f"The cache {cache} must be writable, but {reason(error)}: make room, or choose another place with DVT_CACHE_DIR."]
        ) from error


def inspect(data: str, *, caps: Caps, seed: int, cache: Path) -> Summary:
    """Check a data set as `prepare` does, headers of image files included, but decode, download and write nothing.

    Raises:
        DataError: Everything that can be found wrong so far.
    """
    source = find(data, cache.absolute())
    listing = source.preview()
    choice = choose(listing, caps=caps, seed=seed)
    return Summary(name=source.name, source=data, classes=listing.classes, counts=choice.counts, notes=choice.notes)


def present(path: Path) -> bool:
    """Whether a data set that `prepare` left in the cache is still there."""
    return entry_meta(path) is not None


def read(path: Path, *, test: bool = False) -> Dataset:
    """A data set that `prepare` left in the cache, on a worker.

    Args:
        path: The cache entry.
        test: Open the test split, for a finalist or a report.

    Raises:
        DataError: No whole entry is there.
    """
    meta = entry_meta(path)
    if meta is None:
        raise DataError([f"{path} must hold decoded data, but is missing or damaged: prepare it again."])
    return replace(_dataset(path, meta, meta["source"]), test_is_open=test)


def _decoded(entry: Path, data: str, source: Source, image_size: int, caps: Caps, seed: int) -> Meta:
    listing, pixels = source.load()
    choice = choose(listing, caps=caps, seed=seed)
    lock = entry.parent.parent / "locks" / f"{entry.name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if meta := entry_meta(entry):  # another process was first
            return meta
        meta = {
            "name": source.name,
            "source": data,
            "classes": listing.classes,
            "counts": choice.counts,
            "notes": choice.notes,
        }
        side = _side(pixels.sides, choice, image_size)
        return write_entry(entry, meta, pixels, choice.rows, choice.labels, side)


def _side(sides: Rows, choice: Choice, image_size: int) -> int:
    """One size for the whole set, smaller images enlarged to it: a batch is then one slice, with nothing to collate."""
    largest = max(int(sides[rows].max()) for rows in choice.rows.values())
    return min(round(DECODE_SCALE * image_size), largest)


def _dataset(entry: Path, meta: Meta, source: str) -> Dataset:
    return Dataset(
        name=meta["name"],
        source=source,
        classes=tuple(meta["classes"]),
        digest=meta["digest"],
        counts=meta["counts"],
        notes=tuple(meta["notes"]),
        path=entry,
    )
