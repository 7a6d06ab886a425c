"""A sweep uses the slots that a cluster has now, and no more than it may."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from ray.tune.search import Searcher

from cluster.resources import cluster_slots
from sweeps.runner import capacity
from sweeps.runner.capacity import Capacity


class Endless(Searcher):
    """Always has another trial."""

    def suggest(self, trial_id: str) -> dict[str, Any]:
        return {"name": trial_id}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        pass


Has = tuple[int, int]


class Cluster:
    """Nodes that come and go; `ready` are those that answer when they are asked."""

    def __init__(self, *nodes: Has, gpus: int | None = None) -> None:
        self.nodes = {str(at): has for at, has in enumerate(nodes)}
        self.said: list[str] = []
        self.asked: list[set[str]] = []
        self.ready = True
        wanted = sum(of_node for _, of_node in nodes) if gpus is None else gpus
        self.capacity = Capacity(
            cluster_slots(nodes, wanted, 1.0),
            gpus,
            lambda: self.nodes,
            self.nodes,
            self._fit,
            self.said.append,
        )
        self.searcher = self.capacity.limit(Endless())
        self._number = 0

    def given(self) -> int:
        """Trials that are handed out until no more are."""
        count = 0
        while True:
            self._number += 1
            if not self.searcher.suggest(str(self._number)):
                return count
            count += 1

    def answered(self) -> None:
        """Look, and wait until the nodes that are asked have answered."""
        self.capacity.look()
        if self.capacity._asked:
            self.capacity._asked[1].result(10)

    def _fit(self, added: set[str]) -> bool:
        self.asked.append(added)
        return self.ready


def test_a_node_that_is_added_is_asked_and_then_used() -> None:
    cluster = Cluster((4, 1))
    assert cluster.given() == 1
    cluster.nodes["new"] = (8, 2)
    cluster.ready = False
    cluster.answered()
    assert (cluster.given(), cluster.said) == (0, []), "it has not answered yet"
    cluster.ready = True
    cluster.answered()
    cluster.capacity.look()
    assert cluster.given() == 2
    assert cluster.said == ["The cluster has changed: 3 slots, 1 before."]
    cluster.answered()
    assert cluster.asked == [{"new"}, {"new"}]
    assert len(cluster.said) == 1


def test_nobody_waits_for_a_node_that_does_not_answer() -> None:
    cluster, silent = Cluster((4, 1)), threading.Event()
    cluster.capacity._fit = lambda added: silent.wait(60)
    cluster.nodes["new"] = (8, 2)
    cluster.capacity.look()
    cluster.capacity.look()
    assert cluster.given() == 1
    silent.set()


def test_where_nodes_are_lost_trials_wait_for_others_since_that_makes_a_cluster_grow() -> None:
    cluster = Cluster((4, 1), (4, 1))
    assert cluster.given() == 2
    del cluster.nodes["1"]
    cluster.capacity.look()
    assert cluster.capacity.count == 1
    cluster.searcher.on_trial_complete("1")
    assert cluster.given() == 1
    cluster.nodes.clear()
    cluster.capacity.look()
    assert cluster.said == [
        "The cluster has changed: 1 slot, 2 before.",
        "The cluster has changed: 0 slots, 1 before.",
    ]


def test_a_sweep_that_may_use_two_gpus_uses_two_however_many_are_added() -> None:
    cluster = Cluster((4, 1), (4, 1), gpus=2)
    cluster.nodes |= {"2": (4, 1), "3": (4, 1)}
    cluster.answered()
    cluster.capacity.look()
    assert (cluster.given(), cluster.said) == (2, [])


def test_tune_looks_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(capacity.time, "monotonic", lambda: clock[0])
    cluster = Cluster((1, 0))
    cluster.nodes["0"] = (3, 0)
    for wait, count in ((1.0, 1), (3.9, 1), (0.2, 3)):
        clock[0] += wait
        cluster.capacity.on_step_begin(1, [])
        assert cluster.capacity.count == count


def test_a_local_ray_is_not_looked_at() -> None:
    place = Capacity(cluster_slots(((2, 0),), 0, 1.0), None)
    place.look()
    assert place.count == 2
