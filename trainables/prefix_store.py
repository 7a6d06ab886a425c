"""Activations of frozen layers on disk: written once for a view of the data, mapped by all trials of a node, kept to a budget.

An entry appears whole, by a rename. Anything may be deleted at any time: it is computed again, and arrays in use stay.
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
Outcome: TypeAlias = Literal["filled", "busy", "full"]

FORMAT = 1  # raise it when an entry is stored differently
DIGITS = 24  # of an entry's name
DATA = "activations.npy"
HEADER = 128  # bytes of an .npy file before its data
DELETED = (
    errno.ENOENT,
    errno.ENOTEMPTY,
    errno.EEXIST,
)  # somebody deletes the cache, or writes where the lock was deleted
UNSTORABLE = (*DELETED, errno.ENOSPC, errno.EDQUOT)

_checked: set[tuple[str, int, int, int]] = (
    set()
)  # files whose checksum this process has found right


class ArraySpec(NamedTuple):
    """An array to be stored: its shape, samples first, and NumPy's name of its dtype, such as `<f4`."""

    shape: tuple[int, ...]
    dtype: str


class PrefixStore:
    """Stored activations; several processes may use one folder at once.

    Args:
        folder: Where the entries are, made when needed.
        sweep: Name of the current sweep, whose entries this store never evicts; `name@part` means those of one part of it.
        share: Of free disk and what the entries hold, what all entries may take together.

    Raises:
        ValueError: A share outside (0, 1], or a sweep whose name is not fit for a file's.
    """

    def __init__(self, folder: Path, *, sweep: str, share: float = 0.3) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share must be more than 0 and at most 1, but got {share!r}.")
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._@-]*", sweep):
            raise ValueError(
                f"sweep must be letters, digits, '.', '_', '-' and '@', not starting with '.', but got {sweep!r}."
            )
        self._folder, self._sweep, self._share = folder.absolute(), sweep, share

    def open(self, view: View, cut: str) -> Array | None:
        """The read-only array of an entry, mapped and marked as used now; None where it is absent. A damaged one is dropped."""
        entry, array = self._folder / _digest(view, cut), None
        with _Tolerated(*UNSTORABLE):
            seen = entry.stat()
            array = _mapped(entry)
            if array is not None:
                (entry / "sweeps" / self._sweep).touch()
            elif os.path.samestat(seen, entry.stat()):  # no other has taken its place
                _drop(entry)
        return array

    def missing(self, view: View, cuts: Iterable[str]) -> list[str]:
        """Those cuts of a view that have no entry, or one that is damaged, as far as can be seen without reading its data."""
        return [cut for cut in cuts if _meta(self._folder / _digest(view, cut)) is None]

    def fill(
        self, view: View, arrays: Mapping[str, ArraySpec], chunks: Compute, *, wait: bool
    ) -> Outcome:
        """Compute and store those cuts of a view that are missing and fit. Each view has one writer at a time.

        Args:
            view: What the activations are of.
            arrays: By cut; other rows are a ValueError.
            chunks: Given cuts, it yields their rows chunk by chunk, in the order of the samples; called once or not at all.
            wait: Whether to wait for another process that writes this view.

        Returns:
            filled: All are there, by whomever. busy: Another process writes this view. full: Only those are there that fit,
            smallest first; no new ones where the disk is full before its time or the cache is deleted meanwhile.
        """
        missing, files = self.missing(view, arrays), dict[str, _File]()
        with ExitStack() as stack:
            with _Tolerated(*UNSTORABLE):
                if missing and not self._locked(stack, _digest(view), wait):
                    return "busy"
                missing = self.missing(view, missing)  # another process may have been first
                for cut in missing:
                    _drop(self._folder / _digest(view, cut))  # a damaged one
                folders = (
                    self._reserve(view, {cut: arrays[cut] for cut in missing}, stack)
                    if missing
                    else {}
                )
                files = {cut: _File(folder, arrays[cut], stack) for cut, folder in folders.items()}
            for rows in chunks(list(files)) if files else ():  # its own OSErrors are not tolerated
                with _Tolerated(*UNSTORABLE):
                    for cut, file in files.items():
                        file.add(rows[cut])
                    continue
                return "full"
            with _Tolerated(*UNSTORABLE):
                for cut, file in files.items():
                    file.finish({"format": FORMAT, "view": view, "cut": cut}, self._sweep)
                for cut, file in files.items():
                    file.folder.rename(self._folder / _digest(view, cut))
                return "filled" if len(files) == len(missing) else "full"
        return "full"

    def decision(self, family: View) -> bool | None:
        """What was decided on a family of views; None where nothing was, or the file is damaged."""
        with suppress(FileNotFoundError, ValueError):
            keep = json.loads((self._folder / "decisions" / f"{_digest(family)}.json").read_bytes())
            return keep if isinstance(keep, bool) else None
        return None

    def decide(self, family: View, keep: bool) -> None:
        """Remember a decision, unless the disk is full."""
        path = self._folder / "decisions" / f"{_digest(family)}.json"
        with _Tolerated(*UNSTORABLE):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(keep))

    def _locked(self, stack: ExitStack, name: str, wait: bool) -> bool:
        """Hold a lock until the stack ends; False where another process holds it and one does not wait."""
        with suppress(Timeout):
            stack.enter_context(
                FileLock(self._folder / "locks" / f"{name}.lock").acquire(blocking=wait)
            )
            return True
        return False

    def _reserve(
        self, view: View, specs: Mapping[str, ArraySpec], outer: ExitStack
    ) -> dict[str, Path]:
        """Make room, and a folder for each cut that fits; the outer stack drops those that are not published."""
        sizes = {
            cut: HEADER + math.prod(spec.shape) * np.dtype(spec.dtype).itemsize
            for cut, spec in specs.items()
        }
        folders: dict[str, Path] = {}
        with FileLock(self._folder / "locks" / "store.lock"):
            others, kept, held = self._taken(_digest(view))
            limit = self._share * (shutil.disk_usage(self._folder).free + held)
            for cut in sorted(sizes, key=lambda cut: sizes[cut]):
                if kept + sizes[cut] <= limit:
                    name = f".{_digest(view, cut)}.{_digest(view)}.{sizes[cut]}.{secrets.token_hex(4)}.tmp"
                    folders[cut] = self._folder / name
                    kept += sizes[cut]
            excess = kept + sum(size for _, size, _ in others) - limit
            for _, size, entry in others if folders else ():
                if excess > 0:
                    _drop(entry)
                    excess -= size
            for folder in folders.values():
                outer.callback(_drop, folder)
                folder.mkdir()
        return folders

    def _taken(self, own_lock: str) -> tuple[list[tuple[int, int, Path]], int, int]:
        """Other sweeps' entries (last use, size, path), oldest first; size of own ones and live reservations; bytes on disk.

        Removes what dead processes left: unfinished folders whose lock is free, or held by this process, which has none yet.
        """
        others, kept, held = [], 0, 0
        for path in self._folder.iterdir():
            size, marks = 0, dict[str, int]()
            with _Tolerated(errno.ENOENT, errno.ENOTDIR):
                size = (path / DATA).stat().st_size
                marks = {mark.name: mark.stat().st_mtime_ns for mark in (path / "sweeps").iterdir()}
            match path.name.split("."):
                case [key] if len(key) == DIGITS:
                    held += size
                    if self._sweep in marks:
                        kept += size
                    else:
                        others.append((max(marks.values(), default=0), size, path))
                case ["", _, "gone"]:
                    _drop(path)
                case ["", _, lock, reserved, _, "tmp"]:
                    with ExitStack() as stack:
                        if lock == own_lock or self._locked(stack, lock, wait=False):
                            _drop(path)
                        else:
                            held += size
                            kept += int(reserved)
        return sorted(others), kept, held


