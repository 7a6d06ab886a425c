"""How many trials run at once: on a cluster, nodes come and go while a sweep runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ray import tune
from ray.tune.search import ConcurrencyLimiter, Searcher

from cluster.resources import Slots, fitting
from trainables.problems import counted

LOOKED_AT_EVERY_S = 5.0


class Capacity(tune.Callback):
    """Hands out no more trials than there are slots, and counts a cluster's slots as it changes.

    A node that was added is used at once where the sweep may use all there are; one that replaces a
    lost node always is. Where nodes are lost, as many trials as before are handed out: those that
    wait make a cluster grow again.

    Args:
        slots: As they were cut when the sweep began.
        gpus: GPUs that the sweep may use; None is all there are.
        nodes: Returns CPUs and GPUs of the nodes as they are now; None where they stay the same.
        known: Names of those on which trials may run.
        fit: Asks nodes that were added whether trials may run there, on a thread of its own, since
            that may take a minute; returns False where they have not answered.
        say: Shows a line.

    Attributes:
        count: Number of slots that there are now.
    """

    def __init__(
        self,
        slots: Slots,
        gpus: int | None,
        nodes: Callable[[], Mapping[str, tuple[int, int]]] | None = None,
        known: Iterable[str] = (),
        fit: Callable[[set[str]], bool] = lambda added: True,
        say: Callable[[str], None] = print,
    ) -> None:
        self.count = slots.count
        self._slots = slots
        self._gpus = gpus
        self._nodes = nodes
        self._known = set(known)
        self._fit = fit
        self._say = say
        self._pool = ThreadPoolExecutor(1, "nodes-that-joined")
        # Nodes that were asked, and their answer to come.
        self._asked: tuple[set[str], Future[bool]] | None = None
        self._limiter: ConcurrencyLimiter | None = None
        # By the monotonic clock.
        self._looked = time.monotonic()

    def limit(self, searcher: Searcher) -> Searcher:
        """Return a searcher that holds back while all slots are in use."""
        self._limiter = ConcurrencyLimiter(searcher, max_concurrent=self.count)
        return self._limiter

    def look(self) -> None:
        """Count the slots again."""
        if self._nodes is None:
            return
        now = self._nodes()
        self._ask(now.keys() - self._known)
        usable = [cpus_and_gpus for name, cpus_and_gpus in now.items() if name in self._known]
        count = fitting(usable, self._slots, self._gpus)
        if count != self.count:
            slots = counted(count, "slot")
            self._say(f"The cluster has changed: {slots}, {self.count} before.")
            self.count = count
        if self._limiter:
            self._limiter.max_concurrent = max(count, self._slots.count)

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look every few seconds; Tune calls this several times a second."""
        if time.monotonic() - self._looked >= LOOKED_AT_EVERY_S:
            self._looked = time.monotonic()
            self.look()

    def _ask(self, strange: set[str]) -> None:
        """Take in the answer of nodes that joined, if it is there, and ask those that are left."""
        if self._asked and self._asked[1].done():
            added, answer = self._asked
            if answer.result():
                self._known |= added
                strange = strange - added
            self._asked = None
        if strange and not self._asked:
            self._asked = strange, self._pool.submit(self._fit, strange)

    # Tune pickles its callbacks for snapshots that nobody reads.
    def __getstate__(self) -> dict[str, Any]:
        return {}
