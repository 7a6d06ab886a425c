"""A data name or path to uint8 arrays on disk: checked, split, decoded once, mapped by every trial.

The trials of a node share one copy of them in memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from trainables.data.entry import Meta, entry_meta
from trainables.data.listing import Images, Progress, Rows, silent
from trainables.data.problems import DataError
from trainables.data.reading import ReadOptions
from trainables.data.sources import find
from trainables.data.splits import Caps, choose
from trainables.data.understood import origins
from trainables.problems import reason

__all__ = [
    "Caps",
    "DataError",
    "Dataset",
    "ReadOptions",
    "Split",
    "Summary",
    "TestSplitShutError",
    "inspect",
    "prepare",
    "present",
    "read",
]

CODE_VERSION = 3  # raise it when the same input would give other arrays
AS_IT_IS = ReadOptions()


class TestSplitShutError(RuntimeError):
    """The test split was asked for before a finalist may see it."""

    __test__ = False  # no test case of pytest's


@dataclass(frozen=True)
class Split:
    """One split, read-only.

    Attributes:
        images: uint8 [N, S, S, 3], mapped from disk.
        labels: int64 [N].
    """

    images: Images
    labels: Rows


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The facts of a data set before it is decoded, in the words of `Dataset`."""

    name: str
    source: str
    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]
    cautions: tuple[str, ...]
    layout: str
    origins: Mapping[str, str]
    passed_over: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A decoded data set in the cache. Its test split stays shut until a finalist asks for it.

    Attributes:
        name: "digits", "cifar10", a file's stem or a folder's name, fit for an MLflow model's name.
        source: What the user passed.
        classes: Names of the classes; a label is an index into them.
        digest: 16 hex digits of the SHA-256 of all splits' images, labels and class names.
        counts: Images used, by split and class.
        notes: Lines to show: classes with fewer images than asked for, names that were read as
            another.
        cautions: Lines that a person must know before trusting a number: copies across splits,
            contradicting labels.
        layout: What was recognized.
        origins: Where each split comes from.
        passed_over: What is not used: how many files and an example, by reason.
        draw: Number of the draw that train and val are; None for those of the search.
        path: The cache entry, for `read` on a worker.
        test_is_open: Whether `split("test")` answers.
    """

    name: str
    source: str
    classes: tuple[str, ...]
    digest: str
    counts: Mapping[str, Mapping[str, int]]
    notes: tuple[str, ...]
    cautions: tuple[str, ...]
    layout: str
    origins: Mapping[str, str]
    passed_over: Mapping[str, str]
    draw: int | None
    path: Path
    test_is_open: bool = False

    def split(self, name: Literal["train", "val", "test"]) -> Split:
        """Return the arrays of one split; train is stored shuffled, its classes interleaved.

        Raises:
            TestSplitShutError: Test is asked for by what may not see it: recipes are chosen without
                it.
        """
        if name == "test" and not self.test_is_open:
            raise TestSplitShutError(
                "the test split is for finalists alone: read the data with test=True."
            )
        labels = np.load(self.path / f"{name}_labels.npy", allow_pickle=False)
        labels.flags.writeable = False
        images = np.load(self.path / f"{name}_images.npy", mmap_mode="r", allow_pickle=False)
        return Split(images, labels)

    def names(self, split: Literal["train", "val", "test"]) -> tuple[str, ...]:
        """Return the user's names of a split's images; none if an older version decoded them."""
        path = self.path / f"{split}_names.json"
        if not path.is_file():
            return ()
        return tuple(json.loads(path.read_bytes()))


def prepare(
    data: str,
    *,
    image_size: int,
    caps: Caps,
    seed: int,
    cache: Path,
    how: ReadOptions = AS_IT_IS,
    draw: int | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Check a data set, split it, decode it into the cache unless it is there, and return it.

    `data` is digits, digits-source, cifar10 (downloaded if need be), an .npz or a folder. Copies of
    each other are kept on one side of the splits that are made here; of splits that are given,
    train loses those of val and test. Of several processes that ask at once, one decodes and the
    others wait.

    A draw has the test split of the data without one, which are decoded first where they are not
    there, and its own train and val, drawn from all other images: `splits.choose` says how.

    Raises:
        DataError: Everything that is wrong with the data, or a cache that cannot be written.
    """
    cache = cache.absolute()
    source = find(data, cache, how)
    # The entry's name depends on all that its arrays depend on.
    identity = [CODE_VERSION, source.identity, image_size, asdict(caps), seed, how.keep_copies]
    if draw is not None:
        identity.append(draw)
    key = hashlib.sha256(json.dumps(identity).encode())
    entry = cache / "data" / key.hexdigest()[:24]
    meta = entry_meta(entry)
    if meta is None:
        # SciPy takes a fifth of a second to import; workers, who only read, do without it.
        from trainables.data.decoding import decoded

        base = None
        if draw is not None:
            without = prepare(
                data,
                image_size=image_size,
                caps=caps,
                seed=seed,
                cache=cache,
                how=how,
                progress=progress,
            )
            base = without.path
        try:
            meta = decoded(
                entry, data, source, image_size, caps, seed, how, progress, draw=draw, base=base
            )
        except OSError as error:
            problem = (
                f"The cache {cache} must be writable, but {reason(error)}: make room, or choose "
                "another place with DVT_CACHE_DIR."
            )
            raise DataError([problem]) from error
    return _dataset(entry, meta, data)


def inspect(
    data: str, *, caps: Caps, seed: int, cache: Path, how: ReadOptions = AS_IT_IS
) -> Summary:
    """Check a data set as `prepare` does, but decode, download and write nothing.

    Headers of image files are checked. Copies of images are not known before they are decoded.

    Raises:
        DataError: Everything that can be found wrong so far.
    """
    # All that `prepare` does before it decodes.
    source = find(data, cache.absolute(), how)
    listing = source.preview()
    choice = choose(listing, caps=caps, seed=seed, groups=listing.groups)
    return Summary(
        name=source.name,
        source=data,
        classes=listing.classes,
        counts=choice.counts,
        notes=choice.notes,
        cautions=listing.cautions,
        layout=listing.layout,
        origins=origins(listing),
        passed_over=listing.passed_over,
    )


def present(path: Path) -> bool:
    """Return whether a data set that `prepare` left in the cache is still there."""
    return entry_meta(path) is not None


def read(path: Path, *, test: bool = False) -> Dataset:
    """Return a data set that `prepare` left in the cache, on a worker.

    Args:
        path: The cache entry.
        test: Open the test split, for a finalist or a report.

    Raises:
        DataError: No whole entry is there.
    """
    meta = entry_meta(path)
    if meta is None:
        raise DataError(
            [f"{path} must hold decoded data, but is missing or damaged: prepare it again."]
        )
    return replace(_dataset(path, meta, meta["source"]), test_is_open=test)


def _dataset(entry: Path, meta: Meta, source: str) -> Dataset:
    return Dataset(
        name=meta["name"],
        source=source,
        classes=tuple(meta["classes"]),
        digest=meta["digest"],
        counts=meta["counts"],
        notes=tuple(meta["notes"]),
        cautions=tuple(meta["cautions"]),
        layout=meta["layout"],
        origins=meta["origins"],
        passed_over=meta["passed_over"],
        draw=meta["draw"],
        path=entry,
    )
