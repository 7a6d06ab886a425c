"""What of a storage can be removed, as `dvt clean` names it; what a running sweep uses stays."""

from __future__ import annotations

import fnmatch
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal

from cluster.refused import Refused
from sweeps.commands.kit import shown
from sweeps.records.folder import (
    BEST,
    CHAMPION,
    CHECKPOINTS,
    at,
    claimed,
    file_name,
    freed_by,
    kept_champion,
    size_of,
    sweeps_folder,
)
from sweeps.records.status import SweepStatus
from sweeps.runner.folders import cache_folder
from trainables.problems import counted, unknown_name

# Everything that belongs to the project in the cache, and what it is; parts without a word are not
# shown. A folder that DVT_CACHE_DIR names may hold other things too.
CACHE = {
    "data": "decoded data",
    "prefix": "activations of frozen layers",
    "digits-source": "source models",
    "datasets": "downloaded data",
    "locks": "",
    "convolutions.json": "",
    "convolutions.lock": "",
}
KINDS = ("cache", "prefix", "data", "checkpoints")
IN_CACHE = ("cache", "data", "prefix")
# What was renamed and could not be deleted.
GONE = ".*.gone"


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """Something that can be removed.

    Attributes:
        name: What the user reads.
        paths: Files and folders.
        size: Their bytes.
        sweep: Folder of the sweep whose driver must not run meanwhile.
    """

    name: str
    paths: tuple[Path, ...]
    size: int
    sweep: Path | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """The things that will go, and notes on what stays or is lost with them."""

    items: list[Item]
    notes: list[str]


def choose(storage: Path, words: Sequence[str], sweeps: Sequence[SweepStatus]) -> Choice:
    """Return what the words of a command line mean.

    Raises:
        Refused: A word that means nothing, or something that a running sweep needs.
    """
    # Each word adds what it means, or says why it means nothing.
    problems: list[str] = []
    choice = Choice([], [])
    running = [sweep.name for sweep in sweeps if sweep.state == "running"]
    for word in dict.fromkeys(words):
        if word in ("cache", "data") and running:
            problems.append(
                f"{word} must stay while a sweep runs, and {', '.join(running)} is running: wait for "
                "its end, or remove only prefix, which leaves what the sweep uses."
            )
        elif word in IN_CACHE:
            _add_cache(choice, cache_folder(storage), word, running)
        elif word == "checkpoints":
            for sweep in sweeps:
                _add_checkpoints(choice, sweep)
        else:
            chosen, problem = _matching(word, sweeps)
            problems += problem
            for sweep in chosen:
                _add_sweep(choice, sweep)
    if problems:
        raise Refused(*problems)

    # What an earlier removal could not delete goes with the first sweep.
    if any(word not in IN_CACHE for word in words):
        _add(choice, "left by an earlier removal", sweeps_folder(storage).glob(GONE))
    return Choice(_once(choice.items), list(dict.fromkeys(choice.notes)))


def remove(items: Sequence[Item]) -> tuple[int, list[str]]:
    """Remove items.

    Returns:
        Bytes that are gone, and a line for each thing that could not be removed.
    """
    freed = 0
    problems: list[str] = []
    for item in items:
        with ExitStack() as stack:
            # A driver that starts now finds its sweep held.
            try:
                free = not item.sweep or stack.enter_context(claimed(item.sweep))
            except OSError as error:
                problems.append(
                    f"{item.name} stays: {item.sweep} must be writable, but is not "
                    f"({error.strerror}): change its permissions."
                )
                continue
            if not free:
                problems.append(f"{item.name} stays: the sweep was started meanwhile.")
                continue
            failures = list(_removed(item.paths))
        problems += failures
        if not failures:
            freed += item.size
    return freed, problems


def _once(items: Sequence[Item]) -> list[Item]:
    """Leave out what was asked for twice, or lies in something that goes as a whole."""
    whole: set[Path] = set()
    for item in items:
        whole.update(item.paths)
    once: dict[tuple[Path, ...], Item] = {}
    for item in items:
        if not any(whole & set(path.parents) for path in item.paths):
            once[item.paths] = item
    return list(once.values())


def _removed(paths: Sequence[Path]) -> Iterator[str]:
    """Remove paths, and yield a line for each one that could not be removed."""
    for path in paths:
        try:
            _remove(path)
        except FileNotFoundError:  # another was faster
            pass
        except OSError as error:
            place = error.filename or path
            yield (
                f"{path} cannot be removed ({error.strerror or error}): "
                f"change the permissions of {place}."
            )


