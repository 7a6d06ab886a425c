"""The journal of a sweep: one line of JSON per event, only ever appended to.

Nothing in it is ever lost; everything else follows it.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sweeps.records.folder import OFFSET
from trainables.files import sync_folder, write_whole

# The kind of event of which there are many; the last few could be done again.
FREQUENT = "epochs"
# Seconds after which frequent events are forced to the disk again.
SYNCED_EVERY = 0.5


class JournalError(ValueError):
    """The error of a damaged journal: one line that says where, and what to do."""


class Journal:
    """A journal that one process has open for appending; any of its threads may append.

    When `append` returns, the system has the line, so that it outlives the process however that
    ends. It is on the disk too, so that it outlives the machine; only frequent events of the last
    half second may not be.

    Args:
        path: The file. It is made where there is none, and a last line that was not written to its
            end is cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        # By the monotonic clock.
        self._synced = 0.0
        new = not path.exists()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            self._end = _whole_lines(path)
            if self._end < size(path):
                os.ftruncate(self._file, self._end)
            if new:
                sync_folder(path.parent)
        except BaseException:
            os.close(self._file)
            raise

    def append(self, event: Mapping[str, Any]) -> int:
        """Write an event, with the `time` in ms since 1970 where it has none.

        Returns:
            The offset after its line.

        Raises:
            OSError: The disk is full or fails, and the file is as it was before; or it was removed.
            ValueError: The journal is closed.
        """
        # One line, compact: a sweep has 100,000s of them.
        stamped = dict(event)
        if "time" not in event:
            stamped["time"] = int(time.time() * 1000)
        line = json.dumps(stamped, separators=(",", ":"), default=_plain).encode() + b"\n"
        with self._lock:
            if self._file < 0:
                raise ValueError(
                    f"A journal that is appended to must be open, but {self.path} is closed."
                )
            # Into a file that was removed, all could be written and nothing would be kept.
            if os.fstat(self._file).st_nlink == 0:
                raise FileNotFoundError(errno.ENOENT, "it was removed", str(self.path))
            # All of it or nothing: what was written of a line that failed is cut off again.
            try:
                written = 0
                while written < len(line):
                    written += os.write(self._file, line[written:])
                self._sync(frequent=event["event"] == FREQUENT)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(self._file, self._end)
                raise
            self._end += len(line)
            return self._end

    @property
    def end(self) -> int:
        """The offset after the last event."""
        with self._lock:
            return self._end

    def close(self) -> None:
        """Force all to the disk and close the file. Closing twice does nothing."""
        with self._lock:
            if self._file >= 0:
                # Where that fails, the system has the lines all the same.
                with suppress(OSError):
                    os.fdatasync(self._file)
                os.close(self._file)
                self._file = -1

    def _sync(self, *, frequent: bool) -> None:
        """Force the file to the disk; for frequent events, twice a second at most."""
        now = time.monotonic()
        if not frequent or now - self._synced >= SYNCED_EVERY:
            os.fdatasync(self._file)
            self._synced = now


def read(path: Path) -> list[dict[str, Any]]:
    """Return all events; a last line that was not written to its end is left out.

    Raises:
        JournalError: Another line is damaged.
        OSError: There is no such file, or it cannot be read.
    """
    return [event for event, _ in events_from(path, 0)]


def events_from(
    path: Path, offset: int, end: int | None = None
) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield events after an offset, each with the offset after it, one line at a time.

    Args:
        path: The journal.
        offset: 0, or an offset that came with an event.
        end: The offset to stop at; None is the last whole line.

    Raises:
        JournalError: A line is damaged, and it is not the last one.
        OSError: There is no such file, or it cannot be read.
    """
    with path.open("rb") as file:
        file.seek(offset)
        while end is None or offset < end:
            line = file.readline()
            if not line:
                return
            event = _event(line)
            # Only the last line may be torn: it was being written.
            if event is None:
                if not file.readline():
                    return
                raise _damaged(path, offset)
            offset += len(line)
            yield event, offset


def events_after(path: Path, offset: int) -> int:
    """Return the number of whole lines after an offset."""
    count = 0
    with path.open("rb") as file:
        file.seek(offset)
        while block := file.read(2**20):
            count += block.count(b"\n")
    return count


def delivered(path: Path, uri: str | None = None) -> int:
    """Return the offset up to which MLflow has a journal; 0 where nobody knows.

    Args:
        path: The journal; `mlflow.offset` is beside it.
        uri: The store that is asked about; None is whichever the file names.
    """
    try:
        noted = json.loads(path.with_name(OFFSET).read_text())
        offset = int(noted["offset"])
        if offset <= 0 or (uri is not None and noted["uri"] != uri):
            return 0
        # An offset that is not the end of a line is of another journal.
        with path.open("rb") as file:
            file.seek(offset - 1)
            if file.read(1) == b"\n":
                return offset
        return 0
    except (OSError, ValueError, LookupError, TypeError, OverflowError):
        return 0


def refused(path: Path, uri: str) -> dict[int, str]:
    """Return the offsets of the events that a store refused, each with the reason.

    Args:
        path: The journal; `mlflow.offset` is beside it.
        uri: The store.
    """
    if not delivered(path, uri):
        return {}
    try:
        noted = json.loads(path.with_name(OFFSET).read_text()).get("refused", {})
        return {int(offset): str(reason) for offset, reason in noted.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def note_delivered(
    path: Path, uri: str, offset: int, refusals: Mapping[int, str] | None = None
) -> None:
    """Write down up to which offset a store has a journal.

    Where that fails, the store is told some events again.

    Args:
        path: The journal.
        uri: The store.
        offset: The one after the last event that it has or refused.
        refusals: The offset of each event before that it refused, and the reason.
    """
    noted: dict[str, Any] = {"uri": uri, "offset": offset}
    if refusals:
        noted["refused"] = refusals
    with suppress(OSError):
        write_whole(path.with_name(OFFSET), json.dumps(noted) + "\n")


def size(path: Path) -> int:
    """Return the length of a journal in bytes."""
    return path.stat().st_size


def _whole_lines(path: Path) -> int:
    """Return the offset after the last line that is whole."""
    start = 0
    end = 0
    last = b""
    with path.open("rb") as file:
        for last in file:
            start = end
            end += len(last)
    if last and _event(last) is None:
        return start
    return end


def _event(line: bytes) -> dict[str, Any] | None:
    """Return the event of a line, or None where the line is torn or damaged."""
    if not line.endswith(b"\n"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if isinstance(event, dict) and isinstance(event.get("event"), str):
        return event
    return None


def _damaged(path: Path, offset: int) -> JournalError:
    """Return the error that names the line at an offset."""
    with path.open("rb") as file:
        number = 1
        while offset > 0:
            offset -= len(file.readline())
            number += 1
    return JournalError(
        f"Each line of {path} must hold one event in JSON, but line {number} does not: "
        "delete that line, or restore the file from a backup."
    )


def _plain(value: Any) -> Any:
    """Return a value for JSON, which cannot hold this one: NumPy's numbers, or text."""
    item = getattr(value, "item", None)
    if callable(item):
        return item()
    return str(value)
