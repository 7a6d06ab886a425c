"""`dvt report [NAME]`: rebuild a sweep's report.html and tables, and say what they come to.

With two names, it compares the two sweeps; with --watch it rebuilds the page while one runs.
"""

from __future__ import annotations

import shlex
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import sleep

import click

from cluster.refused import Refused, collect
from sweeps.commands import kit
from sweeps.records.folder import JOURNAL, sweep_folder
from sweeps.records.status import status_of
from sweeps.runner import flag_values as values
from sweeps.terminal.json_text import json_text
from sweeps.terminal.screen import say, screen
from sweeps.terminal.waiting import waiting

WATCH_S = 10
"""Seconds between two looks at a sweep that is watched."""


@kit.command("dvt report")
@click.argument("names", nargs=-1, metavar="[NAME [NAME]]", type=values.SWEEP)
@kit.flags("storage")
@click.option("--open", "opens", is_flag=True, help="Show the page in a browser.")
@click.option(
    "--watch",
    "watches",
    is_flag=True,
    help=f"Rebuild the page every {WATCH_S} s until the sweep is over.",
)
@kit.json_flag
def command(
    names: tuple[str, ...], storage: Path | None, opens: bool, watches: bool, as_json: bool
) -> int:
    """Rebuild report.html, results.csv, comparisons.csv and suspects.csv of a sweep.

    NAME can be any unique part of its name; default: the newest sweep. With two names, compare two
    sweeps.
    """
    place = kit.storage_of(storage)
    if watches and as_json:
        raise Refused("--json prints once, and --watch rebuilds: leave one of the two out.")
    if watches and len(names) > 1:
        raise Refused(f"--watch takes one sweep, but got {len(names)}: {shlex.join(names)}.")
    folders = _folders(place, names)
    if watches:
        opens = _watch(folders[0], opens)
    if len(folders) == 2:
        page = _compare(folders[0], folders[1], as_json=as_json)
    else:
        page = _rebuild(folders[0], as_json=as_json)
    if opens:
        webbrowser.open(page.as_uri())
    return kit.DONE


def _watch(folder: Path, opens: bool) -> bool:
    """Rebuild the page of a sweep while it runs, and return whether it is still to be opened.

    A browser loads this page again by itself, until it is built for the last time.
    """
    with waiting("Building the report"):
        from sweeps.report import page  # pandas and SciPy take a second to import

    told = None
    try:
        while status_of(folder).state == "running":
            size = _journal_size(folder)
            if size != told:
                with waiting("Building the report"), _writing(folder):
                    built = page.write(folder, reload_s=WATCH_S)
                if told is None:
                    say(screen(), f"Rebuilt while {folder.name} runs (Ctrl-C to stop):")
                    say(screen(), str(built.page), whole=True)
                if told is None and opens:
                    webbrowser.open(built.page.as_uri())
                    opens = False
                told = size
            sleep(WATCH_S)
    except KeyboardInterrupt:
        # Nobody rebuilds it from now on, so that it need not be loaded again.
        with _writing(folder):
            page.write(folder)
        raise
    return opens


def _journal_size(folder: Path) -> int:
    """Return how many bytes a sweep's journal has; 0 before it is there."""
    try:
        return (folder / JOURNAL).stat().st_size
    except FileNotFoundError:
        return 0


def _rebuild(folder: Path, *, as_json: bool) -> Path:
    """Write a sweep's files, print what they come to, and return the page."""
    with waiting("Building the report"), _writing(folder):
        from sweeps.report import page  # pandas and SciPy take a second to import
        from sweeps.report.plain import plain
        from sweeps.report.terminal import show

        report = page.write(folder)
    if as_json:
        files = {"page": report.page, "results": report.results}
        files |= {"comparisons": report.comparisons, "suspects": report.suspects}
        click.echo(json_text({**plain(report.findings), "files": files}))
        return report.page
    console = screen()
    show(console, report.findings)
    for path in (report.suspects, report.comparisons, report.results, report.page):
        say(console, str(path), whole=True)
    return report.page


def _compare(first_folder: Path, second_folder: Path, *, as_json: bool) -> Path:
    """Write the page that compares two sweeps, print what it comes to, and return it."""
    with waiting("Comparing the sweeps"), _writing(first_folder):
        from sweeps.report import compare  # pandas and SciPy take a second to import
        from sweeps.report.findings import find
        from sweeps.report.plain import plain
        from sweeps.report.runs import read_run
        from sweeps.report.terminal import grid

        first = find(read_run(first_folder))
        second = find(read_run(second_folder))
        page = compare.write_comparison(first, second)
    if as_json:
        said = {"headline": compare.headline(first, second)}
        said["cautions"] = compare.cautions(first, second)
        both = {"first": plain(first), "second": plain(second)}
        click.echo(json_text({**said, **both, "files": {"page": page}}))
        return page
    console = screen()
    for line in compare.headline(first, second):
        say(console, line)
    console.print(
        grid(compare.arms_table(first, second), names=("first", "second", "second − first"))
    )
    for line in compare.cautions(first, second):
        say(console, line)
    say(console, str(page), whole=True)
    return page


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Refuse a folder that turns out not to be writable."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error
        raise Refused(f"{folder} must be writable, but {why}: make room, or open it.") from error


def _folders(storage: Path, words: Sequence[str]) -> list[Path]:
    """Return the folders of the sweeps that are meant.

    Raises:
        Refused: More than two are named, one that is no sweep, or one twice.
    """
    if len(words) > 2:
        got = f"{len(words)}: {shlex.join(words)}"
        raise Refused(f"dvt report takes one sweep, or two to compare, but got {got}.")
    if not words:
        return [sweep_folder(storage, kit.sweep_of(storage, None))]

    # All that are no sweeps are named at once.
    problems: list[str] = []
    names = []
    for word in words:
        name = collect(problems, partial(kit.sweep_of, storage, word))
        if name:
            names.append(name)
    if problems:
        raise Refused(*problems)
    if len(set(names)) < len(names):
        raise Refused(f"two sweeps are compared, but both are {names[0]}: name another one.")
    return [sweep_folder(storage, name) for name in names]
