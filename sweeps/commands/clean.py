"""`dvt clean`: what occupies the disk, and its removal. What a running sweep uses stays."""

from __future__ import annotations

import fnmatch
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import click
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from cluster.refused import Refused
from sweeps.commands import kit
from sweeps.commands.kit import shown
from sweeps.records.folder import (
    CHECKPOINTS,
    at,
    claimed,
    file_name,
    kept_champion,
    size_of,
    sweeps_folder,
)
from sweeps.records.status import SweepStatus, all_sweeps
from sweeps.runner.options import cache_folder
from trainables.problems import counted, unknown_name

CACHE = {  # everything that belongs to the project there; a folder that DVT_CACHE_DIR names may hold other things too
    "data": "decoded data",
    "prefix": "activations of frozen layers",
    "digits-source": "source models",
    "datasets": "downloaded data",
    "locks": "",
    "convolutions.json": "",
    "convolutions.lock": "",
}
KINDS = ("cache", "prefix", "data", "checkpoints")
MLFLOW = ("mlflow.db", "artifacts")
GONE = ".*.gone"  # what was renamed and could not be deleted


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """Something that can be removed: files and folders, and the sweep whose driver must not run meanwhile."""

    name: str
    paths: tuple[Path, ...]
    size: int
    sweep: Path | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """What will go, and lines on what stays although it was asked for, or is lost with the rest."""

    items: list[Item]
    notes: list[str]


def choose(storage: Path, words: Sequence[str], sweeps: Sequence[SweepStatus]) -> Choice:
    """What the words of a command line mean; a word that means nothing, or what a running sweep needs, is `Refused`."""
    problems: list[str] = []
    choice = Choice([], [])
    running = [sweep.name for sweep in sweeps if sweep.state == "running"]
    for word in dict.fromkeys(words):
        if word in ("cache", "data") and running:
            problems.append(
                f"{word} must stay while a sweep runs, and {', '.join(running)} does: wait for its end, or remove only prefix, "
                "of which it keeps what it uses."
            )
        elif word in ("cache", "data", "prefix"):
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
    if any(word not in ("cache", "data", "prefix") for word in words):
        _add(choice, "left by an earlier removal", sweeps_folder(storage).glob(GONE))
    whole = {path for item in choice.items for path in item.paths}
    once = {
        item.paths: item
        for item in choice.items
        if not any(whole & set(path.parents) for path in item.paths)
    }
    return Choice(list(once.values()), list(dict.fromkeys(choice.notes)))


def remove(items: Sequence[Item]) -> tuple[int, list[str]]:
    """Remove items: bytes that are gone, and a line for each thing that could not be removed."""
    freed, problems = 0, []
    for item in items:
        failed = False
        with ExitStack() as stack:
            if item.sweep and not stack.enter_context(claimed(item.sweep)):
                problems.append(f"{item.name} stays: the sweep was started meanwhile.")
                continue
            for path in item.paths:
                try:
                    _remove(path)
                except FileNotFoundError:  # another was faster
                    pass
                except OSError as error:
                    failed = True
                    place = error.filename or path
                    problems.append(
                        f"{path} cannot be removed ({error.strerror or error}): change the permissions of {place}."
                    )
        freed += 0 if failed else item.size
    return freed, problems


def _remove(path: Path) -> None:
    """Away at once for all who look, by a rename; then deleted."""
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
        shutil.rmtree(gone, ignore_errors=True)  # the rest
        if gone.exists():
            raise


def _add(
    choice: Choice, name: str, paths: Iterator[Path] | Sequence[Path], sweep: Path | None = None
) -> None:
    """Add what is there of some paths."""
    there = tuple(sorted(path for path in paths if path.exists() or path.is_symlink()))
    if there:
        choice.items.append(
            Item(name=name, paths=there, size=sum(map(size_of, there)), sweep=sweep)
        )


def _add_cache(choice: Choice, cache: Path, kind: str, running: Sequence[str]) -> None:
    if kind == "prefix" and running:
        entries, place = _entries(cache / "prefix"), cache / "prefix"
        used = [entry for entry in entries if _users(entry) & set(running)]
        free = [entry for entry in entries if entry not in used]
        _add(choice, f"{place}: {len(free)} of {len(entries)} entries", free)
        if used:
            stay = f"{len(used)} of {len(entries)} entries of {place} stay ({decimal(sum(map(size_of, used)))})"
            choice.notes.append(f"{stay}: they belong to what runs, {', '.join(running)}.")
        return
    for name in CACHE if kind == "cache" else (kind,):
        _add(choice, str(cache / name), [cache / name])
    _add(choice, "left by an earlier removal", cache.glob(GONE))
    if os.environ.get("DVT_CACHE_DIR"):
        choice.notes.append(
            f"{cache} is DVT_CACHE_DIR: a sweep of another storage that uses it now is not seen here."
        )


def _entries(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError, NotADirectoryError):
        return [
            path
            for path in folder.iterdir()
            if not path.name.startswith(".") and (path / "sweeps").is_dir()
        ]
    return []


def _users(entry: Path) -> set[str]:
    """Sweeps that have used an entry; a finalist's seed leaves `sweep@s0`."""
    with suppress(OSError):
        return {mark.name.partition("@")[0] for mark in (entry / "sweeps").iterdir()}
    return set()


