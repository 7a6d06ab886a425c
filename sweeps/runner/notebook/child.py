"""The process in which a notebook's sweep runs: it is the command line's, without its arguments.

The study and its flags come through the standard input, which stays open as long as the notebook's
kernel lives: when it is closed, the sweep stops cleanly.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading

# Between plain lines that say how far a sweep is.
SAID_EVERY_S = 5.0


def main() -> None:
    """Run the sweep that the standard input tells of, and exit with its status."""
    # Before the sweep has handlers of its own, an interrupt ends the process, without a word.
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(130))
    from sweeps.runner import progress
    from sweeps.runner.cli import leave, run

    study, arguments = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_stop_with_the_kernel, daemon=True).start()
    progress.PLAIN_EVERY_S = SAID_EVERY_S
    leave(lambda: run(study, arguments))


def _stop_with_the_kernel() -> None:
    """Wait for the end of the input, and ask for a clean stop as a scheduler does."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
