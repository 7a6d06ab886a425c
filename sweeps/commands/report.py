"""`dvt report NAME`: rebuild a sweep's report.html and tables, and say what they come to; with two names, compare two."""

from __future__ import annotations

import shlex
import webbrowser
from collections.abc import Sequence
from pathlib import Path

import click

from cluster.refused import Refused
from sweeps.commands import kit
from sweeps.commands.kit import shown
from sweeps.records.folder import known_sweeps, sweep_folder
from trainables.problems import unknown_name


@kit.command("dvt report")
@click.argument("names", nargs=-1, metavar="NAME [NAME]")
@kit.flags("storage")
@click.option("--open", "opens", is_flag=True, help="Show the page in a browser.")
def command(names: tuple[str, ...], storage: Path | None, opens: bool) -> int:
    """Rebuild report.html, results.csv and suspects.csv of sweep NAME.

    With two names, compare two sweeps.
    """
    folders = _folders(kit.storage_of(storage), names)
    from sweeps.report import compare, page  # pandas and SciPy take a second to import
    from sweeps.report.findings import find
    from sweeps.report.runs import read_run
    from sweeps.report.terminal import grid, show

    console = kit.terminal()
    try:
        if len(folders) == 2:
            first, second = (find(read_run(folder)) for folder in folders)
            made = compare.write_comparison(first, second)
        else:
            report = page.write(folders[0])
            made = report.page
    except OSError as error:
        raise Refused(
            f"{folders[0]} must be writable, but {error.strerror or error}: make room, or open it."
        ) from error
    if len(folders) == 2:
        for line in compare.answer(first, second):
            console.print(line, markup=False, soft_wrap=True)
        console.print(grid(compare.arms_table(first, second)))
        for line in compare.cautions(first, second):
            console.print(line, markup=False, soft_wrap=True)
    else:
        show(console, report.findings)
        console.print(str(report.suspects), markup=False, soft_wrap=True)
        console.print(str(report.results), markup=False, soft_wrap=True)
    console.print(str(made), markup=False, soft_wrap=True)
    if opens:
        webbrowser.open(made.as_uri())
    return kit.DONE


def _folders(storage: Path, names: Sequence[str]) -> list[Path]:
    """The folders of the named sweeps.

    Raises:
        Refused: No name, more than two, or one that is no sweep.
    """
    known = known_sweeps(storage)
    listed = f"Known: {', '.join(map(shown, known))}." if known else f"{storage} holds no sweep."
    if not names:
        raise Refused(f"dvt report needs the name of a sweep. {listed}")
    if len(names) > 2:
        raise Refused(
            f"dvt report takes one sweep, or two to compare, but got {len(names)}: {shlex.join(names)}."
        )
    strange = [name for name in names if name not in known]
    if strange:
        raise Refused(
            *[
                unknown_name(name, known, f"sweep in {storage}") if known else listed
                for name in strange
            ]
        )
    if len(set(names)) < len(names):
        raise Refused(
            f"two sweeps are compared, but both are {names[0]}: name another one. {listed}"
        )
    return [sweep_folder(storage, name) for name in names]
