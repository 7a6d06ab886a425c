"""A data set that was found becomes an entry of the cache.

It is decoded once, its copies are found, its splits settled, and all is written down.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock

from trainables.data.copies import copies
from trainables.data.copy_examples import COPIES, copy_examples
from trainables.data.entry import FORMAT, TEST_ROWS, Meta, entry_meta
from trainables.data.leaks import Found, cautions, same_set
from trainables.data.listing import (
    DECODE_SCALE,
    SPLITS,
    Listing,
    Progress,
    Rows,
    Source,
    SplitName,
)
from trainables.data.looks import BRIGHTNESS, SIZES
from trainables.data.pool import CHUNK, Pool
from trainables.data.problems import DataError
from trainables.data.reading import ReadOptions
from trainables.data.splits import Caps, Choice, Draw, choose
from trainables.data.understood import origins
from trainables.files import write_whole


def decoded(
    entry: Path,
    data: str,
    source: Source,
    image_size: int,
    caps: Caps,
    seed: int,
    how: ReadOptions,
    progress: Progress,
    draw: int | None = None,
    base: Path | None = None,
) -> Meta:
    """Decode a data set into a new entry, unless another process was first.

    The entry is there whole or not at all.

    Args:
        entry: Its folder.
        data: What the user passed.
        source: What was found there.
        image_size: Pixels per side of a network's input, of which the stored side is made.
        caps: Images per class, at most.
        seed: The seed of the choice.
        how: Whether copies stay.
        progress: Is called after each chunk that is decoded.
        draw: Number of a draw.
        base: The entry without a draw: a draw keeps its test split and its side.

    Returns:
        The entry's own words, its meta.json.

    Raises:
        DataError: All that is wrong with the data.
        OSError: The cache cannot be written.
    """
    listing, pixels = source.load()
    drawn = None
    if draw is not None and base is not None:
        drawn = Draw(number=draw, test=np.load(base / TEST_ROWS, allow_pickle=False))
    choice = choose(listing, caps=caps, seed=seed, groups=listing.groups, draw=drawn)
    lock = entry.parent.parent / "locks" / f"{entry.name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if meta := entry_meta(entry):  # another process was first
            return meta
        with _new_entry(entry) as folder:
            if base is None:
                side = _side(pixels.sizes[:, 0], choice, image_size)
            else:
                side = _stored_side(base)
            pool = Pool(folder / "pool", pixels, side, progress)
            choice, found = _without_leaks(listing, choice, pool, caps, seed, how, drawn)
            of_copies = cautions(found, listing, pixels.names, kept=how.keep_copies)
            meta = {
                "name": source.name,
                "source": data,
                "classes": listing.classes,
                "counts": choice.counts,
                "notes": choice.notes,
                "cautions": [*listing.cautions, *of_copies],
                "layout": listing.layout,
                "origins": origins(listing),
                "passed_over": listing.passed_over,
                "draw": draw,
            }
            # While the images that were left out are still in the pool.
            examples = copy_examples(found, listing, choice, pool)
            with _synced(folder / COPIES) as file:
                file.write(examples.as_json().encode())
            return _write_entry(folder, meta, pool, choice, base)


def _without_leaks(
    listing: Listing,
    choice: Choice,
    pool: Pool,
    caps: Caps,
    seed: int,
    how: ReadOptions,
    draw: Draw | None,
) -> tuple[Choice, Found]:
    """Choose again now that copies can be known.

    Images that come in for those that went are decoded too, until none is new.
    """
    pool.add(_all_rows(choice))
    while True:
        found = Found.of(pool.rows, copies(pool.prints), listing)
        if how.keep_copies or not found.any():
            return choice, found
        # Given parts that are one were refused before: the few images of a draw can only look so.
        if draw is None and (problems := same_set(found, listing)):
            raise DataError(problems)
        together = found.groups_of_all(sum(map(len, listing.labels.values())), listing.groups)
        try:
            choice = choose(listing, caps=caps, seed=seed, groups=together, draw=draw)
        except DataError as error:
            # The copies that made it impossible are named, too.
            of_copies = cautions(found, listing, pool.pixels.names, kept=False)
            raise type(error)([*error.problems, *of_copies]) from error
        if not pool.add(_all_rows(choice)):
            return choice, found


def _all_rows(choice: Choice) -> Rows:
    """Return the rows of all splits, [N]."""
    return np.concatenate([choice.rows[split] for split in SPLITS])


def _side(sides: Rows, choice: Choice, image_size: int) -> int:
    """Return one size for the whole set, to which smaller images are enlarged.

    A batch is then one slice, with nothing to collate.
    """
    largest = max(int(sides[rows].max()) for rows in choice.rows.values())
    return min(round(DECODE_SCALE * image_size), largest)


def _stored_side(entry: Path) -> int:
    """Return the size at which an entry stores its images."""
    return int(np.load(entry / "test_images.npy", mmap_mode="r", allow_pickle=False).shape[1])


@contextmanager
def _new_entry(entry: Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes the entry if that goes well, and else is removed.

    There is one writer at a time.
    """
    temporary = entry.with_name(f".{entry.name}.tmp")
    # A killed writer's rest, a damaged entry.
    for old in (temporary, entry):
        if old.exists():
            shutil.rmtree(old)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        temporary.rename(entry)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write_entry(folder: Path, meta: Meta, pool: Pool, choice: Choice, base: Path | None) -> Meta:
    """Write the splits, from images that are decoded already; a draw's test split is its base's.

    Returns:
        The given meta with `digest`, `files` and `format` added.
    """
    # The digest is of what trials see: images, labels, names of classes.
    digest = hashlib.sha256(json.dumps(meta["classes"]).encode())
    for split in SPLITS:
        labels = choice.labels[split]
        digest.update(f"{split} {len(labels)} {pool.side}".encode() + labels.tobytes())
        if split == "test" and base is not None:
            _share_test(folder, base, digest)
        else:
            _write_split(folder, split, pool, choice, digest)
    pool.close()

    # A file that was cut off later is known by its size.
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    whole = {**meta, "digest": digest.hexdigest()[:16], "files": sizes, "format": FORMAT}
    # The entry's last file. Writing it whole also forces the names of those before it to the disk.
    write_whole(folder / "meta.json", json.dumps(whole, indent=1))
    return whole


