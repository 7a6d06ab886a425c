"""`dvt predict`: classify images with a sweep's champion or a registered model.

It answers with a table, with JSON, or with a submission for Kaggle. Everything is looked at first,
each image's header among it: what is wrong is a line each, and nothing is answered. A file that
turns out to be damaged while it is decoded, or a folder that is closed, is a line on stderr; the
others are answered, and the exit status is 1.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import track

from cluster.refused import Refused, collect
from sweeps.commands import kit
from sweeps.predict import images, kaggle, model, output
from sweeps.predict.model import Model, Probabilities
from sweeps.runner import flag_values as values
from sweeps.terminal.screen import say, say_wrong, screen
from sweeps.terminal.waiting import waiting
from trainables.problems import one_line, unknown_name

SUBMISSION = "submission.csv"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """The command line as given; None is a flag that was left out.

    Attributes:
        words: Files and folders of images.
        sweep: Names the sweep whose champion answers.
        uri: Of a registered model, which answers instead.
        as_json: Print JSON instead of a table.
        competition: Kaggle's, one of `kaggle.COMPETITIONS` or an unknown name.
        out: The submission's file.
        storage: The sweeps' folder.
        tracking_uri: MLflow's store.
    """

    words: tuple[str, ...]
    sweep: str | None
    uri: str | None
    as_json: bool
    competition: str | None
    out: str | None
    storage: Path | None
    tracking_uri: str | None


@kit.command("dvt predict")
@click.argument("words", metavar="IMAGE...", nargs=-1, type=values.Checked(str, "IMAGE", "file"))
@click.option(
    "--sweep",
    metavar="NAME",
    type=values.SWEEP,
    help="The sweep whose champion answers, or any unique part of its name; default: the newest "
    "finished one.",
)
@click.option(
    "--model",
    "uri",
    metavar="URI",
    help="A registered model instead, such as models:/depth_vs_tricks-digits-demo@champion.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a JSON object per image: file, class, probabilities by class.",
)
@click.option(
    "--kaggle",
    "competition",
    metavar="|".join(kaggle.COMPETITIONS),
    help="Write a submission for the one folder given, the competition's test/.",
)
@click.option(
    "--out",
    metavar="FILE",
    help=f"File of the --kaggle submission; default: {SUBMISSION}. No file is overwritten.",
)
@kit.flags("storage", "tracking_uri")
def command(**flags: Any) -> int:
    """Classify images: files, or folders with everything below them.

    What folders hold, and what is skipped in them, goes to stderr. Exit status: 0 all images are
    classified, 1 some files or folders cannot be read, or the output could not be written whole (a
    full disk, a closed pipe), 2 invalid arguments.
    """
    asked = Asked(**flags)
    out = Path(SUBMISSION if asked.out is None else asked.out)

    # All that is wrong is said at once: flags, model, words, output and each image's header.
    problems = list(_contradictions(asked))
    load = collect(problems, lambda: _loader(asked))
    found = images.find(asked.words)
    paths, amiss = _paths(asked, found)
    problems += amiss
    if asked.competition is not None:
        problems += _unwritable(out)
    bar = _bar(quiet=asked.as_json and sys.stdout.isatty())
    problems += images.check(paths, bar)
    if problems or load is None:
        raise Refused(*problems, *found.closed)

    # The model takes seconds.
    with waiting("Loading the model"):
        chosen = load()
    if asked.competition is not None:
        kaggle.check_classes(asked.competition, chosen.classes)
    if chosen.stored_side is None:
        _note(
            f"{chosen.name} does not say at which size its training images were stored, so each "
            "image is used at its own size. If the training images were small, probabilities can "
            "be off by some points."
        )

    # Answers, as they come.
    damaged: list[str] = []
    answered = _whole(paths, chosen, bar, damaged)
    if asked.competition is None:
        # A submission takes the images directly in its folder, and counts them itself.
        damaged += found.closed
        for line in found.notes:
            _note(line)
        _show(answered, chosen, as_json=asked.as_json)
    else:
        _submit(asked.competition, out, answered, chosen, damaged)
    say_wrong(map(one_line, damaged))
    return kit.FAILED if damaged else kit.DONE


def _note(line: str) -> None:
    """Show what is no answer, where no answers go."""
    say(screen(stderr=True), f"note: {line}")


def _contradictions(asked: Asked) -> Iterator[str]:
    if asked.sweep is not None and asked.uri is not None:
        yield "choose a model with --sweep NAME or --model URI, not both."
    if not asked.words:
        yield "IMAGE must be files or folders of images, but none is given: add them."
    if asked.competition is not None and asked.competition not in kaggle.COMPETITIONS:
        yield unknown_name(asked.competition, kaggle.COMPETITIONS, "competition")
    if asked.competition is not None and asked.as_json:
        yield (
            "--json prints predictions, and --kaggle writes a submission: leave one of the two out."
        )
    if asked.out is not None and asked.competition is None:
        yield (
            "--out belongs to --kaggle, which is not given: leave it out, "
            "or send the output there with '>'."
        )


def _loader(asked: Asked) -> Callable[[], Model] | None:
    """Return what loads the model that is asked for, once all else was found well."""
    storage = kit.storage_of(asked.storage)
    if asked.uri is None:
        name = kit.sweep_of(storage, asked.sweep, default=model.newest_champion)
        file = model.champion_file(storage, name)
        return partial(model.load_champion, file, name)
    if asked.sweep is None:
        store = model.store_uri(asked.uri, asked.tracking_uri, storage)
        return partial(model.load_registered, asked.uri, store, storage, _note)
    return None


def _paths(asked: Asked, found: images.Found) -> tuple[Sequence[Path], list[str]]:
    """Return the files that are to be answered, and what is wrong with the words for them."""
    name = asked.competition
    words = asked.words
    # Other problems are said first: a word that is no folder, a competition that is unknown.
    if found.problems or not words or name is None or name not in kaggle.COMPETITIONS:
        return found.paths, list(found.problems)
    if len(words) > 1 or not Path(words[0]).is_dir():
        line = f"--kaggle takes one folder, the competition's test/, but got {shlex.join(words)}."
        return [], [one_line(line)]
    return kaggle.images_of(name, Path(words[0]))


def _unwritable(out: Path) -> Iterator[str]:
    if out.exists():
        yield one_line(f"--out must be a new file, but {out} is there: give another, or remove it.")
    elif not os.access(out.parent, os.W_OK):
        yield one_line(
            f"--out must be in a folder that can be written to, but {out.parent} cannot: "
            "give another."
        )


def _bar(*, quiet: bool) -> images.Track:
    """Make a progress bar on stderr, where a person sees it and no answers run through it."""
    console = Console(stderr=True)
    hidden = quiet or not console.is_terminal

    def bar(chunks: Sequence[Sequence[Path]], what: str) -> Iterator[Sequence[Path]]:
        disable = hidden or len(chunks) < 2
        yield from track(chunks, what, console=console, transient=True, disable=disable)

    return bar


def _whole(
    paths: Sequence[Path], chosen: Model, bar: images.Track, damaged: list[str]
) -> Iterator[tuple[Path, Probabilities]]:
    """Yield the answers; what is wrong with the other files is added to `damaged`."""
    for path, answer in images.answers(paths, chosen, bar):
        if isinstance(answer, str):
            damaged.append(answer)
        else:
            yield path, answer


def _show(answered: Iterator[tuple[Path, Probabilities]], chosen: Model, *, as_json: bool) -> None:
    if as_json:
        for path, probabilities in answered:
            click.echo(output.json_line(path, probabilities, chosen.classes))
        return
    # A table is as wide as its widest row: some hundred bytes per file.
    rows = list(answered)
    if rows:
        screen().print(output.table(rows, chosen.classes))


def _submit(
    name: str,
    out: Path,
    answered: Iterator[tuple[Path, Probabilities]],
    chosen: Model,
    damaged: list[str],
) -> None:
    # A submission is written whole or not at all.
    try:
        count = kaggle.write(name, out, answered, chosen.classes)
    except OSError as error:
        damaged.append(
            f"{out} must be written, but cannot be ({error.strerror}): make room, "
            "or give another --out."
        )
        return
    if damaged:
        damaged.append(
            f"{out} lacks the {len(damaged)} images above: "
            "Kaggle refuses it until they are repaired."
        )
    click.echo(one_line(f"{out}: {count} images, for Kaggle's {name}"))
