"""The command line of every study: where and how much, never a hyperparameter.

It is checked without any heavy import.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cluster.refused import Refused
from sweeps.records.champion import Bounds
from sweeps.records.score import SCORES
from sweeps.runner import flag_values as values
from sweeps.runner.folders import check_working_folder
from sweeps.runner.misuse import misused, unexpected
from sweeps.runner.study import PRESETS
from sweeps.runner.study_help import StudyCommand
from trainables.data.reading import LAYOUTS, ReadOptions

MOST_TRIALS = 10_000
MOST_SEEDS = 1_000
READING_FLAGS = ("layout", "columns", "group", "keep_copies")
# Options that a sweep keeps from its first command on.
KEPT = (
    "arms",
    "data",
    *READING_FLAGS,
    "weights",
    "preset",
    "score",
    "draws",
    "exact",
    "max_ms",
    "max_mb",
    "keep",
    "seed",
    "tracking_uri",
)
# Of those, what a resume may change: MLflow's address, what the champion may cost, what is kept.
CHANGEABLE = ("tracking_uri", "max_ms", "max_mb", "keep")
# The weights that stay once a sweep is whole.
KEEPS = ("champion", "best", "all")
# Flags that belong to a new sweep.
NEW_ONLY = ("name", *(name for name in KEPT if name not in CHANGEABLE), "dry_run")


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The flags of a command; None is a flag that was left out."""

    gpus: int | None = None
    gpus_per_trial: float | None = None
    trials: int | None = None
    arms: str | None = None
    data: str | None = None
    layout: str = "auto"
    columns: tuple[str, str] | None = None
    group: str | None = None
    keep_copies: bool = False
    weights: str | None = None
    preset: str | None = None
    score: str | None = None
    seeds: int | None = None
    draws: str = "new"
    exact: bool = False
    max_ms: float | None = None
    max_mb: float | None = None
    keep: str | None = None
    name: str | None = None
    storage: Path = Path("mlruns")
    tracking_uri: str | None = None
    address: str = "local"
    seed: int = 0
    # Seconds.
    time_limit: float | None = None
    stuck_after: float = 1800.0
    resume: str | None = None
    accept_changes: bool = False
    ablate: bool = False
    notify: str | None = None
    dry_run: bool = False
    json: bool = False
    verbose: bool = False

    @property
    def bounds(self) -> Bounds:
        """What the champion may cost."""
        return Bounds(ms=self.max_ms, mb=self.max_mb)

    @property
    def keeps(self) -> str:
        """Whose weights stay once the sweep is whole: one of `KEEPS`."""
        return self.keep or KEEPS[0]

    @property
    def how(self) -> ReadOptions:
        """The options for reading the data."""
        return ReadOptions(
            layout=self.layout, columns=self.columns, group=self.group, keep_copies=self.keep_copies
        )


def _either(names: Sequence[str]) -> str:
    """Return `a, b or c`."""
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _value(
    parse: Callable[[str], Any], metavar: str, text: str, completes: Any = None
) -> dict[str, Any]:
    """Return click's arguments for a flag with a value."""
    kind = values.Checked(parse, metavar, completes)
    return {"type": kind, "metavar": metavar, "help": text}


def _choice(names: Sequence[str], text: str, metavar: str = "") -> dict[str, Any]:
    """Return click's arguments for a flag whose value is one of some names."""
    return _value(values.one_of(names), metavar or "|".join(names), text, lambda _: names)


def _switch(text: str) -> dict[str, Any]:
    """Return click's arguments for a flag without a value."""
    return {"is_flag": True, "help": text}