def _remove(path: Path) -> None:
    """Delete a path; a folder is renamed first, so that nobody sees half of it."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    gone = path
    if not fnmatch.fnmatch(path.name, GONE):
        gone = path.with_name(f".{secrets.token_hex(8)}.gone")
        path.rename(gone)
    try:
        shutil.rmtree(gone)
    except OSError:
        # The first failure ends it: the rest goes all the same.
        shutil.rmtree(gone, ignore_errors=True)
        if gone.exists():
            raise


def _add(choice: Choice, name: str, paths: Iterable[Path], sweep: Path | None = None) -> None:
    """Add those of some paths that are there."""
    there = tuple(sorted(path for path in paths if path.exists() or path.is_symlink()))
    if there:
        size = freed_by(there)
        choice.items.append(Item(name=name, paths=there, size=size, sweep=sweep))


def _add_cache(choice: Choice, cache: Path, kind: str, running: Sequence[str]) -> None:
    """Add the cache, or a part of it; of activations, only those that nobody uses."""
    if kind == "prefix" and running:
        _add_unused(choice, cache / "prefix", running)
        return
    names = list(CACHE) if kind == "cache" else [kind]
    for name in names:
        _add(choice, str(cache / name), [cache / name])
    _add(choice, "left by an earlier removal", cache.glob(GONE))
    if os.environ.get("DVT_CACHE_DIR"):
        choice.notes.append(
            f"{cache} is DVT_CACHE_DIR: running sweeps of other storages that use it are not "
            "noticed here."
        )


def _add_unused(choice: Choice, prefix: Path, running: Sequence[str]) -> None:
    """Add the stored activations that no running sweep has used."""
    entries = _entries(prefix)
    used = [entry for entry in entries if _users(entry) & set(running)]
    free = [entry for entry in entries if entry not in used]
    _add(choice, f"{prefix}: {len(free)} of {len(entries)} entries", free)
    if used:
        size = decimal(sum(map(size_of, used)))
        choice.notes.append(
            f"{len(used)} of {len(entries)} entries of {prefix} stay ({size}): "
            f"they are used by {', '.join(running)}."
        )


def _entries(folder: Path) -> list[Path]:
    """Return the entries of stored activations: those in which sweeps leave their marks."""
    try:
        inside = list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for path in inside if path.name[0] != "." and (path / "sweeps").is_dir()]


def _users(entry: Path) -> set[str]:
    """Return the sweeps that have used an entry; a finalist's seed leaves `sweep@s0`."""
    with suppress(OSError):
        return {mark.name.partition("@")[0] for mark in (entry / "sweeps").iterdir()}
    return set()


def _add_checkpoints(choice: Choice, sweep: SweepStatus) -> None:
    """Add the checkpoints of a finished sweep but for its champion's."""
    folder = sweep.folder / CHECKPOINTS
    if not folder.is_dir():
        return

    # Why they may be needed.
    champion = kept_champion(sweep.folder)
    why = ""
    if sweep.state == "running":
        why = "it is running"
    elif sweep.state == "damaged":
        why = "it is damaged"
    elif sweep.state != "finished":
        why = "--resume continues from them"
    elif champion is None:
        why = "it has no champion's recipe.json, which says which of them to keep"
    if champion is None or why:
        size = decimal(size_of(folder))
        choice.notes.append(f"Checkpoints of {shown(sweep.name)} stay ({size}): {why}.")
        return
    # Its weights have a name in the champion's own folder too.
    kept = "" if (sweep.folder / CHAMPION / BEST).is_file() else file_name(champion.trial)
    others = [path for path in folder.iterdir() if path.name != kept]
    _add(choice, f"checkpoints of {sweep.name}", others, sweep.folder)


def _add_sweep(choice: Choice, sweep: SweepStatus) -> None:
    """Add a whole sweep, with notes on what is lost with it and what is not."""
    if sweep.state == "running":
        choice.notes.append(f"{sweep.name} stays: it is running.")
        return
    left = f", {sweep.left} to do" if sweep.left else ""
    _add(choice, f"sweep {shown(sweep.name)} ({sweep.state}{left})", [sweep.folder], sweep.folder)
    if sweep.undelivered:
        choice.notes.append(
            f"{sweep.name} has {counted(sweep.undelivered, 'event')} that MLflow lacks: "
            f"dvt sync {sweep.name}{at(sweep.folder.parents[1])} sends them."
        )
    choice.notes.append("MLflow keeps its runs and artifacts of these sweeps: delete them there.")


def _matching(word: str, sweeps: Sequence[SweepStatus]) -> tuple[list[SweepStatus], list[str]]:
    """Return the sweeps of a name or a pattern, and a line where there are none.

    A pattern means no damaged ones.
    """
    # A name.
    for sweep in sweeps:
        if sweep.name == word and sweep.state == "running":
            return [], [f"{word} is running: wait for its end, or stop it first."]
        if sweep.name == word:
            return [sweep], []
    if not any(character in word for character in "*?["):
        known = [*KINDS, *(sweep.name for sweep in sweeps)]
        return [], [unknown_name(word, known, "sweep or part of the cache")]

    # A pattern.
    whole = [sweep for sweep in sweeps if sweep.state != "damaged"]
    matching = [sweep for sweep in whole if fnmatch.fnmatchcase(sweep.name, word)]
    if not matching:
        return [], [f"no sweep matches {word!r}: dvt list shows their names."]
    return matching, []
