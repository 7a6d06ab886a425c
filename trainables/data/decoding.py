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
from trainables.data.entry import FORMAT, Meta, entry_meta
from trainables.data.leaks import Found, cautions, same_set
from trainables.data.listing import DECODE_SCALE, SPLITS, Listing, Progress, Rows, Source
from trainables.data.looks import BRIGHTNESS, SIZES
from trainables.data.pool import CHUNK, Pool
from trainables.data.problems import DataError
from trainables.data.reading import ReadOptions
from trainables.data.splits import Caps, Choice, choose
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
) -> Meta:
    """Decode a data set into a new entry, unless another process was first.

    The entry is there whole or not at all.

    Returns:
        The entry's own words, its meta.json.

    Raises:
        DataError: All that is wrong with the data.
        OSError: The cache cannot be written.
    """
    listing, pixels = source.load()
    choice = choose(listing, caps=caps, seed=seed, groups=listing.groups)
    lock = entry.parent.parent / "locks" / f"{entry.name}.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if meta := entry_meta(entry):  # another process was first
            return meta
        with _new_entry(entry) as folder:
            side = _side(pixels.sizes[:, 0], choice, image_size)
            pool = Pool(folder / "pool", pixels, side, progress)
            choice, found = _without_leaks(listing, choice, pool, caps, seed, how)
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
            }
            # While the images that were left out are still in the pool.
            examples = copy_examples(found, listing, choice, pool)
            with _synced(folder / COPIES) as file:
                file.write(examples.as_json().encode())
            return _write_entry(folder, meta, pool, choice)


def _without_leaks(
    listing: Listing, choice: Choice, pool: Pool, caps: Caps, seed: int, how: ReadOptions
) -> tuple[Choice, Found]:
    """Choose again now that copies can be known.

    Images that come in for those that went are decoded too, until none is new.
    """
    pool.add(_all_rows(choice))
    while True:
        found = Found.of(pool.rows, copies(pool.prints), listing)
        if how.keep_copies or not found.any():
            return choice, found
        if problems := same_set(found, listing):
            raise DataError(problems)
        together = found.groups_of_all(sum(map(len, listing.labels.values())), listing.groups)
        try:
            choice = choose(listing, caps=caps, seed=seed, groups=together)
        except DataError as error:
            # The copies that made it impossible are named, too.
            of_copies = cautions(found, listing, pool.pixels.names, kept=False)
            raise DataError([*error.problems, *of_copies]) from error
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


def _write_entry(folder: Path, meta: Meta, pool: Pool, choice: Choice) -> Meta:
    """Write the splits, from images that are decoded already.

    Returns:
        The given meta with `digest`, `files` and `format` added.
    """
    # The digest is of what trials see: images, labels, names of classes.
    digest = hashlib.sha256(json.dumps(meta["classes"]).encode())
    sides = pool.pixels.sizes
    for split in SPLITS:
        rows = choice.rows[split]
        labels = choice.labels[split]
        digest.update(f"{split} {len(rows)} {pool.side}".encode() + labels.tobytes())
        with _synced(folder / f"{split}_labels.npy") as file:
            np.save(file, labels, allow_pickle=False)
        with _synced(folder / f"{split}_images.npy") as file:
            _write_images(file, pool, rows, digest)
        with _synced(folder / f"{split}_names.json") as file:
            file.write(json.dumps(pool.pixels.names(rows)).encode())
        with _synced(folder / SIZES.format(split=split)) as file:
            np.save(file, sides[rows].astype(np.int32), allow_pickle=False)
        with _synced(folder / BRIGHTNESS.format(split=split)) as file:
            np.save(file, pool.brightness(rows), allow_pickle=False)
    pool.close()

    # A file that was cut off later is known by its size.
    sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    whole = {**meta, "digest": digest.hexdigest()[:16], "files": sizes, "format": FORMAT}
    # The entry's last file. Writing it whole also forces the names of those before it to the disk.
    write_whole(folder / "meta.json", json.dumps(whole, indent=1))
    return whole


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
