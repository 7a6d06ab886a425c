"""`dvt data`: how a data set is understood, and a page with its images, before any sweep."""

from __future__ import annotations

import shlex
import tempfile
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich import progress
from rich.console import Console

from cluster.refused import Refused, collect
from sweeps.commands import kit
from sweeps.runner import flag_values as values
from sweeps.runner.folders import cache_folder
from sweeps.runner.options import READING_FLAGS
from sweeps.terminal.json_text import json_text
from sweeps.terminal.screen import say, screen
from trainables.data.dataset import Caps, Dataset, inspect, prepare, read
from trainables.data.listing import Progress
from trainables.data.reading import ReadOptions
from trainables.data.splits import EVERY
from trainables.data.understood import lines
from trainables.problems import one_line, reason

# Every image is looked at.
ALL = Caps(train=EVERY, val=EVERY, test=EVERY)
# Pixels per side: the preset laptop's, enough to look at.
SIZE = 96


def _one_path(
    ctx: click.Context, param: click.Parameter, words: tuple[str, ...]
) -> tuple[str, ...]:
    """Check that one word, or --data, is the data set.

    Unknown flags are among the words, which `kit.Command` names.
    """
    paths = [word for word in words if not word.startswith("-")]
    named = ctx.params.get("data")
    if named:
        paths.append(named)

    # Beside an unknown flag, a second word may be its value.
    strange = len(paths) < len(words)
    if not paths or (len(paths) > 1 and not strange):
        got = f"got {shlex.join(paths)}" if paths else "none is given"
        ctx.obj.append(
            one_line(f"dvt data takes one PATH or NAME of a data set, but {got}: give one.")
        )
    for path in paths[:1]:
        try:
            values.path(path)
        except ValueError as rule:
            ctx.obj.append(f"PATH must be {rule}, but got {path!r}.")
    return (*words, named) if named else words


@kit.command("dvt data")
@click.argument("path", metavar="PATH|NAME", nargs=-1, callback=_one_path)
@click.option("--data", type=values.Checked(values.path, "PATH|NAME"), is_eager=True, hidden=True)
@kit.flags(*READING_FLAGS)
@click.option(
    "--size",
    type=values.Checked(values.whole(8, 2048), "N"),
    metavar="N",
    help=f"Pixels per side that a sweep would train at; default {SIZE}.",
)
@kit.flags("seed", "storage")
@click.option("--open", "opens", is_flag=True, help="Show the page in a browser.")
@kit.json_flag
@click.option("-v", "--verbose", is_flag=True, help="Name all classes and all that is passed over.")
def command(
    path: tuple[str, ...],
    data: str | None,
    size: int | None,
    seed: int | None,
    storage: Path | None,
    opens: bool,
    as_json: bool,
    verbose: bool,
    **how: Any,
) -> int:
    """Show how a data set is understood, and write a page with some of its images.

    Layout, classes, splits, copies, and what is passed over. Exit status: 0 it can be trained on, 2
    it cannot, or the arguments are invalid.
    """
    # `_one_path` has put the value of --data among the words.
    (source,) = path
    folder = kit.storage_of(storage)
    dataset = _prepared(source, size or SIZE, seed or 0, folder, kit.reading(how))
    from sweeps.report.data_findings import find_in_data
    from sweeps.report.data_page import write_data_page  # pandas and SciPy take a second to import

    # The page.
    advice = train_command({"path": path, "seed": seed, "storage": storage, **how})
    findings = find_in_data(dataset)
    try:
        page = write_data_page(findings, advice, folder / "data")
    except OSError as error:
        raise Refused(_unwritable(folder / "data", error)) from error

    # The answer.
    if as_json:
        answer = _as_dict(dataset) | findings.as_dict()
        answer |= {"cautions": findings.cautions, "page": str(page)}
        click.echo(json_text(answer))
    else:
        _say(dataset, findings.cautions, verbose=verbose)
        say(screen(), f"To train on it:\n  {advice}\n{page}", whole=True)
    if opens:
        webbrowser.open(page.as_uri())
    return kit.DONE


def train_command(given: Mapping[str, Any]) -> str:
    """Return the command that trains on a data set as it was read.

    Args:
        given: The flags by name, and the data set as `path`; None and False are flags left out.
    """
    words = ["dvt", "best", *given["path"]]
    for name in (*READING_FLAGS, "seed", "storage"):
        value = given.get(name)
        if value is None or value is False:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if isinstance(value, tuple):
            words.append(",".join(value))
        elif value is not True:
            words.append(str(value))
    return shlex.join(words)


def _prepared(path: str, size: int, seed: int, storage: Path, how: ReadOptions) -> Dataset:
    """Return all images of the data set, from the cache.

    The test split is open: nothing is chosen by what is seen.

    Raises:
        Refused: All that is wrong.
    """
    problems: list[str] = []
    collect(problems, lambda: _check_storage(storage))
    cache = cache_folder(storage)
    if problems:
        # Decoding would be in vain, but what else is wrong is said.
        collect(problems, lambda: inspect(path, caps=ALL, seed=seed, cache=cache, how=how))
        raise Refused(*problems)
    with _bar() as bar:
        made = collect(
            problems,
            lambda: prepare(
                path, caps=ALL, seed=seed, cache=cache, how=how, image_size=size, progress=bar
            ),
        )
    if made is None:
        raise Refused(*problems)
    return read(made.path, test=True)


def _check_storage(storage: Path) -> None:
    """Refuse a storage that cannot be written before all images are decoded."""
    parent = storage
    try:
        parent = next(path for path in (storage, *storage.parents) if path.exists())
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise ValueError(_unwritable(parent, error)) from error


def _unwritable(folder: Path, error: OSError) -> str:
    why = error.strerror or reason(error)
    return one_line(
        f"--storage must be a folder that can be written to, but {folder} cannot ({why}): "
        "give another."
    )


@contextmanager
def _bar() -> Iterator[Progress]:
    """Show a progress bar on stderr, where a person sees it."""
    console = Console(stderr=True)
    with progress.Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Decoding", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _say(data: Dataset, cautions: Sequence[str], *, verbose: bool) -> None:
    console = screen()
    cautions = [f"Caution: {line}" for line in cautions]
    for line in (*lines(data, every_class=verbose), *data.notes, *cautions):
        say(console, one_line(line))


def _as_dict(data: Dataset) -> dict[str, Any]:
    return {
        "name": data.name,
        "source": data.source,
        "layout": data.layout,
        "classes": data.classes,
        "counts": data.counts,
        "origins": data.origins,
        "passed_over": data.passed_over,
        "notes": data.notes,
    }