def _write_split(
    folder: Path, split: SplitName, pool: Pool, choice: Choice, digest: hashlib._Hash
) -> None:
    """Write one split, and add its images to the digest."""
    rows = choice.rows[split]
    with _synced(folder / f"{split}_labels.npy") as file:
        np.save(file, choice.labels[split], allow_pickle=False)
    with _synced(folder / f"{split}_images.npy") as file:
        _write_images(file, pool, rows, digest)
    with _synced(folder / f"{split}_names.json") as file:
        file.write(json.dumps(pool.pixels.names(rows)).encode())
    with _synced(folder / SIZES.format(split=split)) as file:
        np.save(file, pool.pixels.sizes[rows].astype(np.int32), allow_pickle=False)
    with _synced(folder / BRIGHTNESS.format(split=split)) as file:
        np.save(file, pool.brightness(rows), allow_pickle=False)
    if split == "test":
        with _synced(folder / TEST_ROWS) as file:
            np.save(file, rows, allow_pickle=False)


def _share_test(folder: Path, base: Path, digest: hashlib._Hash) -> None:
    """Take over the files of an entry's test split, and add its images to the digest.

    They are linked, and take no room on the disk; copied where it has no links.
    """
    for path in sorted(base.glob("test_*")):
        try:
            (folder / path.name).hardlink_to(path)
        except OSError:
            with path.open("rb") as whole, _synced(folder / path.name) as file:
                shutil.copyfileobj(whole, file)
    images = np.load(folder / "test_images.npy", mmap_mode="r", allow_pickle=False)
    for start in range(0, len(images), CHUNK):
        digest.update(images[start : start + CHUNK].data)


def _write_images(file: BinaryIO, pool: Pool, rows: Rows, digest: hashlib._Hash) -> None:
    """Write images by plain writes, not to a mapped array: a full disk is an error, not a crash."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(rows), pool.side, pool.side, 3)}
    np.lib.format.write_array_header_1_0(file, header)
    for start in range(0, len(rows), CHUNK):
        images = pool.images(rows[start : start + CHUNK])
        digest.update(images.data)
        file.write(images.data)


@contextmanager
def _synced(path: Path) -> Iterator[BinaryIO]:
    """Write a file in a `with` block, and force it to the disk."""
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
