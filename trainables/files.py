"""Files that are there whole or not at all, whatever ends the process or the machine.

And the checksums that tell whether they still are.
"""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PRIVATE = 0o600
SHARED = 0o644

BLOCK = 2**24  # bytes read at a time for a checksum


@contextmanager
def whole_file(
    path: Path, *, mode: int = SHARED, named: Callable[[], str] | None = None
) -> Iterator[BinaryIO]:
    """Write a file in a `with` block; it appears, on the disk, when the block ends well.

    Until then, and where the block raises, what was at `path` stays. A killed process leaves a
    temporary file beside it: `leftovers` names those.

    Args:
        path: Of the file; its folder exists.
        mode: Its permissions, before the process's mask.
        named: Returns the file's own name once it is written, where its content decides on it.

    Raises:
        OSError: The disk is full, for one.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path.with_name(named()) if named else path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_whole(path: Path, text: str, *, mode: int = SHARED) -> Path:
    """Write a text in UTF-8, whole or not at all; what UTF-8 lacks is written as an escape.

    Raises:
        OSError: As `whole_file`.
    """
    with whole_file(path, mode=mode) as file:
        file.write(text.encode("utf-8", "backslashreplace"))
    return path


def same_file(source: Path, path: Path) -> bool:
    """Give a file a second name, in place of what is there.

    Neither name is written to afterwards: whoever changes one puts another file in its place.

    Returns:
        False where that cannot be, as across two disks; then all is as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        os.link(source, temporary)
        temporary.replace(path)
    except OSError:
        return False
    finally:
        # Between two names of one file nothing is moved.
        temporary.unlink(missing_ok=True)
    return True


def leftovers(folder: Path, name: str = "*") -> list[Path]:
    """Return the temporary files that killed writers of `name` have left in a folder."""
    return sorted(folder.glob(f".{name}.*.tmp"))


def sync_folder(folder: Path) -> None:
    """Force a folder's names to the disk, where the file system can do that."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def crc32_of(file: BinaryIO) -> int:
    """Return the CRC-32 of what is left to read of a file.

    Raises:
        OSError: The disk cannot read it, for one.
    """
    crc32 = 0
    while block := file.read(BLOCK):
        crc32 = zlib.crc32(block, crc32)
    return crc32
