"""What a sweep tells of itself: into the journal at once, and from there to MLflow."""

from __future__ import annotations

from pathlib import Path

from sweeps.records.events import ChampionKept, Event, to_json
from sweeps.records.journal import Journal
from sweeps.tracking.delivery import Delivery
from sweeps.tracking.registry import RegisteredModel


class Tracker:
    """The diary of one sweep, and its delivery to MLflow. Any thread may call it.

    Methods never wait for MLflow, but for `flush`, `close` and `registered`.

    Args:
        tracking_uri: What `prepare_store` returned.
        storage: The sweeps' folder; artifacts go to `<storage>/artifacts/<study>`, unless a server
            decides.
        journal: Of the sweep, in its folder. What it holds already, and MLflow lacks, is delivered
            too. Whoever opened it closes it, after the tracker.
    """

    def __init__(self, tracking_uri: str, storage: Path, journal: Journal) -> None:
        self._journal = journal
        self._delivery = Delivery(journal, tracking_uri, storage)
        # The offset after the last champion.
        self._champion_told = 0

    def tell(self, event: Event) -> None:
        """Write an event down; the first of a sweep is its start.

        Raises:
            OSError: The journal cannot be written, as on a full disk; then nothing was told.
        """
        offset = self._journal.append(to_json(event))
        if isinstance(event, ChampionKept):
            self._champion_told = offset
        self._delivery.wake()

    def sweep_run_id(self) -> str | None:
        """Return MLflow's id of the sweep's run; None while MLflow has none, or is down."""
        return self._delivery.sweep_run_id

    def registered(self, timeout: float = 60.0) -> RegisteredModel | None:
        """Return the champion that was told last, if it is registered within `timeout` seconds.

        Otherwise `close` says why.
        """
        if self._champion_told and self._delivery.flush(timeout, self._champion_told):
            return self._delivery.champion
        return None

    def problem(self) -> str | None:
        """Return one line for the user while MLflow takes nothing."""
        return self._delivery.problem()

    def flush(self, timeout: float = 60.0) -> bool:
        """Wait until MLflow has or refused everything told so far; return whether that is so."""
        return self._delivery.flush(timeout)

    def close(self, timeout: float = 60.0) -> str | None:
        """Flush and end the thread.

        Returns:
            One line for the user if MLflow refused something or does not have all in time.
        """
        return self._delivery.close(timeout)