def _add_checkpoints(choice: Choice, sweep: SweepStatus) -> None:
    folder = sweep.folder / CHECKPOINTS
    if not folder.is_dir():
        return
    champion, finished = kept_champion(sweep.folder), sweep.state == "finished"
    if not finished or champion is None:
        why = {"running": "it runs", "damaged": "it is damaged"}.get(
            sweep.state, "--resume goes on from them"
        )
        why = (
            why
            if not finished
            else "it has no champion's recipe.json, which says which of them to keep"
        )
        choice.notes.append(
            f"Checkpoints of {shown(sweep.name)} stay ({decimal(size_of(folder))}): {why}."
        )
        return
    kept = file_name(champion.trial)
    others = [path for path in folder.iterdir() if path.name != kept]
    _add(choice, f"checkpoints of {sweep.name}", others, sweep.folder)


def _add_sweep(choice: Choice, sweep: SweepStatus) -> None:
    if sweep.state == "running":
        choice.notes.append(f"{sweep.name} stays: it runs.")
        return
    left = f", {sweep.left} to do" if sweep.left else ""
    _add(choice, f"sweep {shown(sweep.name)} ({sweep.state}{left})", [sweep.folder], sweep.folder)
    if sweep.undelivered:
        choice.notes.append(
            f"{sweep.name} has {counted(sweep.undelivered, 'event')} that MLflow lacks: "
            f"dvt sync {sweep.name}{at(sweep.folder.parents[1])} saves them."
        )
    choice.notes.append("MLflow keeps its runs and artifacts of these sweeps: delete them there.")


def _matching(word: str, sweeps: Sequence[SweepStatus]) -> tuple[list[SweepStatus], list[str]]:
    """Sweeps of a name or a pattern, which means no damaged ones; a line where there are none."""
    named = [sweep for sweep in sweeps if sweep.name == word]
    if named and named[0].state == "running":
        return [], [f"{word} runs: wait for its end, or stop it first."]
    if named or not any(character in word for character in "*?["):
        return named, [] if named else [
            unknown_name(word, [*KINDS, *(s.name for s in sweeps)], "sweep or part of the cache")
        ]
    found = [
        sweep
        for sweep in sweeps
        if sweep.state != "damaged" and fnmatch.fnmatchcase(sweep.name, word)
    ]
    return found, [] if found else [f"no sweep matches {word!r}: dvt list shows their names."]


@kit.command("dvt clean")
@kit.flags("storage")
@click.argument("what", nargs=-1, metavar="[WHAT]...")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(storage: Path | None, what: tuple[str, ...], yes: bool) -> int:
    """Show what uses disk space, or remove it.

    WHAT is removed: cache (all of it), prefix (activations of frozen layers), data (decoded),
    checkpoints (of finished sweeps; the champion's stay), or whole sweeps by name or pattern.
    """
    storage = kit.storage_of(storage)
    sweeps = all_sweeps(storage)
    if not what:
        if yes:
            kinds = ", ".join(KINDS)
            raise Refused(f"--yes needs to be told what to remove: {kinds}, or names of sweeps.")
        _show(storage, sweeps)
        return kit.DONE
    choice = choose(storage, what, sweeps)
    for item in choice.items:
        click.echo(f"{decimal(item.size):>10}  {item.name}")
    for note in choice.notes:
        click.echo(note)
    if not choice.items:
        click.echo("Nothing to remove.")
        return kit.DONE
    total = decimal(sum(item.size for item in choice.items))
    if not yes:
        if not sys.stdin.isatty():
            raise Refused(
                f"{total} would be removed, but there is no terminal to ask at: pass --yes."
            )
        if not click.confirm(f"Remove {total}?"):
            click.echo("Nothing was removed.")
            return kit.FAILED
    freed, problems = remove(choice.items)
    click.echo(f"Removed {decimal(freed)}.")
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    return kit.FAILED if problems else kit.DONE


def _show(storage: Path, sweeps: Sequence[SweepStatus]) -> None:
    cache, console = cache_folder(storage), kit.terminal()
    table = Table(title=f"Cache {cache}", title_justify="left")
    _columns(table, "part", "what", "size", "changed", "dvt clean")
    for name, what in CACHE.items():
        if what and (path := cache / name).exists():
            table.add_row(
                name, what, decimal(size_of(path)), _age(path), name if name in KINDS else "cache"
            )
    console.print(table)
    table = Table(title=f"Sweeps in {storage}", title_justify="left")
    _columns(table, "sweep", "state", "checkpoints", "champion", "size", "changed")
    for sweep in sweeps:
        parts = (decimal(size_of(sweep.folder / part)) for part in ("checkpoints", "champion"))
        row = (shown(sweep.name), sweep.state, *parts, decimal(sweep.size), _age(sweep.folder))
        table.add_row(*map(Text, row))
    console.print(table)
    mlflow = sum(size_of(storage / name) for name in MLFLOW)
    free = shutil.disk_usage(
        next(path for path in (storage, *storage.parents) if path.exists())
    ).free
    click.echo(
        f"MLflow holds {decimal(mlflow)} in {' and '.join(MLFLOW)}, which dvt clean leaves. Free: {decimal(free)}."
    )
    click.echo(f"To remove: dvt clean {'|'.join(KINDS)}, or sweeps by name.")


def _columns(table: Table, *names: str) -> None:
    for name in names:
        right = name in ("size", "checkpoints", "champion", "changed")
        table.add_column(name, justify="right" if right else "left", no_wrap=right, overflow="fold")


def _age(path: Path) -> str:
    """How long ago something directly in a folder changed."""
    times = [0.0]
    with suppress(OSError):
        times += [entry.stat().st_mtime for entry in (path, *path.iterdir())]
    hours = max(0.0, time.time() - max(times)) / 3600
    return (
        f"{hours / 24:.0f} days ago"
        if hours >= 48
        else f"{hours:.0f} h ago"
        if hours >= 1
        else "under 1 h ago"
    )
