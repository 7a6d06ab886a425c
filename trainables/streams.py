"""The two streams of a command.

Any terminal shows what it prints. An output that nobody takes ends a command in one line, but not a
sweep, whose results are on the disk.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable

UNWRITTEN = 1

# What typography is where an encoding lacks it.
_PLAIN = {
    **{"\u2212": "-", "\u2010": "-", "\u2011": "-", "\u2013": "-", "\u2014": "-"},
    **{"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2026": "...", "\u00a0": " "},
    **{"\u00d7": "x", "\u00b1": "+-", "\u2192": "->", "\u2190": "<-", "\u2022": "*", "\u00b7": "."},
    **{"\u2264": "<=", "\u2265": ">=", "\u2248": "~", "\u2713": "ok", "\u2717": "x"},
}
_ERRORS = "plain-or-escaped"


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


def go_on_unseen(out: object, said: str) -> None:
    """From now on, an output that cannot be written ends nothing.

    Args:
        out: The output, as `printed` has made it.
        said: What the one line on stderr adds to the reason.
    """
    if isinstance(out, _Stream):
        out.unseen = said


def _replaced(error: UnicodeError) -> tuple[str, int]:
    """Return what stands for characters that an encoding lacks, as `codecs` asks for it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    parts = []
    for character in text:
        parts.append(
            _PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode()
        )
    return "".join(parts), error.end


codecs.register_error(_ERRORS, _replaced)


class _Stream(io.TextIOWrapper):
    """A standard stream that replaces what its encoding lacks, and leaves where its file is full.

    Not by an `OSError`, which would be taken for one of another file. In a thread leaving ends that
    thread alone, so `lost` tells that something was not written.
    """

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self.lost = False
        self.unseen = ""  # where it does not leave: what is said instead
        self._given = stream  # which closes the file when nobody holds it
        self._plain = codecs.lookup(stream.encoding).name == "ascii"
        super().__init__(
            stream.buffer,
            encoding="latin-1"
            if self._plain
            else stream.encoding,  # click writes UTF-8 to what calls itself ASCII
            errors=_ERRORS,
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )

    def write(self, text: str) -> int:
        if self._plain:
            text = text.encode("ascii", _ERRORS).decode()
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
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
        if self is sys.stderr:  # there is nobody left to say it to
            return
        if self.unseen:
            # Where a terminal is gone, nobody reads that either.
            _complain(f"The output cannot be written ({error.strerror}): {self.unseen}")
            return
        self.lost = True
        if not isinstance(error, BrokenPipeError):
            rule = "The output must be written whole, but cannot be"
            _complain(f"error: {rule} ({error.strerror}): make room, or send it elsewhere.")
        raise SystemExit(UNWRITTEN)


def _complain(line: str) -> None:
    """Write a line to stderr, unless that was closed before the start."""
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")
