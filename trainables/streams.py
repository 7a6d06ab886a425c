"""The two streams of a command.

Any terminal shows what it prints, and an output that nobody takes ends it in one line.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable

UNWRITTEN = 1


def printed(act: Callable[[], int]) -> int:
    """Run a command; its exit status, or `UNWRITTEN` where not all of its output could be written.

    A full disk or a closed stdout is a line on stderr. A closed pipe is none: `| head` has seen
    enough. Characters that the terminal's encoding lacks are printed as escapes.
    """
    if sys.stdout is None:  # it was closed before the start: what is printed first finds out
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if isinstance(sys.stdout, io.TextIOWrapper) and not isinstance(sys.stdout, _Stream):
        sys.stdout = _Stream(sys.stdout)
    if isinstance(sys.stderr, io.TextIOWrapper) and not isinstance(sys.stderr, _Stream):
        sys.stderr = _Stream(sys.stderr)
    out = sys.stdout
    try:
        status = _status(act)
        out.flush()
    except SystemExit:
        return UNWRITTEN
    return UNWRITTEN if getattr(out, "lost", False) else status


def _status(act: Callable[[], int]) -> int:
    """Return what Python makes of a command that returns or exits.

    `sys.exit()` is 0, and `sys.exit("why")` says why and is 1.
    """
    try:
        return act()
    except SystemExit as stop:
        if isinstance(stop.code, int | None):
            return stop.code or 0
        sys.stderr.write(f"{stop.code}\n")
        return 1


class _Stream(io.TextIOWrapper):
    """A standard stream that escapes what its encoding lacks, and leaves where its file is full.

    Not by an `OSError`, which would be taken for one of another file. In a thread leaving ends that
    thread alone, so `lost` tells that something was not written.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self.lost = False
        self._given = stream  # which closes the file when nobody holds it
        self._plain = codecs.lookup(stream.encoding).name == "ascii"
        super().__init__(
            stream.buffer,
            encoding="latin-1"
            if self._plain
            else stream.encoding,  # click writes UTF-8 to what calls itself ASCII
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )

    def write(self, text: str) -> int:
        if self._plain:
            text = text.encode("ascii", "backslashreplace").decode()
        try:
            return super().write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """Send the rest nowhere; where the answers were lost, say so and leave."""
        self.lost = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        if self is sys.stderr:  # there is nobody left to say it to
            return
        if not isinstance(error, BrokenPipeError):
            rule = "The output must be written whole, but cannot be"
            sys.stderr.write(
                f"error: {rule} ({error.strerror}): make room, or send it elsewhere.\n"
            )
        raise SystemExit(UNWRITTEN)
