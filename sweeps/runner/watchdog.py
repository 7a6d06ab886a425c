"""Workers that do not report for too long: found by the driver's clock, ended on whatever node they are."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from cluster.session import end_process
from trainables.ray_trial import WORKER

CHECKED_EVERY = 1.0  # seconds


@dataclass(slots=True)
class _Watched:
    checkpoints: Path
    heard: float  # by the monotonic clock


class StuckTrials:
    """Which trials run, and when each was last heard of.

    Args:
        after: Seconds without a report after which a worker counts as stuck.
    """

    def __init__(self, after: float) -> None:
        self._after = after
        self._watched: dict[str, _Watched] = {}
        self._checked = 0.0

    def watch(self, trial_id: str, checkpoints: str) -> None:
        """A trial has started."""
        self._watched[trial_id] = _Watched(Path(checkpoints), time.monotonic())

    def heard(self, trial_id: str) -> None:
        """A trial has reported."""
        if trial_id in self._watched:
            self._watched[trial_id].heard = time.monotonic()

    def forget(self, trial_id: str) -> None:
        """A trial does not run any more."""
        self._watched.pop(trial_id, None)

    def end_overdue(self) -> list[str]:
        """End the workers of trials that are overdue, so that Tune starts them again; their names."""
        now = time.monotonic()
        if now - self._checked < CHECKED_EVERY:
            return []
        self._checked, ended = now, []
        for trial_id, watched in self._watched.items():
            if now - watched.heard > self._after and self._end(watched):
                watched.heard = now  # it has as long again
                ended.append(trial_id)
        return ended

    def _end(self, watched: _Watched) -> bool:
        try:
            worker = json.loads((watched.checkpoints / WORKER).read_text())
            pid, node = int(worker["pid"]), str(worker["node_id"])
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
        ):  # it has not even begun: Ray starts workers, and ends them
            return False
        end_process(node, pid)
        return True
