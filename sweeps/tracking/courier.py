"""How far MLflow is in a sweep's journal, and the next step of that way.

A step is some events, in order, nothing lost and nothing twice. `mlflow.offset` in the sweep's
folder moves only behind what MLflow has. After a failure and after a crash delivery starts again
from there, so that some events are told a second time; `SweepRuns` adds nothing that is there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from cluster.addresses import without_password
from sweeps.records.events import ChampionKept, SweepFinished, SweepResumed, from_json
from sweeps.records.journal import (
    JournalError,
    delivered,
    events_after,
    events_from,
    note_delivered,
    refused,
)
from sweeps.records.results import Outcome
from sweeps.tracking.moved import here
from sweeps.tracking.registry import RegisteredModel
from sweeps.tracking.store import TrackingError, is_refusal, one_line
from sweeps.tracking.writer import EventWriter

# What was sent is noted after so many events, or after so long.
_AT_ONCE = 500
_AT_ONCE_SECONDS = 2.0


class Courier:
    """The carrier of events from a journal to MLflow, who knows how far it is. Not thread-safe.

    Args:
        journal: The file; `mlflow.offset` is beside it.
        tracking_uri: What `prepare_store` returned.
        storage: The sweeps' folder.

    Attributes:
        offset: Up to which MLflow has everything.
        refusals: The offset of each event that MLflow refused, and why. They are passed over, and
            wait for `again`.
        champion: The last champion that was registered.
        told_again: Whether MLflow had lost the sweep's run, and was told all of the sweep again.
    """

    def __init__(self, journal: Path, tracking_uri: str, storage: Path) -> None:
        self._journal = journal
        self._uri = tracking_uri
        self._storage = storage
        self._writer: EventWriter | None = None
        # Up to this offset events are sent one by one, since one of them was refused.
        self._careful_until = 0
        self._started_over = False
        self.champion: RegisteredModel | None = None
        self.told_again = False
        self.offset = self._noted()
        self.refusals = refused(journal, without_password(tracking_uri))

    def catch_up(self) -> None:
        """Take over what another process has delivered."""
        self.offset = max(self.offset, self._noted())
        self.refusals = refused(self._journal, without_password(self._uri))

    def again(self) -> None:
        """Go back to the first event that MLflow refused: it and all after it are told again."""
        if self.refusals:
            self.offset = min(self.refusals)
            self.refusals = {}

    @property
    def sweep_run_id(self) -> str | None:
        """MLflow's id of the sweep's run, once something was delivered."""
        return self._writer.sweep_run_id if self._writer else None

    @property
    def gone(self) -> bool:
        """Whether the journal was removed: then nothing of it can be delivered any more."""
        return not self._journal.exists()

    def close_ended(self) -> None:
        """Close the runs of a sweep that has ended, whatever of it MLflow cannot take now.

        What waits is delivered later all the same. Where MLflow does not answer, nothing is done.
        """
        with suppress(Exception):  # the failure that led here is the one that is told
            if self.gone:
                end: SweepFinished | None = SweepFinished(
                    outcome=Outcome.INTERRUPTED,
                    tags={"sweep.partial": "true"},
                    time=int(time.time() * 1000),
                )
            else:
                end = self._end_waiting()
            if end is not None:
                (self._writer or self._connected()).close(end)

    def _end_waiting(self) -> SweepFinished | None:
        """Return the sweep's last end, if MLflow has not been told of it."""
        end = None
        for line, _ in events_from(self._journal, self.offset):
            event = from_json(line)
            if isinstance(event, SweepFinished):
                end = event
            elif isinstance(event, SweepResumed):
                end = None
        return end

    def waiting(self) -> int:
        """Return the number of events that are still to be delivered."""
        return events_after(self._journal, self.offset)

    def carry(self, end: int | None = None) -> bool:
        """Deliver some events, in order, and return whether there were any.

        Args:
            end: The offset to stop at; None is the end of the journal.

        Raises:
            JournalError: The journal is damaged.
            Exception: MLflow is down; `offset` says what it has all the same.
        """
        # What waits.
        careful = self.offset < self._careful_until
        lines = self._next(1 if careful else _AT_ONCE, end)
        if not lines:
            return False

        # What is refused is passed over; all else that fails is tried again from `offset`.
        deadline = time.monotonic() + _AT_ONCE_SECONDS
        try:
            writer = self._writer or self._connected()
            if self.offset and writer.sweep_run_id is None and not self._started_over:
                # MLflow was emptied since, or the run deleted: it is told everything again.
                self.told_again = True
                self.offset = 0
                self.refusals = {}
                self._started_over = True
                return True
            after = self._write_until(deadline, writer, lines)
            writer.send()
        except Exception as error:
            self._writer = None
            if not is_refusal(error):
                raise
            if not careful:
                # Which of them is refused shows when each comes alone.
                self._careful_until = lines[-1][1]
                return True
            self.refusals[self.offset] = _why(error)
            self._started_over = True
            after = lines[0][1]
        else:
            self._writer = writer
            self._started_over = False
        self._note(after)
        return True

    def _next(self, most: int, end: int | None) -> list[tuple[dict[str, Any], int]]:
        """Return the next lines of the journal, each with the offset after it.

        Raises:
            JournalError: The first of them is damaged; what comes before any damage is returned.
        """
        lines = []
        try:
            for line in islice(events_from(self._journal, self.offset, end), most):
                lines.append(line)  # noqa: PERF402  What was read stays, whatever comes next.
        except JournalError:
            if not lines:
                raise
        return lines

    def _connected(self) -> EventWriter:
        first, _ = next(events_from(self._journal, 0))
        return EventWriter(self._uri, self._storage, from_json(first))

    def _write_until(
        self, deadline: float, writer: EventWriter, lines: Sequence[tuple[dict[str, Any], int]]
    ) -> int:
        """Write at least one line, and return the offset after the last one that was written."""
        after = self.offset
        for line, end_of_it in lines:
            self._write(writer, line)
            after = end_of_it
            if time.monotonic() > deadline:
                break
        return after

    def _write(self, writer: EventWriter, line: dict[str, Any]) -> None:
        """Write a line's event; one of a kind that this version does not know is passed over."""
        event = here(from_json(line), self._journal.parent)
        if event is None:
            return
        if isinstance(event, ChampionKept):
            self.champion = None
        writer.write(event)
        self.champion = writer.champion or self.champion

    def _noted(self) -> int:
        """Return the offset in the file, if it is this store's; otherwise 0."""
        return delivered(self._journal, without_password(self._uri))

    def _note(self, offset: int) -> None:
        self.offset = offset
        note_delivered(self._journal, without_password(self._uri), offset, self.refusals)


def _why(error: Exception) -> str:
    """Return why MLflow refused an event."""
    reason = one_line(error)
    if isinstance(error, TrackingError):
        return reason
    return f"{type(error).__name__}: {reason}"
