"""Ask a cluster that grows for GPUs, and wait until they are there: `python -m cluster.nodes 4`; `0` gives them back.

A sweep counts the GPUs when it starts, and a cluster that grows from 0 has none yet. Where nothing grows, this only waits.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from cluster.session import Nodes, SessionError, environment, session

POLL_S = 5.0


def wait_for(
    wanted: int,
    count: Callable[[], int],
    timeout: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = lambda line: print(line, flush=True),  # noqa: T201 - this is a command
) -> bool:
    """Wait until so many GPUs are there; a line for each change.

    Args:
        wanted: GPUs.
        count: How many there are.
        timeout: Seconds.
        clock: Seconds since any moment.
        sleep: Waits for so many seconds.
        say: Shows a line.

    Returns:
        Whether they came in time.
    """
    deadline, before = clock() + timeout, -1
    while (found := count()) < wanted:
        if found != before:
            say(f"{found} of {wanted} GPUs are there.")
            before = found
        if clock() >= deadline:
            return False
        sleep(min(POLL_S, max(0.0, deadline - clock())))
    say(f"{found} of {wanted} GPUs are there.")
    return True


def gpus(nodes: Nodes) -> int:
    """GPUs of all nodes."""
    return sum(of_node for _, of_node in nodes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 once the GPUs are there, 1 where they do not come in time, 2 where no Ray answers."""
    parser = argparse.ArgumentParser(prog="python -m cluster.nodes", description=__doc__)
    parser.add_argument(
        "gpus", type=int, help="GPUs that the cluster keeps until the next call; 0 gives them back"
    )
    parser.add_argument(
        "--address", default="auto", help="of the Ray; default: the one on this machine"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=1200.0,
        help="seconds; default 1200, for a spot machine and its image",
    )
    options = parser.parse_args(arguments)
    deadline = time.monotonic() + options.timeout
    with environment(options.address):
        while True:
            try:
                _request(options.address, options.gpus)
                break
            except SessionError as error:  # the head may be starting just now
                if time.monotonic() >= deadline:
                    sys.stderr.write(f"error: {error}\n")
                    return 2
                time.sleep(POLL_S)
        came = wait_for(options.gpus, lambda: _count(options.address), deadline - time.monotonic())
    if not came:
        sys.stderr.write(
            f"error: {options.gpus} GPUs must be there within {options.timeout:g} s, but they are not: look at `ray status`, "
            "ask for fewer, or wait longer with --timeout.\n"
        )
    return 0 if came else 1


def _request(address: str, number: int) -> None:
    with session(address, cpus=0, gpus=0):
        from ray.autoscaler.sdk import request_resources

        request_resources(bundles=[{"GPU": 1}] * number)


def _count(address: str) -> int:
    with session(address, cpus=0, gpus=0) as nodes:
        return gpus(nodes)


if __name__ == "__main__":
    sys.exit(main())
