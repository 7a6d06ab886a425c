"""A sweep uses the slots that a cluster has now, and no more than it may."""

from __future__ import annotations

from typing import Any

import pytest
from ray.tune.search import Searcher

from cluster.resources import cluster_slots
from cluster.session import Nodes
from sweeps.runner import room
from sweeps.runner.room import Room


class Endless(Searcher):
    """Always has another trial."""

    def suggest(self, trial_id: str) -> dict[str, Any]:
        return {"name": trial_id}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        pass


def made(nodes: list[Nodes], gpus: int | None, said: list[str]) -> Room:
    wanted = sum(of_node for _, of_node in nodes[0]) if gpus is None else gpus
    return Room(cluster_slots(nodes[0], wanted, 1.0), gpus, lambda: nodes[-1], said.append)


def test_nodes_that_come_and_go_change_how_many_trials_are_handed_out() -> None:
    now, said = [((4, 1),)], list[str]()
    place = made(now, None, said)
    searcher = place.limit(Endless())
    assert [bool(searcher.suggest(str(number))) for number in range(3)] == [True, False, False]
    now.append(((4, 1), (8, 2)))
    place.look()
    assert [bool(searcher.suggest(str(number))) for number in range(3, 7)] == [True, True, False, False]
    now.append(((8, 2),))
    place.look()
    searcher.on_trial_complete("0")
    assert not searcher.suggest("7"), "two run on, and two slots are left"
    searcher.on_trial_complete("3")
    assert searcher.suggest("8")
    assert said == ["The cluster has changed: 3 slots, 1 before.", "The cluster has changed: 2 slots, 3 before."]
    place.look()
    assert len(said) == 2


def test_a_sweep_that_may_use_two_gpus_uses_two_however_many_are_added() -> None:
    now, said = [((4, 1), (4, 1))], list[str]()
    place = made(now, 2, said)
    now.append(((4, 1),) * 5)
    place.look()
    assert (place.count, said) == (2, [])


def test_a_cluster_that_has_lost_everything_is_still_asked_for_one_trial() -> None:
    now, said = [((4, 1),)], list[str]()
    place = made(now, None, said)
    now.append(())
    place.look()
    assert place.count == 1


def test_tune_looks_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(room.time, "monotonic", lambda: clock[0])
    now, said = [((1, 0),)], list[str]()
    place = made(now, None, said)
    now.append(((3, 0),))
    for wait, count in ((1.0, 1), (3.9, 1), (0.2, 3)):
        clock[0] += wait
        place.on_step_begin(1, [])
        assert place.count == count


def test_a_local_ray_is_not_looked_at() -> None:
    place = Room(cluster_slots(((2, 0),), 0, 1.0), None)
    place.look()
    assert place.count == 2
