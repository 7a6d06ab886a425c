"""A sweep in a process of its own, for a notebook: nothing that it does can end the kernel.

A sweep has signal handlers, a Ray and a way to exit that would be the kernel's as well. Here they
are the child's, and the kernel starts it, shows what it prints, and passes interrupts on.
"""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import sysconfig
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import IO

from sweeps.records.manifest import ROOT
from sweeps.runner.notebook.errors import SweepRefused
from sweeps.runner.study import Study

COMMAND = (sys.executable, "-m", "sweeps.runner.notebook.child")
# What a kernel sets for its own output, and its plots.
_KERNELS = ("FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "MPLBACKEND")
# How far the sweep is: such a line takes the place of the one before.
_PROGRESS = re.compile(r"\[[0-9hms]+\] ")
_PROBLEM = "error: "
LAST_LINES = 12
POLL_S = 1.0
# Seconds that what is left of the output may take, once the process is over.
DRAINED_WITHIN_S = 5
# Interrupts, by which the sweep stops cleanly, then at once; one more is not asked.
_ASKED = 2

Line = tuple[str, str | None]
"""The name of a stream, and a line of it; None is its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """The end of the process.

    Attributes:
        status: Its exit status; of one that a signal ended, the signal's number, negative.
        said: The last lines that it printed.
        problems: What it refused.
        interrupts: How often it was interrupted from here.
    """

    status: int
    said: Sequence[str]
    problems: Sequence[str]
    interrupts: int


def run_apart(study: Study, arguments: Sequence[str], variables: Mapping[str, str]) -> Ended:
    """Run a study in a process of its own, show what it prints, and wait for its end.

    A KeyboardInterrupt is passed on to it, in the main thread: once stops it cleanly.

    Args:
        study: As defined in the notebook or in a file.
        arguments: Of its command line.
        variables: Set in the process's environment.

    Raises:
        SweepRefused: The study cannot be handed to another process.
    """
    try:
        message = pickle.dumps((study, list(arguments)))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise SweepRefused(
            f"the study must hold plain values, but cannot be handed on ({error}): "
            "take functions and objects of your own out of it."
        ) from error
    child = subprocess.Popen(
        COMMAND,
        env=_environment(variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # An interrupt of the kernel's group is for the kernel, which passes it on.
        start_new_session=True,
    )
    with child:
        relay = _Relay(child)
        try:
            # It may have died already.
            with suppress(BrokenPipeError):
                assert child.stdin
                child.stdin.write(message)
                child.stdin.flush()
            relay.run()
        finally:
            # Where the kernel goes on without its end, this stops it cleanly.
            with suppress(BrokenPipeError):
                assert child.stdin
                child.stdin.close()
    return relay.ended(child.wait())


class _Relay:
    """Shows the lines of a process as they come, and passes interrupts on to it."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self._lines: SimpleQueue[Line] = SimpleQueue()
        self._open = 0
        self._said: deque[str] = deque(maxlen=LAST_LINES)
        self._problems: list[str] = []
        self._interrupts = 0
        self._screen = _Screen()
        for name, stream in (("out", child.stdout), ("err", child.stderr)):
            assert stream
            self._open += 1
            reader = threading.Thread(target=_read, args=(name, stream, self._lines), daemon=True)
            reader.start()

    def run(self) -> None:
        """Show lines until both streams end, or the process does."""
        quiet = 0
        while self._open and quiet < DRAINED_WITHIN_S:
            try:
                self._take(*self._lines.get(timeout=POLL_S))
            except Empty:
                # Ray's processes may hold a stream for a while.
                quiet += self._child.poll() is not None
            except KeyboardInterrupt:
                self._interrupt()
        self._screen.clear()

    def ended(self, status: int) -> Ended:
        """Return the end of the process; what was no refusal is shown now."""
        if status != 2:
            for problem in self._problems:
                self._screen.show(f"{_PROBLEM}{problem}", sys.stderr)
        return Ended(
            status=status,
            said=tuple(self._said),
            problems=tuple(self._problems),
            interrupts=self._interrupts,
        )

    def _take(self, name: str, line: str | None) -> None:
        if line is None:
            self._open -= 1
        elif name == "err" and line.startswith(_PROBLEM):
            # Those of a refusal are the exception's.
            self._problems.append(line.removeprefix(_PROBLEM))
        elif name == "out" and _PROGRESS.match(line):
            self._screen.show_for_now(line)
        else:
            if line.strip():
                self._said.append(line)
            self._screen.show(line, sys.stdout if name == "out" else sys.stderr)

    def _interrupt(self) -> None:
        self._interrupts += 1
        patient = self._interrupts <= _ASKED
        self._child.send_signal(signal.SIGINT if patient else signal.SIGKILL)


class _Screen:
    """The cell's output, in which a line may take the place of the one before."""

    def __init__(self) -> None:
        self._for_now = 0

    def show(self, line: str, stream: IO[str]) -> None:
        self.clear()
        stream.write(f"{line}\n")
        stream.flush()

    def show_for_now(self, line: str) -> None:
        """Show a line until the next one; a carriage return is what notebooks understand."""
        sys.stdout.write(f"\r{line.ljust(self._for_now)}")
        sys.stdout.flush()
        self._for_now = len(line)

    def clear(self) -> None:
        if self._for_now:
            sys.stdout.write(f"\r{' ' * self._for_now}\r")
            sys.stdout.flush()
            self._for_now = 0


def _read(name: str, stream: IO[bytes], lines: SimpleQueue[Line]) -> None:
    for line in stream:
        lines.put((name, line.decode("utf-8", "replace").rstrip("\r\n")))
    lines.put((name, None))


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the kernel's environment, without what is for its own output."""
    ours = {name: value for name, value in os.environ.items() if name not in _KERNELS}
    # A notebook may have found the project by a path of its own.
    if str(ROOT) != sysconfig.get_path("purelib"):
        ours["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), ours.get("PYTHONPATH"))))
    return {**ours, "PYTHONIOENCODING": "utf-8", **variables}
