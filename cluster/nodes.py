"""Ask a cluster that grows for GPUs, and wait for them: `python -m cluster.nodes 4`.

`0` gives them back. A sweep counts the GPUs when it starts, and a cluster that grows from 0 has
none yet. Where nothing grows, this only waits.
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
    """Wait until so many GPUs are there; one line per change.

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
    deadline = clock() + timeout
    said = -1
    while True:
        there = count()
        if there != said or there >= wanted:
            say(f"{there} of {wanted} GPUs are there.")
            said = there
        if there >= wanted:
            return True
        if clock() >= deadline:
            return False
        sleep(min(POLL_S, max(0.0, deadline - clock())))


def gpus(nodes: Nodes) -> int:
    """Return the GPUs of all nodes."""
    return sum(of_node for _, of_node in nodes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the module; its exit status: 0 all there, 1 not in time, 2 no Ray answers."""
    options = _parser().parse_args(arguments)
    deadline = time.monotonic() + options.timeout
    with environment(options.address):
        # Ask; the head may be starting just now.
        while True:
            try:
                _request(options.address, options.gpus)
                break
            except SessionError as error:
                if time.monotonic() >= deadline:
                    sys.stderr.write(f"error: {error}\n")
                    return 2
                time.sleep(POLL_S)

        # Wait, in what is left of the time.
        left = deadline - time.monotonic()
        if wait_for(options.gpus, lambda: _count(options.address), left):
            return 0
    sys.stderr.write(
        f"error: {options.gpus} GPUs must be there within {options.timeout:g} s, but they are not: "
        "look at `ray status`, ask for fewer, or wait longer with --timeout.\n"
    )
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cluster.nodes", description=__doc__)
    parser.add_argument(
        "gpus", type=int, help="GPUs that the cluster keeps until the next call; 0 gives them back"
    )
    parser.add_argument(
        "--address", default="auto", help="address of the Ray; default: the one on this machine"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=1200.0,
        help="seconds to wait; default 1200, for a spot machine and its image",
    )
    return parser


def _request(address: str, number: int) -> None:
    with session(address, cpus=0, gpus=0):
        from ray.autoscaler.sdk import request_resources

        request_resources(bundles=[{"GPU": 1}] * number)


def _count(address: str) -> int:
    with session(address, cpus=0, gpus=0) as nodes:
        return gpus(nodes)


if __name__ == "__main__":
    sys.exit(main())
