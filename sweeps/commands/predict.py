"""`dvt predict`: classes of images by a sweep's champion or a registered model, as a table, as JSON or for Kaggle.

Everything is looked at first, each image's header among it: what is wrong is a line each, and nothing is answered. A file that
turns out to be damaged while it is decoded, or a folder that is closed, is a line on stderr; the others are answered, and the
exit status is 1.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from trainables.problems import one_line, unknown_name

SUBMISSION = "submission.csv"


@kit.command("dvt predict")
@click.argument("words", metavar="IMAGE...", nargs=-1)
@click.option("--sweep", metavar="NAME", help="The sweep whose champion answers.")
@click.option(
    "--model",
    "uri",
    metavar="URI",
    help="Or a model that a sweep registered, such as models:/depth_vs_tricks-digits@champion.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="One JSON object per line: file, class, probabilities by class.",
)
@click.option(
    "--kaggle",
    metavar="|".join(kaggle.COMPETITIONS),
    help="Write a submission for the one folder given, the competition's test/.",
)
@click.option(
    "--out",
    metavar="FILE",
    help=f"Where to, with --kaggle; default: {SUBMISSION}. An existing file is left alone.",
)
@kit.flags("storage", "tracking_uri")
def command(**flags: Any) -> int:
    """Classify images, files or folders with all below them, with probabilities.

    What a folder holds and what is passed over in it is said on stderr. Exit status: 0 all images
    are classified, 1 some files are damaged, some folders cannot be read, or the output could not
    be written whole (a full disk, a closed pipe), 2 invalid arguments.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    storage = kit.storage_of(given.get("storage"))
    problems = list(_contradictions(given))
    load = collect(problems, lambda: _model(given, storage))
    found = images.find(given["words"])
    paths, amiss = _paths(given, found)
    out = Path(given.get("out", SUBMISSION))
    if "kaggle" in given:
        amiss += _unwritable(out)
    bar = _bar(given)
    problems += [*amiss, *images.check(paths, bar)]
    if problems or load is None:
        raise Refused(*problems, *found.closed)
    chosen = load()
    if "kaggle" in given:
        kaggle.check_classes(given["kaggle"], chosen.classes)
    if chosen.stored_side is None:
        click.echo(
            f"note: {chosen.name} does not say at which size its training images were stored: each image is taken at its own, "
            "and where they are small, probabilities can be some points off.",
            err=True,
        )
    damaged: list[str] = []
    if (
        "kaggle" not in given
    ):  # which takes the images directly in its folder, and counts them itself
        damaged += found.closed
        for line in found.notes:
            click.echo(f"note: {line}", err=True)
    answered = _whole(paths, chosen, bar, damaged)
    if "kaggle" in given:
        _submit(given["kaggle"], out, answered, chosen, damaged)
    elif given["as_json"]:
        for path, probabilities in answered:
            click.echo(output.json_line(path, probabilities, chosen.classes))
    else:
        rows = list(answered)  # some hundred bytes a file
        if rows:
            kit.terminal().print(output.table(rows, chosen.classes))
    for line in damaged:
        click.echo(f"error: {one_line(line)}", err=True)
    return kit.FAILED if damaged else kit.DONE


def _contradictions(given: Mapping[str, Any]) -> Iterator[str]:
    if ("sweep" in given) == ("uri" in given):
        yield "Either --sweep NAME or --model URI must say what answers: give one of the two."
    if not given["words"]:
        yield "IMAGE must be files or folders of images, but none is given: add them."
    if "kaggle" in given and given["kaggle"] not in kaggle.COMPETITIONS:
        yield unknown_name(given["kaggle"], kaggle.COMPETITIONS, "competition")
    if "kaggle" in given and given["as_json"]:
        yield "--json is of predictions, and --kaggle writes a submission: leave one of the two out."
    if "out" in given and "kaggle" not in given:
        yield "--out is of --kaggle, which is not given: leave it out, or send the output there with '>'."


def _model(given: Mapping[str, Any], storage: Path) -> Callable[[], Model] | None:
    """What loads the model that is asked for, once all else was found well."""
    if ("sweep" in given) == ("uri" in given):
        return None
    if "sweep" in given:
        return partial(
            model.load_champion, model.champion_file(storage, given["sweep"]), given["sweep"]
        )
    uri = given["uri"]
    return partial(
        model.load_registered,
        uri,
        model.store_uri(uri, given.get("tracking_uri"), storage),
        storage,
    )


def _paths(given: Mapping[str, Any], found: images.Found) -> tuple[Sequence[Path], list[str]]:
    """The files that are to be answered, and what is wrong with the words that name them."""
    words, problems = given["words"], list(found.problems)
    if problems or not words or given.get("kaggle") not in kaggle.COMPETITIONS:
        return found.paths, problems
    if len(words) > 1 or not Path(words[0]).is_dir():
        return [], [
            one_line(
                f"--kaggle takes one folder, the competition's test/, but got {shlex.join(words)}."
            )
        ]
    return kaggle.images_of(given["kaggle"], Path(words[0]))


def _unwritable(out: Path) -> Iterator[str]:
    if out.exists():
        yield one_line(f"--out must be a new file, but {out} is there: give another, or remove it.")
    elif not os.access(out.parent, os.W_OK):
        yield one_line(
            f"--out must be in a folder that can be written to, but {out.parent} cannot: give another."
        )


def _bar(given: Mapping[str, Any]) -> images.Track:
    """A progress bar on stderr, where a person sees it and no answers run through it."""
    console = Console(stderr=True)
    shown = console.is_terminal and not (given["as_json"] and sys.stdout.isatty())

    def bar(chunks: Sequence[Sequence[Path]], what: str) -> Iterator[Sequence[Path]]:
        yield from track(
            chunks, what, console=console, transient=True, disable=not shown or len(chunks) < 2
        )

    return bar


def _whole(
    paths: Sequence[Path], chosen: Model, bar: images.Track, damaged: list[str]
) -> Iterator[tuple[Path, Probabilities]]:
    """The answers; what is wrong with the other files is added to `damaged`."""
    for path, found in images.answers(paths, chosen, bar):
        if isinstance(found, str):
            damaged.append(found)
        else:
            yield path, found


def _submit(
    name: str,
    out: Path,
    answered: Iterator[tuple[Path, Probabilities]],
    chosen: Model,
    damaged: list[str],
) -> None:
    try:
        count = kaggle.write(name, out, answered, chosen.classes)
    except OSError as error:
        damaged.append(
            f"{out} must be written, but cannot be ({error.strerror}): make room, or give another --out."
        )
        return
    if damaged:
        damaged.append(
            f"{out} lacks the {len(damaged)} images above: Kaggle refuses it until they are mended."
        )
    click.echo(one_line(f"{out}: {count} images, for Kaggle's {name}"))
