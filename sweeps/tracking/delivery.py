"""From a sweep's journal to MLflow, whenever MLflow is there: on a thread, and later on demand."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from sweeps.records.folder import DELIVERY_LOCK, JOURNAL, at
from sweeps.records.journal import Journal, JournalError
from sweeps.tracking.courier import Courier
from sweeps.tracking.registry import RegisteredModel
from sweeps.tracking.store import TrackingError, one_line

# Events that arrive within this time of each other are sent together, and may share a request.
GATHER_SECONDS = 0.1
# Between two deliveries, where nobody waits: a short trial takes four requests then, not ten.
APART_SECONDS = 1.0
# Until MLflow is tried again: at first, and at most.
RETRY_FIRST = 1.0
RETRY_MOST = 30.0
# After which the thread looks at the journal by itself.
_LOOK_SECONDS = 1.0
# In which a thread that does not wait for MLflow's answer can end, and release the lock.
_LET_GO_SECONDS = 0.2
_SYNC_TRIES = 4


class Delivery:
    """The delivery of a journal that is being written, on a daemon thread. Any thread may call it.

    Args:
        journal: The sweep's.
        tracking_uri: What `prepare_store` returned.
        storage: The sweeps' folder.
    """

    def __init__(self, journal: Journal, tracking_uri: str, storage: Path) -> None:
        self._journal = journal
        self._at = at(storage)
        self._courier = Courier(journal.path, tracking_uri, storage)
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._stopping = threading.Event()
        self._awaited = threading.Event()  # somebody waits for a delivery
        self._progress = threading.Condition()
        # Since when, by the monotonic clock, and why.
        self._failing: tuple[float, str] | None = None
        self._thread = threading.Thread(target=self._work, name="MLflow-delivery", daemon=True)
        self._thread.start()

    @property
    def champion(self) -> RegisteredModel | None:
        """The last champion that was registered."""
        return self._courier.champion

    @property
    def sweep_run_id(self) -> str | None:
        """MLflow's id of the sweep's run; None while MLflow has none, or is down."""
        return self._courier.sweep_run_id

    def wake(self) -> None:
        """Say that there is something new in the journal; return at once."""
        self._woken.set()

    def flush(self, timeout: float, offset: int | None = None) -> bool:
        """Wait until all up to an offset is delivered, and return whether it is.

        Args:
            timeout: Seconds to wait at most.
            offset: Of the journal; by default its end.
        """
        target = self._journal.end if offset is None else offset
        deadline = time.monotonic() + timeout
        self._awaited.set()
        self._woken.set()
        with self._progress:
            while self._courier.offset < target and self._thread.is_alive():
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._progress.wait(min(_LOOK_SECONDS, left))
        return self._courier.offset >= target

    def problem(self) -> str | None:
        """Return one line for the user while MLflow takes nothing."""
        failing = self._failing
        if failing is None:
            return None
        since, reason = failing
        if self._courier.gone:
            return f"{self._journal.path} was removed."
        wait = f"{_events(self._courier.waiting(), 'wait')} in {self._journal.path.name}"
        return f"MLflow has not answered for {time.monotonic() - since:.0f} s ({reason}); {wait}."

    def close(self, timeout: float) -> str | None:
        """End the thread once all is delivered, or after `timeout` seconds.

        Returns:
            A line for the user if MLflow lacks something.
        """
        # Deliver all that can be delivered in time.
        self._closing.set()
        self._awaited.set()
        self._woken.set()
        self._thread.join(timeout)
        self._stopping.set()
        self._thread.join(_LET_GO_SECONDS)

        # Say what MLflow has not, and what would bring it there.
        if self._courier.gone:
            return None
        lines = []
        if self._courier.told_again:
            lines.append("MLflow had lost the sweep's run: it was told all of the sweep again.")
        command = f"dvt sync {self._journal.path.parent.name}{self._at}"
        if self._courier.refusals:
            lines.append(f"{_refusals(self._courier)}: `{command}` tries again.")
        waiting = self._courier.waiting()
        failing = self._failing
        if waiting:
            why = f" ({failing[1]})" if failing else ""
            lines.append(
                f"{_events(waiting, 'are')} not in MLflow yet{why}: `{command}` delivers them."
            )
        return " ".join(lines) or None

    def _work(self) -> None:
        """Deliver what waits until the end; the thread's own function."""
        lock = FileLock(self._journal.path.with_name(DELIVERY_LOCK), timeout=0)
        pause = RETRY_FIRST
        delivered = 0.0  # the last time, by the monotonic clock
        while not self._is_over():
            if not self._something_waits():
                self._rest(delivered + APART_SECONDS)
                continue
            try:
                self._carry(lock)
            except JournalError as error:
                self._failing = (time.monotonic(), str(error))
                break
            except Exception as error:  # noqa: BLE001  Whatever it is, what MLflow lacks waits.
                self._fail(error)
                if self._closing.is_set() and lock.is_locked:
                    self._courier.close_ended()
                self._pause(pause)
                pause = min(2 * pause, RETRY_MOST)
            else:
                self._failing = None
                pause = RETRY_FIRST
                delivered = time.monotonic()
                if not self._something_waits() and not self._closing.is_set():
                    self._awaited.clear()
            self._notify()
        if self._courier.gone:
            self._courier.close_ended()
        lock.release()
        self._notify()

    def _is_over(self) -> bool:
        if self._stopping.is_set():
            return True
        return self._closing.is_set() and not self._something_waits()

    def _rest(self, until: float) -> None:
        """Wait for something new, and then for more of it, unless somebody waits for a delivery."""
        self._woken.wait(_LOOK_SECONDS)
        self._woken.clear()
        if self._something_waits():
            time.sleep(GATHER_SECONDS)
            self._awaited.wait(max(0.0, until - time.monotonic()))

    def _carry(self, lock: FileLock) -> None:
        if not lock.is_locked:
            lock.acquire()
            self._courier.catch_up()
        self._courier.carry(self._journal.end)

    def _fail(self, error: Exception) -> None:
        since = self._failing[0] if self._failing else time.monotonic()
        if isinstance(error, Timeout):
            reason = "another process delivers"
        else:
            reason = one_line(error)
        self._failing = (since, reason)

    def _pause(self, seconds: float) -> None:
        if self._closing.is_set():
            self._stopping.wait(RETRY_FIRST)
        else:
            self._closing.wait(seconds)

    def _something_waits(self) -> bool:
        return self._courier.offset < self._journal.end

    def _notify(self) -> None:
        with self._progress:
            self._progress.notify_all()