# The flags of every study; `dvt` commands take some of them too.
FLAGS: dict[str, dict[str, Any]] = {
    # What it may use.
    "--gpus": _value(
        values.whole(0, 100_000), "N", "GPUs to use; default: all; 0 trains on the CPU."
    ),
    "--gpus-per-trial": _value(
        values.share, "F", "Share of a GPU per trial; default 1; 0.25 runs four trials on each GPU."
    ),
    "--trials": _value(values.whole(1, MOST_TRIALS), "N", "Trials per arm; default: the preset's."),
    # What is compared, on which data, from which weights.
    "--arms": _value(
        values.text,
        "PATTERN",
        "Only matching arms, such as 'resnet18/*'; separate several with commas.",
    ),
    "--data": _value(
        values.path,
        "NAME|PATH",
        "digits, cifar10, a folder of class folders, an .npz file, or a Kaggle folder.",
        "file",
    ),
    "--layout": _choice(
        LAYOUTS,
        f"How to read the folders of --data: {_either(LAYOUTS)}; default: auto.",
        "LAYOUT",
    ),
    "--columns": _value(
        values.columns, "IMAGE,LABEL", "Columns of the table in --data; default: found by name."
    ),
    "--group": _value(
        values.group,
        "REGEX|COLUMN",
        "Images to keep in one split: those of one patient or video.",
    ),
    "--weights": _value(
        values.path,
        "NAME|PATH",
        "imagenet, none, digits-source (the demo's), a file, or a folder of <backbone>.pt files.",
        "file",
    ),
    "--preset": _choice(
        tuple(PRESETS),
        "demo: minutes on a CPU, no download; laptop: 96 px; full: 224 px (default).",
    ),
    "--score": _choice(
        SCORES,
        f"What decides which model is best: {_either(SCORES)}; default: the study's, usually auto.",
        "METRIC",
    ),
    # How the finalists are compared, and which may become the champion.
    "--seeds": _value(
        values.whole(1, MOST_SEEDS),
        "N",
        "Most seeds for the finalists; default: the preset's. With --resume, a higher number adds "
        "seeds.",
    ),
    "--draws": _choice(
        ("new", "fixed"),
        "Train and validation images of the finalists: new ones per seed (default), or those of "
        "the search.",
    ),
    "--max-ms": _value(
        values.positive,
        "MS",
        "Most milliseconds per image that the champion may take, on the machine that trained it.",
    ),
    "--max-mb": _value(
        values.positive, "MB", "Most megabytes that the champion's weights may have."
    ),
    # What is kept, and where.
    "--keep": _choice(
        KEEPS,
        "Weights to keep: the champion's (default), the best of each arm and finalist, or of all.",
    ),
    "--name": _value(values.name, "NAME", "Name of the sweep; default: study, time and a suffix."),
    "--storage": _value(values.folder, "DIR", "Where everything is kept; default: mlruns.", "dir"),
    "--tracking-uri": _value(
        values.text, "URI", "MLflow's store; default: mlflow.db in the storage."
    ),
    "--address": _value(
        values.text,
        "ADDRESS",
        "Ray to run on: auto, HOST:PORT, or local (default), one for this sweep alone.",
    ),
    "--seed": _value(
        values.whole(0, 2**31 - 1),
        "N",
        "Seed for the split, initial heads, batch order, augmentation and sampler; default 0.",
    ),
    # How long it runs.
    "--resume": _value(
        values.name,
        "NAME",
        "Continue an interrupted sweep; any unique part of its name will do. A higher --trials or "
        "--seeds extends it.",
        values.sweeps,
    ),
    "--stuck-after": _value(
        values.duration, "TIME", "Restart a trial after this long without a report; default 30m."
    ),
    "--time-limit": _value(
        values.duration,
        "TIME",
        "Stop starting trials after this long, such as 2h; finish with what is there.",
    ),
    # What it does besides.
    # It may hold a token, which need not be in a command line.
    "--notify": {
        **_value(
            values.text,
            "COMMAND|URL",
            "At the end, run COMMAND with the outcome as its last argument, or send it to the URL "
            "of a service that apprise knows, such as ntfys://TOPIC; default: DVT_NOTIFY.",
        ),
        "envvar": "DVT_NOTIFY",
    },
    "--keep-copies": _switch("Keep copies of validation and test images in the training images."),
    "--accept-changes": _switch(
        "Continue (--resume) although the study, data or code have changed."
    ),
    "--exact": _switch(
        "The full plan: every trial to its end, and every arm over all seeds, whatever is decided."
    ),
    "--ablate": _switch(
        "At the end, train the champion without each of its tricks, to see what each one is worth."
    ),
    "--dry-run": _switch("Print what would run and what it would cost; write nothing."),
    "--json": _switch("With --dry-run: print JSON instead of lines; docs/json.md has its keys."),
}

