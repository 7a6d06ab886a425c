"""One decoded data set on disk: arrays to map into memory, and meta.json, which is written last and vouches for them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from trainables.data.listing import SPLITS, Pixels, Rows, SplitName
from trainables.data.problems import DataError, shortened

Meta: TypeAlias = dict[str, Any]

CHUNK = 256  # images decoded at a time: bounds memory, keeps all cores busy
FORMAT = 1


def entry_meta(entry: Path) -> Meta | None:
    """What an entry says of itself; None where it is absent, half-written or damaged."""
    try:
        meta = json.loads((entry / "meta.json").read_text(encoding="utf-8"))
        whole = meta["format"] == FORMAT and all((entry / name).stat().st_size == size for name, size in meta["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return meta if whole else None


def write_entry(
    entry: Path, meta: Meta, pixels: Pixels, rows: Mapping[SplitName, Rows], labels: Mapping[SplitName, Rows], side: int
) -> Meta:
    """Decode the chosen rows into a new entry: whole, or not there at all. One writer at a time.

    Returns:
        The given meta with `digest`, `files` and `format` added.

    Raises:
        DataError: One line for each image that does not decode.
        OSError: The cache cannot be written.
    """
    temporary = entry.with_name(f".{entry.name}.tmp")
    for old in (temporary, entry):  # a killed writer's rest, a damaged entry
        if old.exists():
            shutil.rmtree(old)
    temporary.mkdir(parents=True)
    try:
        digest = hashlib.sha256(json.dumps(meta["classes"]).encode())
        problems: list[str] = []
        for split in SPLITS:
            digest.update(f"{split} {len(rows[split])} {side}".encode() + labels[split].tobytes())
            with (temporary / f"{split}_labels.npy").open("wb") as file:
                np.save(file, labels[split], allow_pickle=False)
                _sync(file)
            with (temporary / f"{split}_images.npy").open("wb") as file:
                problems += _write_images(file, pixels, rows[split], side, digest)
                _sync(file)
            with (temporary / f"{split}_names.json").open("wb") as file:
                file.write(json.dumps(pixels.names(rows[split])).encode())
                _sync(file)
        if problems:
            raise DataError(shortened(problems, "files are damaged images"))
        sizes = {path.name: path.stat().st_size for path in sorted(temporary.iterdir())}
        whole = {**meta, "digest": digest.hexdigest()[:16], "files": sizes, "format": FORMAT}
        with (temporary / "meta.json").open("wb") as file:
            file.write(json.dumps(whole, indent=1).encode())
            _sync(file)
        temporary.rename(entry)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return whole


def _write_images(file: BinaryIO, pixels: Pixels, rows: Rows, side: int, digest: hashlib._Hash) -> list[str]:
    """Plain writes rather than a mapped array: a full disk is then an error and not a crash."""
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(rows), side, side, 3)}
    np.lib.format.write_array_header_1_0(file, header)
    problems: list[str] = []
    for start in range(0, len(rows), CHUNK):
        images, damaged = pixels.squares(rows[start : start + CHUNK], side)
        problems += damaged
        digest.update(images.data)
        file.write(images.data)
    return problems


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