@dataclass(frozen=True, slots=True)
class Synced:
    """What came of a delivery.

    Attributes:
        line: For the user.
        whole: Whether MLflow has all of the sweep, or another process brings it there.
    """

    line: str
    whole: bool


def sync(folder: Path, tracking_uri: str, storage: Path) -> Synced:
    """Deliver now what MLflow lacks of a sweep, what it refused before included.

    Args:
        folder: The sweep's.
        tracking_uri: What `prepare_store` returned.
        storage: The sweeps' folder.

    Raises:
        TrackingError: MLflow does not take it now, or the journal cannot be read; what MLflow has
            by then stays delivered.
    """
    try:
        with FileLock(folder / DELIVERY_LOCK, timeout=0):
            courier = Courier(folder / JOURNAL, tracking_uri, storage)
            waited = courier.waiting() + len(courier.refusals)
            courier.again()
            _carry_all(courier, f"dvt sync {folder.name}{at(storage)}")
    except Timeout:
        said = f"{folder.name} is being delivered by another process: nothing to do."
        return Synced(said, whole=True)
    except (OSError, JournalError) as error:
        raise TrackingError(f"{folder.name} cannot be delivered: {one_line(error)}") from error
    left = len(courier.refusals)
    if left:
        lines = [f"{_refusals(courier)}; all else of {folder.name} is there."]
    elif waited:
        lines = [f"{_events(waited, 'were')} delivered: MLflow has all of {folder.name}."]
    else:
        lines = [f"MLflow has all of {folder.name} already."]
    if courier.champion:
        lines.append(f"Registered as {courier.champion.uri}.")
        lines.append(courier.champion.line)
    return Synced(" ".join(filter(None, lines)), whole=not left)


def _carry_all(courier: Courier, command: str) -> None:
    """Deliver all there is; `command` is what does it later."""
    tries = 1
    more = True
    while more:
        before = courier.offset
        try:
            more = courier.carry()
        except JournalError:
            raise
        except Exception as error:
            # Only failures without any progress count as one after another.
            if courier.offset != before:
                tries = 0
            tries += 1
            if tries > _SYNC_TRIES:
                courier.close_ended()
                left = _events(courier.waiting(), "are")
                raise TrackingError(
                    f"{left} not in MLflow yet ({one_line(error)}): "
                    f"once that is mended, `{command}` delivers them."
                ) from error
            time.sleep(RETRY_FIRST * 2 ** (tries - 2))


def _refusals(courier: Courier) -> str:
    first = courier.refusals[min(courier.refusals)]
    return f"MLflow refused {_events(len(courier.refusals))} ({first.rstrip('.')})"


def _events(count: int, verb: str = "") -> str:
    """Return `1 event is`, `2 events are` or, without a verb, `2 events`."""
    singular = {"are": "is", "were": "was", "wait": "waits"}
    if count == 1:
        return f"1 event {singular.get(verb, '')}".rstrip()
    return f"{count} events {verb}".rstrip()