VERBOSE = _switch("Add tracebacks and the libraries' own logs.")
CONTEXT = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "help_option_names": ["-h", "--help"],
}


def command(name: str, help_text: str) -> click.Command:
    """Return the click command of a study; parse with `parse`."""
    params: list[click.Parameter] = [click.Option([flag], **FLAGS[flag]) for flag in FLAGS]
    params.append(click.Option(["-v", "--verbose"], **VERBOSE))
    return StudyCommand(name, params=params, help=help_text, context_settings=CONTEXT)


def parse(study: click.Command, arguments: Sequence[str]) -> Options:
    """Turn arguments into options.

    Raises:
        Refused: Every flag that is unknown or has a bad value; a working folder in which no sweep
            can run.
        click.exceptions.Exit: `--help` was asked for and printed.
    """
    check_working_folder()
    arguments = list(arguments)
    wrong: list[str] = []
    while True:
        problems: list[str] = []
        try:
            with study.make_context(study.name, list(arguments), obj=problems) as context:
                problems += unexpected(context, context.args)
                given, named = _given(context)
                problems += _contradictions(given, named)
            break
        # Click stops at a flag that is misused; the others are looked at without it.
        except click.exceptions.BadOptionUsage as error:
            problem, arguments = _without(error.option_name, arguments)
            wrong.append(problem)
    problems = wrong + problems
    # Only of flags without other faults.
    if not problems:
        problems = _unread(named)
    if problems:
        raise Refused(*problems)
    return Options(**given)


def _given(context: click.Context) -> tuple[dict[str, Any], set[str]]:
    """Return the flags that have good values, and the names of those on the command line."""
    given = {}
    named = set()
    for name, value in context.params.items():
        if value is not None:
            given[name] = value
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            named.add(name)
    return given, named


def _unread(named: Collection[str]) -> list[str]:
    """Return a line where flags say how to read data, and no data are given."""
    reading = [_flag(name) for name in READING_FLAGS if name in named]
    if not reading or "data" in named or "resume" in named:
        return []
    verb = "say" if len(reading) > 1 else "says"
    return [
        f"{' and '.join(reading)} {verb} how to read --data, which is not given: "
        "add --data PATH, or leave it out."
    ]


def _flag(name: str) -> str:
    """Return an option's name as a flag."""
    return f"--{name.replace('_', '-')}"


def _without(flag: str, arguments: list[str]) -> tuple[str, list[str]]:
    """Return a line on a flag that lacks its value, or has one in vain, and the other arguments."""
    takes_value = "is_flag" not in FLAGS.get(flag, VERBOSE)
    # Only the last argument can lack what follows.
    rest = arguments[:-1]
    if not takes_value:
        rest = [argument for argument in arguments if not argument.startswith(f"{flag}=")]
    return misused(flag, takes_value=takes_value), rest


def _contradictions(given: Mapping[str, Any], named: Collection[str]) -> Sequence[str]:
    """Return a line for each pair of flags that exclude each other.

    Args:
        given: Flags with good values.
        named: Names of all flags on the command line.
    """
    problems = []
    if given.get("preset") == "demo" and "data" in named and "weights" not in named:
        problems.append(
            "--data with --preset demo needs --weights, since the demo's own weights know digits "
            "only: pass imagenet, none, digits-source, a file or a folder."
        )
    if given.get("json") and not given.get("dry_run"):
        problems.append("--json belongs to --dry-run, which is not given: leave it out.")
    if given.get("gpus") == 0 and "gpus_per_trial" in named:
        problems.append("--gpus-per-trial needs a GPU, but --gpus is 0: leave one of the two out.")
    if "resume" in named:
        for name in NEW_ONLY:
            if name in named:
                problems.append(
                    f"{_flag(name)} belongs to a new sweep, and --resume continues one: "
                    "leave one of the two out."
                )
    elif given.get("accept_changes"):
        problems.append("--accept-changes belongs to --resume, which is not given: leave it out.")
    return problems
