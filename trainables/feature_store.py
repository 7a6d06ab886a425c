"""Activations of frozen layers on disk.

They are written once for a view of the data, mapped by all trials of a node, and kept to a budget.
An entry appears whole, by a rename. Anything may be deleted at any time: it is computed again, and
arrays in use stay.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from filelock import FileLock, Timeout

from trainables.files import crc32_of, write_whole

Array: TypeAlias = np.ndarray[Any, Any]
View: TypeAlias = Mapping[str, Any]
Compute: TypeAlias = Callable[[Sequence[str]], Iterable[Mapping[str, Array]]]
Filling: TypeAlias = Literal["filled", "busy", "full"]

FORMAT = 1  # raise it when an entry is stored differently
DIGITS = 24  # of an entry's name
DATA = "activations.npy"
HEADER = 128  # bytes of an .npy file before its data
# Somebody deletes the cache, or writes where the lock was deleted.
DELETED = (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST)
UNSTORABLE = (*DELETED, errno.ENOSPC, errno.EDQUOT)

# Files whose checksum this process has found right, by name, inode, size and time.
_checked: set[tuple[str, int, int, int]] = set()


class ArraySpec(NamedTuple):
    """An array to be stored.

    Attributes:
        shape: Samples first.
        dtype: NumPy's name of it, such as `<f4`.
    """

    shape: tuple[int, ...]
    dtype: str


class FeatureStore:
    """Stored activations; several processes may use one folder at once.

    Args:
        folder: Where the entries are, made when needed.
        sweep: Name of the current sweep, whose entries this store never evicts; `name@part` means
            those of one part of it.
        share: Of free disk and what the entries hold, what all entries may take together.

    Raises:
        ValueError: A share outside (0, 1], or a sweep whose name is not fit for a file's.
    """

    def __init__(self, folder: Path, *, sweep: str, share: float = 0.3) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share must be more than 0 and at most 1, but got {share!r}.")
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._@-]*", sweep):
            raise ValueError(
                "sweep must be letters, digits, '.', '_', '-' and '@', not starting with '.', "
                f"but got {sweep!r}."
            )
        self._folder = folder.absolute()
        self._sweep = sweep
        self._share = share

    def open(self, view: View, cut: str) -> Array | None:
        """Map the array of an entry, read-only, and mark it as used now.

        Returns:
            The array, or None where there is none. A damaged one is dropped.
        """
        entry = self._folder / _digest(view, cut)
        array: Array | None = None
        with _Tolerated(*UNSTORABLE):
            seen = entry.stat()
            array = _mapped(entry)
            if array is not None:
                (entry / "sweeps" / self._sweep).touch()
            elif os.path.samestat(seen, entry.stat()):  # no other has taken its place
                _drop(entry)
        return array

    def missing(self, view: View, cuts: Iterable[str]) -> list[str]:
        """Return those cuts of a view that have no entry, or a damaged one.

        Damage is noticed as far as can be seen without reading an entry's data.
        """
        return [cut for cut in cuts if _meta(self._folder / _digest(view, cut)) is None]

    def fill(
        self, view: View, arrays: Mapping[str, ArraySpec], chunks: Compute, *, wait: bool
    ) -> Filling:
        """Compute and store those cuts of a view that are missing and fit.

        Each view has one writer at a time.

        Args:
            view: What the activations are of.
            arrays: By cut; other rows are a ValueError.
            chunks: Given cuts, it yields their rows chunk by chunk, in the order of the samples;
                called once or not at all.
            wait: Whether to wait for another process that writes this view.

        Returns:
            filled: All are there, by whomever. busy: Another process writes this view. full: Only
            those are there that fit, smallest first; no new ones where the disk is full before its
            time or the cache is deleted meanwhile.
        """
        missing = self.missing(view, arrays)
        files: dict[str, _File] = {}
        with ExitStack() as stack:
            # Lock the view and make room.
            with _Tolerated(*UNSTORABLE):
                if missing and not self._locked(stack, _digest(view), wait):
                    return "busy"
                missing = self.missing(view, missing)  # another process may have been first
                for cut in missing:
                    _drop(self._folder / _digest(view, cut))  # a damaged one
                if missing:
                    specs = {cut: arrays[cut] for cut in missing}
                    for cut, folder in self._reserve(view, specs, stack).items():
                        files[cut] = _File(folder, specs[cut], stack)
            # Write. OSErrors of whoever computes are not tolerated.
            computed = chunks(list(files)) if files else ()
            for rows in computed:
                with _Tolerated(*UNSTORABLE):
                    for cut, file in files.items():
                        file.add(rows[cut])
                    continue
                return "full"
            # Publish.
            with _Tolerated(*UNSTORABLE):
                for cut, file in files.items():
                    file.finish({"format": FORMAT, "view": view, "cut": cut}, self._sweep)
                for cut, file in files.items():
                    file.folder.rename(self._folder / _digest(view, cut))
                return "filled" if len(files) == len(missing) else "full"
        return "full"

    def decision(self, family: View) -> bool | None:
        """Return what was decided on a family of views.

        None where nothing was, or the file is damaged.
        """
        with suppress(FileNotFoundError, ValueError):
            keep = json.loads(self._decision_file(family).read_bytes())
            if isinstance(keep, bool):
                return keep
        return None

    def decide(self, family: View, keep: bool) -> None:
        """Remember a decision, unless the disk is full."""
        path = self._decision_file(family)
        with _Tolerated(*UNSTORABLE):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(keep))

    def _decision_file(self, family: View) -> Path:
        return self._folder / "decisions" / f"{_digest(family)}.json"

    def _locked(self, stack: ExitStack, name: str, wait: bool) -> bool:
        """Hold a lock until the stack ends.

        Returns:
            False where another process holds it and one does not wait.
        """
        with suppress(Timeout):
            stack.enter_context(
                FileLock(self._folder / "locks" / f"{name}.lock").acquire(blocking=wait)
            )
            return True
        return False

    def _reserve(
        self, view: View, specs: Mapping[str, ArraySpec], outer: ExitStack
    ) -> dict[str, Path]:
        """Make room, and a folder for each cut that fits.

        The outer stack drops those that are not published.
        """
        sizes: dict[str, int] = {}
        for cut, spec in specs.items():
            sizes[cut] = HEADER + math.prod(spec.shape) * np.dtype(spec.dtype).itemsize
        folders: dict[str, Path] = {}
        with FileLock(self._folder / "locks" / "store.lock"):
            others, kept, held = self._taken(_digest(view))
            limit = self._share * (shutil.disk_usage(self._folder).free + held)
            # Those that fit beside what is kept, smallest first; `_taken` reads their names.
            for cut in sorted(sizes, key=sizes.__getitem__):
                if kept + sizes[cut] <= limit:
                    parts = (_digest(view, cut), _digest(view), sizes[cut], secrets.token_hex(4))
                    folders[cut] = self._folder / f".{'.'.join(map(str, parts))}.tmp"
                    kept += sizes[cut]
            # For them, those entries of other sweeps go that were not used for longest.
            excess = kept + sum(size for _, size, _ in others) - limit
            for _, size, entry in others:
                if folders and excess > 0:
                    _drop(entry)
                    excess -= size
            for folder in folders.values():
                outer.callback(_drop, folder)
                folder.mkdir()
        return folders

    def _taken(self, own_lock: str) -> tuple[list[tuple[int, int, Path]], int, int]:
        """Look at what the store holds, and remove what dead processes left.

        That is unfinished folders whose lock is free, or held by this process, which has none yet.

        Args:
            own_lock: The lock that this process holds.

        Returns:
            Other sweeps' entries (last use, size, path), oldest first; the size of this sweep's own
            ones and of live reservations; the bytes on the disk.
        """
        others: list[tuple[int, int, Path]] = []
        kept = 0
        held = 0
        for path in self._folder.iterdir():
            size = 0
            marks: dict[str, int] = {}
            with _Tolerated(errno.ENOENT, errno.ENOTDIR):
                size = (path / DATA).stat().st_size
                marks = {mark.name: mark.stat().st_mtime_ns for mark in (path / "sweeps").iterdir()}
            match path.name.split("."):
                # An entry, with a mark for each sweep that has used it.
                case [key] if len(key) == DIGITS:
                    held += size
                    if self._sweep in marks:
                        kept += size
                    else:
                        others.append((max(marks.values(), default=0), size, path))
                case ["", _, "gone"]:
                    _drop(path)
                # A reservation of a writer, which holds a lock as long as it lives.
                case ["", _, lock, reserved, _, "tmp"]:
                    with ExitStack() as stack:
                        if lock == own_lock or self._locked(stack, lock, wait=False):
                            _drop(path)
                        else:
                            held += size
                            kept += int(reserved)
        return sorted(others), kept, held


class _File:
    """The array of a new entry.

    Its writes are plain and unbuffered: a full disk is an error, here and not at closing, and no
    crash.
    """

    def __init__(self, folder: Path, spec: ArraySpec, stack: ExitStack) -> None:
        self.folder = folder
        self._spec = spec
        self._rows = 0
        self._crc32 = 0
        self._file = stack.enter_context((folder / DATA).open("wb", buffering=0))
        np.lib.format.write_array_header_1_0(
            self, {"descr": spec.dtype, "fortran_order": False, "shape": spec.shape}
        )

    def write(self, data: bytes | memoryview) -> None:
        self._crc32 = zlib.crc32(data, self._crc32)
        while data:
            data = memoryview(data)[self._file.write(data) :]

    def add(self, rows: Array) -> None:
        dtype = np.dtype(self._spec.dtype)
        shape = self._spec.shape
        if rows.dtype != dtype or rows.shape[1:] != shape[1:]:
            raise ValueError(
                f"Rows must be {self._spec}, but are {rows.dtype.str}{list(rows.shape)}."
            )
        self._rows += len(rows)
        self.write(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data)

    def finish(self, meta: Mapping[str, Any], sweep: str) -> None:
        if self._rows != self._spec.shape[0]:
            raise ValueError(f"Rows must be {self._spec}, but are {self._rows}.")
        os.fsync(self._file.fileno())
        (self.folder / "sweeps").mkdir()
        (self.folder / "sweeps" / sweep).touch()
        meta = {**meta, "size": self._file.tell(), "crc32": self._crc32}
        write_whole(self.folder / "meta.json", json.dumps(meta))


class _Tolerated(AbstractContextManager[None, bool]):
    """A block that ends at an OSError with one of these numbers, which is no failure."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        return isinstance(error, OSError) and error.errno in self._numbers


