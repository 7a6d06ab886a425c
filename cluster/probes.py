"""What is asked of the nodes of a joined cluster before a sweep starts: the storage must be shared, GPUs have a precision."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

ANSWERED_WITHIN_S = 60.0  # a node that starts its first worker takes seconds


def blind_nodes(folder: Path) -> list[str]:
    """Addresses of the nodes of the joined cluster that do not see what this process writes into a folder.

    Checkpoints of such a node would be lost with it.

    Args:
        folder: Must exist here and be writable; what is written is removed again.

    Raises:
        OSError: It cannot be written.
        TimeoutError: A node does not answer.
    """
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) == 1:
        return []
    word = secrets.token_hex(8)
    probe = folder / f".seen-by-all-{word}"
    probe.write_text(word)
    try:
        told = on_nodes([node["NodeID"] for node in nodes], lambda: _reads(probe, word))
    finally:
        with suppress(FileNotFoundError):
            probe.unlink()
    return sorted(str(node["NodeManagerAddress"]) for node in nodes if not told.get(node["NodeID"], True))


def of_gpu_nodes(task: Callable[[], Any]) -> list[Any]:
    """What a function returns on each node that has a GPU.

    Raises:
        TimeoutError: A node does not answer.
    """
    import ray

    nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("GPU")]
    return list(on_nodes(nodes, task).values())


def on_nodes(nodes: list[str], task: Callable[[], Any]) -> dict[str, Any]:
    """What a function returns on each of some nodes, by Ray's id of the node. One that has died since is left out.

    Raises:
        TimeoutError: A node does not answer.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    run = ray.remote(num_cpus=0, max_retries=0)(task)
    asked = {node: run.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote() for node in nodes}
    deadline, answers = time.monotonic() + ANSWERED_WITHIN_S, {}
    for node, answer in asked.items():
        try:
            answers[node] = ray.get(answer, timeout=max(0.0, deadline - time.monotonic()))
        except ray.exceptions.GetTimeoutError as error:
            raise TimeoutError(f"a node of the cluster has not answered within {ANSWERED_WITHIN_S:g} s") from error
        except (ray.exceptions.TaskUnschedulableError, ray.exceptions.NodeDiedError, ray.exceptions.WorkerCrashedError):
            continue  # Ray lists a node for some seconds after its death
    return answers


def _reads(probe: Path, word: str) -> bool:
    try:
        return probe.read_text() == word
    except OSError:
        return False
