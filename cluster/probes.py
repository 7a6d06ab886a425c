"""Questions to the nodes of a joined cluster, before a sweep starts on them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.session import nodes

ANSWERED_WITHIN_S = 60.0  # a node that starts its first worker takes seconds
FORGOTTEN_WITHIN_S = 20.0  # Ray lists a node for some seconds after its death


def blind_nodes(folder: Path, asked: Iterable[str] | None = None) -> list[str]:
    """Return the addresses of the nodes that do not see what this process writes into a folder.

    Checkpoints of such a node would be lost with it.

    Args:
        folder: It exists here and can be written to; what is written is removed again.
        asked: Ray's ids of nodes; None asks all, unless this process is on the only one.

    Raises:
        OSError: It cannot be written.
        TimeoutError: A node does not answer.
    """
    import ray

    addresses = {}
    for node in ray.nodes():
        if node["Alive"]:
            addresses[node["NodeID"]] = str(node["NodeManagerAddress"])
    if asked is None:
        if len(addresses) == 1:
            return []
        asked = addresses

    # A word that no other process can have written.
    word = secrets.token_hex(8)
    probe = folder / f".seen-by-all-{word}"
    probe.write_text(word)
    try:
        seen = on_nodes(asked, lambda: _reads(probe, word))
    finally:
        with suppress(FileNotFoundError):
            probe.unlink()
    return sorted(addresses.get(node, node) for node, sees in seen.items() if not sees)


def of_gpu_nodes(task: Callable[[], Any], asked: Iterable[str] | None = None) -> list[Any]:
    """Return what a function returns on each node that has a GPU.

    Args:
        task: The function.
        asked: Ray's ids of nodes; None asks all that have one.

    Raises:
        TimeoutError: A node does not answer.
    """
    with_gpus = {node for node, (_, gpus) in nodes().items() if gpus}
    if asked is not None:
        with_gpus &= set(asked)
    return list(on_nodes(with_gpus, task).values())


def on_nodes(names: Iterable[str], task: Callable[[], Any]) -> dict[str, Any]:
    """Return what a function returns on each of some nodes, by Ray's id of the node.

    A node that has died since is left out.

    Raises:
        TimeoutError: A node does not answer.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # All are asked at once.
    run = ray.remote(num_cpus=0, max_retries=0)(task)
    asked = {}
    for name in names:
        there = NodeAffinitySchedulingStrategy(name, soft=False)
        asked[name] = run.options(scheduling_strategy=there).remote()

    # Their answers, within one time for all.
    answers = {}
    deadline = time.monotonic() + ANSWERED_WITHIN_S
    for node, answer in asked.items():
        try:
            answers[node] = ray.get(answer, timeout=max(0.0, deadline - time.monotonic()))
        except ray.exceptions.GetTimeoutError as error:
            raise TimeoutError(
                f"a node of the cluster has not answered within {ANSWERED_WITHIN_S:g} s"
            ) from error
        except (
            ray.exceptions.TaskUnschedulableError,
            ray.exceptions.NodeDiedError,
            ray.exceptions.WorkerCrashedError,
        ) as error:
            # A node that has died since is no matter; a worker that dies on a living one is.
            if not _gone(node):
                raise TimeoutError(
                    f"a worker of a node that lives has died ({type(error).__name__})"
                ) from error
    return answers


def _gone(node: str) -> bool:
    """Return whether Ray takes a node for dead, which it knows after some seconds."""
    deadline = time.monotonic() + FORGOTTEN_WITHIN_S
    while node in nodes():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def _reads(probe: Path, word: str) -> bool:
    try:
        return probe.read_text() == word
    except OSError:
        return False