class _File:
    """The array of a new entry. Unbuffered, plain writes: a full disk is an error, here and not at closing, and no crash."""

    def __init__(self, folder: Path, spec: ArraySpec, stack: ExitStack) -> None:
        self.folder, self._spec, self._rows, self._crc32 = folder, spec, 0, 0
        self._file = stack.enter_context((folder / DATA).open("wb", buffering=0))
        np.lib.format.write_array_header_1_0(
            self, {"descr": spec.dtype, "fortran_order": False, "shape": spec.shape}
        )

    def write(self, data: bytes | memoryview) -> None:
        self._crc32 = zlib.crc32(data, self._crc32)
        while data:
            data = memoryview(data)[self._file.write(data) :]

    def add(self, rows: Array) -> None:
        if (rows.dtype, rows.shape[1:]) != (np.dtype(self._spec.dtype), self._spec.shape[1:]):
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
    """Ends at an OSError with one of these numbers, which is no failure."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = numbers

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        return isinstance(error, OSError) and error.errno in self._numbers


def _meta(entry: Path) -> dict[str, Any] | None:
    """What an entry says of itself; None where it is absent, of another size than it says, or of something else."""
    try:
        meta: dict[str, Any] = json.loads((entry / "meta.json").read_bytes())
        whole = (
            meta["format"] == FORMAT
            and _digest(meta["view"], meta["cut"]) == entry.name
            and "crc32" in meta
        )
        return meta if whole and (entry / DATA).stat().st_size == meta["size"] else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _mapped(entry: Path) -> Array | None:
    """The array of an entry; None where it is absent or damaged. A process computes a file's checksum once."""
    if (meta := _meta(entry)) is None:
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
    """Remove a folder, for readers at once; what others still write there or remove too is left to the next writer."""
    dropped = path.with_name(f".{secrets.token_hex(8)}.gone")
    with _Tolerated(*DELETED):
        path.rename(dropped)
        shutil.rmtree(dropped)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(
        json.dumps([FORMAT, *parts], sort_keys=True, allow_nan=False).encode()
    ).hexdigest()[:DIGITS]
