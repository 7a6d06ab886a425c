"""What is asked of the nodes of a joined cluster before a sweep starts: the storage must be shared, GPUs have a precision."""

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
    """Addresses of the nodes of the joined cluster that do not see what this process writes into a folder.

    Checkpoints of such a node would be lost with it.

    Args:
        folder: Must exist here and be writable; what is written is removed again.
        asked: Ray's ids of nodes; None asks all, unless this process is on the only one.

    Raises:
        OSError: It cannot be written.
        TimeoutError: A node does not answer.
    """
    import ray

    alive = {
        node["NodeID"]: str(node["NodeManagerAddress"]) for node in ray.nodes() if node["Alive"]
    }
    if asked is None and len(alive) == 1:
        return []
    word = secrets.token_hex(8)
    probe = folder / f".seen-by-all-{word}"
    probe.write_text(word)
    try:
        told = on_nodes(alive if asked is None else asked, lambda: _reads(probe, word))
    finally:
        with suppress(FileNotFoundError):
            probe.unlink()
    return sorted(alive.get(node, node) for node, sees in told.items() if not sees)


def of_gpu_nodes(task: Callable[[], Any], asked: Iterable[str] | None = None) -> list[Any]:
    """What a function returns on each node that has a GPU, or on those of some nodes that have one.

    Raises:
        TimeoutError: A node does not answer.
    """
    with_gpus = [node for node, (_, gpus) in nodes().items() if gpus]
    return list(
        on_nodes(with_gpus if asked is None else set(with_gpus) & set(asked), task).values()
    )


def on_nodes(names: Iterable[str], task: Callable[[], Any]) -> dict[str, Any]:
    """What a function returns on each of some nodes, by Ray's id of the node. One that has died since is left out.

    Raises:
        TimeoutError: A node does not answer.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    run = ray.remote(num_cpus=0, max_retries=0)(task)
    asked = {
        name: run.options(
            scheduling_strategy=NodeAffinitySchedulingStrategy(name, soft=False)
        ).remote()
        for name in names
    }
    deadline, answers = time.monotonic() + ANSWERED_WITHIN_S, {}
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
            if not _gone(node):
                raise TimeoutError(
                    f"a worker of a node that lives has died ({type(error).__name__})"
                ) from error
    return answers


def _gone(node: str) -> bool:
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
