"""The sweep that a command means: by its name, by a part that no other name has, or the newest."""

from __future__ import annotations

from pathlib import Path

from cluster.refused import Refused
from sweeps.records.folder import UNREADABLE, known_sweeps, sweep_folder
from sweeps.records.manifest import described
from trainables.problems import one_line, suggestion


def sweep_named(storage: Path, word: str) -> str:
    """Return the name of the sweep that a word names, or that alone has it in its name.

    Raises:
        Refused: No sweep has it, or several.
    """
    known = known_sweeps(storage)
    if word in known:
        return word
    if not known:
        raise Refused(no_sweeps(storage))
    matching = [name for name in known if word and word in name]
    if not matching:
        line = f"no sweep named {word!r} in {storage}."
        raise Refused(one_line(line + suggestion(word, known)))
    if len(matching) > 1:
        raise Refused(
            one_line(
                f"{word!r} must be in the name of one sweep, but is in {len(matching)}: "
                f"{', '.join(matching)}."
            )
        )
    return matching[0]


def newest_first(storage: Path) -> list[str]:
    """Return the names of a storage's sweeps, as far as they say when they were started.

    Raises:
        Refused: There is none.
    """
    known = known_sweeps(storage)
    started = {}
    for name in known:
        try:
            started[name] = described(sweep_folder(storage, name)).started
        except UNREADABLE:  # `dvt list` says that it is damaged
            continue
    if not known:
        raise Refused(no_sweeps(storage))
    if not started:
        raise Refused(
            f"a sweep must have a readable sweep.json, but none in {storage} has: "
            "`dvt list` says why."
        )
    return sorted(started, key=lambda name: (started[name], name), reverse=True)


def no_sweeps(storage: Path) -> str:
    """Return the line for a storage without any sweep."""
    return one_line(f"no sweeps in {storage}: run one, or choose another --storage.")
