"""How far MLflow is in a sweep's journal, and the next step of that way: some events, in order, nothing lost and nothing twice.

`mlflow.offset` in the sweep's folder moves only behind what MLflow has. After a failure and after a crash delivery starts again
from there, so that some events are told a second time; `SweepRuns` adds nothing that is there.
"""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import Any

from cluster.addresses import without_password
from sweeps.records.events import ChampionKept, from_json
from sweeps.records.journal import (
    JournalError,
    delivered,
    events_after,
    events_from,
    note_delivered,
)
from sweeps.tracking.registry import RegisteredModel
from sweeps.tracking.store import TrackingError, is_refusal, one_line
from sweeps.tracking.writer import EventWriter

_AT_ONCE, _AT_ONCE_SECONDS = 500, 2.0  # events, and time, after which what was sent is noted


class Courier:
    """Carries events from a journal to MLflow, and knows how far it is. Not thread-safe.

    Args:
        journal: The file; `mlflow.offset` is beside it.
        tracking_uri: What `prepare_store` returned.
        storage: The sweeps' folder.

    Attributes:
        offset: Up to which MLflow has everything.
        refused: Events that MLflow will never take; they are passed over.
        reason: Why the first of them was refused.
        champion: The last champion that was registered.
    """

    def __init__(self, journal: Path, tracking_uri: str, storage: Path) -> None:
        self._journal, self._uri, self._storage = journal, tracking_uri, storage
        self._writer: EventWriter | None = None
        self._careful_until = (
            0  # up to this offset events are sent one by one, since one of them was refused
        )
        self._started_over = False
        self.refused, self.reason = 0, ""
        self.champion: RegisteredModel | None = None
        self.offset = self._noted()

    def catch_up(self) -> None:
        """Take over what another process has delivered."""
        self.offset = max(self.offset, self._noted())

    def waiting(self) -> int:
        """Return the number of events that are still to be delivered."""
        return events_after(self._journal, self.offset)

    def carry(self, end: int | None = None) -> bool:
        """Deliver some events, in order; whether there were any.

        Args:
            end: The offset to stop at; None is the end of the journal.

        Raises:
            JournalError: The journal is damaged.
            Exception: MLflow is away; `offset` says what it has all the same.
        """
        careful = self.offset < self._careful_until
        events = []
        try:
            for step in islice(
                events_from(self._journal, self.offset, end), 1 if careful else _AT_ONCE
            ):
                events.append(step)  # noqa: PERF402  What comes before the damage is delivered.
        except JournalError:
            if not events:
                raise
        if not events:
            return False
        after, started = self.offset, time.monotonic()
        try:
            writer = self._writer or self._connected()
            if self.offset and writer.sweep_run_id is None and not self._started_over:
                self.offset, self._started_over = 0, True  # MLflow was emptied since
                return True
            for event, end_of_it in events:
                self._write(writer, event)
                after = end_of_it
                if time.monotonic() > started + _AT_ONCE_SECONDS:
                    break
            writer.send()
            self._writer, self._started_over = writer, False
        except Exception as error:
            self._writer = None
            if not is_refusal(error):
                raise
            if not careful:
                self._careful_until = events[-1][1]
                return True
            self._refuse(error)
            self._started_over, after = True, events[0][1]
        self._note(after)
        return True

    def _connected(self) -> EventWriter:
        first, _ = next(events_from(self._journal, 0))
        return EventWriter(self._uri, self._storage, from_json(first))

    def _write(self, writer: EventWriter, found: dict[str, Any]) -> None:
        """Write a line's event; one of a kind that this version does not know is passed over."""
        event = from_json(found)
        if event is None:
            return
        if isinstance(event, ChampionKept):
            self.champion = None
        writer.write(event)
        self.champion = writer.champion or self.champion

    def _refuse(self, error: Exception) -> None:
        self.refused += 1
        if not self.reason:
            self.reason = (
                one_line(error)
                if isinstance(error, TrackingError)
                else f"{type(error).__name__}: {one_line(error)}"
            )

    def _noted(self) -> int:
        """Return the offset in the file, if it is this store's; otherwise 0."""
        return delivered(self._journal, without_password(self._uri))

    def _note(self, offset: int) -> None:
        self.offset = offset
        note_delivered(self._journal, without_password(self._uri), offset)