def _meta(entry: Path) -> dict[str, Any] | None:
    """Read what an entry says of itself.

    None where it is absent, of another size than it says, or of something else.
    """
    try:
        meta: dict[str, Any] = json.loads((entry / "meta.json").read_bytes())
        if meta["format"] != FORMAT or "crc32" not in meta:
            return None
        if _digest(meta["view"], meta["cut"]) != entry.name:
            return None
        if (entry / DATA).stat().st_size != meta["size"]:
            return None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return meta


def _mapped(entry: Path) -> Array | None:
    """Map the array of an entry; None where it is absent or damaged.

    A process computes a file's checksum once.
    """
    meta = _meta(entry)
    if meta is None:
        return None
    with (entry / DATA).open("rb") as file:
        status = os.fstat(file.fileno())
        known = (entry.name, status.st_ino, status.st_size, status.st_mtime_ns)
        if known not in _checked:
            if crc32_of(file) != meta["crc32"]:
                return None
            _checked.add(known)
        file.seek(np.lib.format.MAGIC_LEN)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.memmap(file, dtype, "r", file.tell(), shape)


def _drop(path: Path) -> None:
    """Remove a folder, for readers at once.

    What others still write there or remove too is left to the next writer.
    """
    dropped = path.with_name(f".{secrets.token_hex(8)}.gone")
    with _Tolerated(*DELETED):
        path.rename(dropped)
        shutil.rmtree(dropped)


def _digest(*parts: Any) -> str:
    text = json.dumps([FORMAT, *parts], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
