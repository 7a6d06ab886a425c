"""`dvt clean`: what occupies the disk, and its removal."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import click
from rich.filesize import decimal

from cluster.refused import Refused
from sweeps.commands import kit
from sweeps.commands.kit import shown
from sweeps.commands.removal import CACHE, KINDS, choose, remove
from sweeps.records.folder import CHAMPION, CHECKPOINTS, size_of
from sweeps.records.status import SweepStatus, all_sweeps
from sweeps.runner import flag_values as values
from sweeps.runner.folders import cache_folder
from sweeps.terminal.grid import Column, Grid
from sweeps.terminal.screen import say, say_wrong, screen

# What MLflow keeps in a storage.
MLFLOW = ("mlflow.db", "artifacts")


def _words(ctx: click.Context) -> Iterable[str]:
    """Return what a shell completes."""
    return (*KINDS, *values.sweeps(ctx))


@kit.command("dvt clean")
@kit.flags("storage")
@click.argument("what", nargs=-1, metavar="[WHAT]...", type=values.Checked(str, "WHAT", _words))
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(storage: Path | None, what: tuple[str, ...], yes: bool) -> int:
    """Show disk use, or delete WHAT.

    WHAT is cache (all of it), prefix (activations of frozen layers), data (decoded images),
    checkpoints (of finished sweeps, except the champion's), or whole sweeps by name or pattern.
    """
    storage = kit.storage_of(storage)
    sweeps = all_sweeps(storage)
    if not what:
        if yes:
            kinds = ", ".join(KINDS)
            raise Refused(f"--yes needs to know what to remove: {kinds}, or names of sweeps.")
        _show(storage, sweeps)
        return kit.DONE

    # What would go, and what would not.
    choice = choose(storage, what, sweeps)
    for item in choice.items:
        click.echo(f"{decimal(item.size):>10}  {item.name}")
    for note in choice.notes:
        say(screen(), note)
    if not choice.items:
        click.echo("Nothing to remove.")
        return kit.DONE

    # Whether it may.
    total = decimal(sum(item.size for item in choice.items))
    if not yes:
        if not sys.stdin.isatty():
            raise Refused(
                f"{total} would be removed, but there is no terminal to ask in: pass --yes."
            )
        if not click.confirm(f"Remove {total}?"):
            click.echo("Nothing was removed.")
            return kit.FAILED

    # It goes.
    freed, problems = remove(choice.items)
    click.echo(f"Removed {decimal(freed)}.")
    say_wrong(problems)
    return kit.FAILED if problems else kit.DONE


def _show(storage: Path, sweeps: Sequence[SweepStatus]) -> None:
    cache = cache_folder(storage)
    console = screen()
    console.print(_cache_table(cache))
    console.print()
    console.print(_sweeps_table(storage, sweeps))
    console.print()

    # What is beside them.
    mlflow = sum(size_of(storage / name) for name in MLFLOW)
    place = next(path for path in (storage, *storage.parents) if path.exists())
    free = shutil.disk_usage(place).free
    say(
        console,
        f"MLflow uses {decimal(mlflow)} in {' and '.join(MLFLOW)}, which dvt clean keeps. "
        f"Free: {decimal(free)}.",
    )
    say(console, f"To remove: dvt clean {'|'.join(KINDS)}, or names of sweeps.")


def _cache_table(cache: Path) -> Grid:
    rows = []
    for name, what in CACHE.items():
        path = cache / name
        if what and path.exists():
            word = name if name in KINDS else "cache"
            rows.append((name, what, decimal(size_of(path)), _age(path), word))
    columns = (
        Column(title="part"),
        Column(title="what", folds=True),
        Column(title="size", number=True),
        Column(title="changed", number=True, rank=1),
        Column(title="dvt clean"),
    )
    return Grid(title=f"Cache {cache}", columns=columns, rows=rows)


def _sweeps_table(storage: Path, sweeps: Sequence[SweepStatus]) -> Grid:
    rows = []
    for sweep in sweeps:
        row = (
            shown(sweep.name),
            sweep.state,
            decimal(size_of(sweep.folder / CHECKPOINTS)),
            decimal(size_of(sweep.folder / CHAMPION)),
            decimal(sweep.size),
            _age(sweep.folder),
        )
        rows.append(row)
    columns = (
        Column(title="sweep"),
        Column(title="state", rank=4),
        Column(title="checkpoints", number=True, rank=1),
        Column(title="champion", number=True, rank=3),
        Column(title="size", number=True),
        Column(title="changed", number=True, rank=2),
    )
    return Grid(title=f"Sweeps in {storage}", columns=columns, rows=rows)


def _age(path: Path) -> str:
    """Return how long ago something directly in a folder changed."""
    times = [0.0]
    with suppress(OSError):
        times += [entry.stat().st_mtime for entry in (path, *path.iterdir())]
    hours = max(0.0, time.time() - max(times)) / 3600
    if hours >= 48:
        return f"{hours / 24:.0f} days ago"
    if hours >= 1:
        return f"{hours:.0f} h ago"
    return "under 1 h ago"
