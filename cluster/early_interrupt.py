"""Ctrl-C while a command's modules are still being imported: one word, no traceback.

Importing this is enough, and it is to be the first import of ours. In another program than a
command of this project, and in a notebook, what is not caught stays as it is.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import TracebackType

from cluster.refused import INTERRUPTED
from cluster.signals import interrupt

_COMMAND = "dvt"
_STUDIES = Path(__file__).parents[1] / "sweeps"


def _hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not _interrupted(error):
        sys.__excepthook__(kind, error, trace)
        return
    if sys.stderr is not None:
        sys.stderr.write("Interrupted.\n")
        sys.stderr.flush()
    os._exit(INTERRUPTED)


def _interrupted(error: BaseException | None) -> bool:
    """Return whether Ctrl-C is at the root of it: a class body makes another error of it."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__
    return False


def _is_ours(program: Path) -> bool:
    return program.name == _COMMAND or program.absolute().parent == _STUDIES


if sys.argv and _is_ours(Path(sys.argv[0])):
    sys.excepthook = _hook
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
