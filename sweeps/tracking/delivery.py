"""From a sweep's journal to MLflow, whenever MLflow is there: on a thread while the sweep runs, and later on demand."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from filelock import FileLock, Timeout

from sweeps.records.folder import DELIVERY_LOCK, JOURNAL, at
from sweeps.records.journal import Journal, JournalError
from sweeps.tracking.courier import Courier
from sweeps.tracking.registry import RegisteredModel
from sweeps.tracking.store import TrackingError, one_line

GATHER_SECONDS = 0.1  # events that arrive within this time of each other are sent together, and may share a request
APART_SECONDS = 1.0  # between two deliveries, where nobody waits for them: a short trial is told in four requests, not in ten
RETRY_FIRST, RETRY_MOST = 1.0, 30.0  # seconds until MLflow is tried again
_LOOK_SECONDS = 1.0  # after which the thread looks at the journal by itself
_LET_GO_SECONDS = (
    0.2  # in which a thread that does not wait for MLflow's answer can end, and release the lock
)
_SYNC_TRIES = 4


class Delivery:
    """Delivers a journal that is being written, on a daemon thread of its own. Any thread may call the methods.

    Args:
        journal: Of the sweep.
        tracking_uri: What `prepare_store` returned.
        storage: The sweeps' folder.
    """

    def __init__(self, journal: Journal, tracking_uri: str, storage: Path) -> None:
        self._journal = journal
        self._at = at(storage)
        self._courier = Courier(journal.path, tracking_uri, storage)
        self._woken, self._closing, self._stopping = (
            threading.Event(),
            threading.Event(),
            threading.Event(),
        )
        self._awaited = threading.Event()  # somebody waits for a delivery
        self._progress = threading.Condition()
        self._failing: tuple[float, str] | None = (
            None  # since when, by the monotonic clock, and why
        )
        self._thread = threading.Thread(target=self._work, name="MLflow-delivery", daemon=True)
        self._thread.start()

    @property
    def champion(self) -> RegisteredModel | None:
        """The last champion that was registered."""
        return self._courier.champion

    def wake(self) -> None:
        """There is something new in the journal. Returns at once."""
        self._woken.set()

    def flush(self, timeout: float, offset: int | None = None) -> bool:
        """Wait at most `timeout` seconds until all up to an offset is delivered, by default all there is; whether it is."""
        target, deadline = (
            self._journal.end if offset is None else offset,
            time.monotonic() + timeout,
        )
        self._awaited.set()
        self._woken.set()
        with self._progress:
            while (
                self._courier.offset < target
                and self._thread.is_alive()
                and time.monotonic() < deadline
            ):
                self._progress.wait(min(_LOOK_SECONDS, max(0.0, deadline - time.monotonic())))
        return self._courier.offset >= target

    def problem(self) -> str | None:
        """One line for the user while MLflow takes nothing."""
        if (failing := self._failing) is None:
            return None
        since, reason = failing
        wait = f"{_events(self._courier.waiting(), 'wait')} in {self._journal.path.name}"
        return f"MLflow has not answered for {time.monotonic() - since:.0f} s ({reason}); {wait}."

    def close(self, timeout: float) -> str | None:
        """End the thread once all is delivered, or after `timeout` seconds; a line for the user if MLflow lacks something."""
        self._closing.set()
        self._awaited.set()
        self._woken.set()
        self._thread.join(timeout)
        self._stopping.set()
        self._thread.join(_LET_GO_SECONDS)
        lines, failing = [], self._failing
        if self._courier.refused:
            lines.append(_refusals(self._courier))
        if waiting := self._courier.waiting():
            why, sweep = f" ({failing[1]})" if failing else "", self._journal.path.parent.name
            lines.append(
                f"{_events(waiting, 'are')} not in MLflow yet{why}: `dvt sync {sweep}{self._at}` delivers them."
            )
        return " ".join(lines) or None

    def _work(self) -> None:
        lock = FileLock(self._journal.path.with_name(DELIVERY_LOCK), timeout=0)
        pause, delivered = RETRY_FIRST, 0.0
        while not self._stopping.is_set() and (
            self._something_waits() or not self._closing.is_set()
        ):
            if not self._something_waits():
                self._woken.wait(_LOOK_SECONDS)
                self._woken.clear()
                if self._something_waits():
                    time.sleep(GATHER_SECONDS)
                    self._awaited.wait(max(0.0, delivered + APART_SECONDS - time.monotonic()))
                continue
            try:
                self._carry(lock)
            except JournalError as error:
                self._failing = time.monotonic(), str(error)
                break
            except Exception as error:  # noqa: BLE001  Whatever MLflow raises, what it lacks waits in the journal.
                reason = (
                    "another process delivers" if isinstance(error, Timeout) else one_line(error)
                )
                self._failing = self._failing[0] if self._failing else time.monotonic(), reason
                self._pause(pause)
                pause = min(2 * pause, RETRY_MOST)
            else:
                self._failing, pause, delivered = None, RETRY_FIRST, time.monotonic()
                if not self._something_waits() and not self._closing.is_set():
                    self._awaited.clear()
            with self._progress:
                self._progress.notify_all()
        lock.release()
        with self._progress:
            self._progress.notify_all()

    def _carry(self, lock: FileLock) -> None:
        if not lock.is_locked:
            lock.acquire()
            self._courier.catch_up()
        self._courier.carry(self._journal.end)

    def _something_waits(self) -> bool:
        return self._courier.offset < self._journal.end

    def _pause(self, seconds: float) -> None:
        if self._closing.is_set():
            self._stopping.wait(RETRY_FIRST)
        else:
            self._closing.wait(seconds)


def sync(folder: Path, tracking_uri: str, storage: Path) -> str:
    """Deliver now what MLflow lacks of a sweep; a line for the user.

    Args:
        folder: The sweep's.
        tracking_uri: What `prepare_store` returned.
        storage: The sweeps' folder.

    Raises:
        TrackingError: MLflow does not take it now, or the journal cannot be read; what MLflow has by then stays delivered.
    """
    try:
        with FileLock(folder / DELIVERY_LOCK, timeout=0):
            courier = Courier(folder / JOURNAL, tracking_uri, storage)
            waited = courier.waiting()
            _carry_all(courier, f"{folder.name}{at(storage)}")
    except Timeout:
        return f"{folder.name} is being delivered by another process: nothing to do."
    except (OSError, JournalError) as error:
        raise TrackingError(f"{folder.name} cannot be delivered: {one_line(error)}") from error
    lines = [f"{_events(waited, 'were')} delivered: MLflow has all of {folder.name}."]
    if waited == 0:
        lines = [f"MLflow has all of {folder.name} already."]
    if courier.champion:
        lines.append(f"The champion is {courier.champion.uri}.")
    if courier.refused:
        lines.append(_refusals(courier))
    return " ".join(lines)


def _carry_all(courier: Courier, arguments: str) -> None:
    """Deliver all there is; `arguments` are those of `dvt sync` that do it later."""
    tries, more = 1, True
    while more:
        before = courier.offset
        try:
            more = courier.carry()
        except JournalError:
            raise
        except Exception as error:
            tries = tries + 1 if courier.offset == before else 1
            if tries > _SYNC_TRIES:
                left = _events(courier.waiting(), "are")
                raise TrackingError(
                    f"{left} not in MLflow yet ({one_line(error)}): "
                    f"`dvt sync {arguments}` delivers them."
                ) from error
            time.sleep(RETRY_FIRST * 2 ** (tries - 2))


def _refusals(courier: Courier) -> str:
    return f"MLflow refused {_events(courier.refused)}: {courier.reason}"


def _events(count: int, verb: str = "") -> str:
    singular = {"are": "is", "were": "was", "wait": "waits"}
    words = ["1 event", singular.get(verb, "")] if count == 1 else [f"{count} events", verb]
    return " ".join(word for word in words if word)
