"""The command line of every study: where and how much, never a hyperparameter. Checked without any heavy import."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from sweeps.runner.mlflow_store import without_password
from sweeps.runner.study import PRESETS
from trainables.recipe import unknown_name

MOST_TRIALS = 10_000
SWEEP_FLAGS = ("name", "arms", "data", "weights", "preset", "seed", "dry_run")
"""What a sweep keeps from its first command on."""

T = TypeVar("T")


class Refused(ValueError):  # noqa: N818  (it is what the command line says: exit status 2)
    """The command is refused before any work; one line for each thing that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def collect(problems: list[str], check: Callable[[], T]) -> T | None:
    """Run a check; what it raises for the user becomes lines."""
    try:
        return check()
    except Refused as error:
        problems += error.problems
    except (ValueError, OSError, RuntimeError) as error:  # the last two: paths too long, closed to us, of an unknown user
        problems += str(error).splitlines()
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The flags as given; None is a flag that was left out."""

    gpus: int | None = None
    gpus_per_trial: float | None = None
    trials: int | None = None
    arms: str | None = None
    data: str | None = None
    weights: str | None = None
    preset: str | None = None
    name: str | None = None
    storage: Path = Path("mlruns")
    tracking_uri: str | None = None
    address: str = "local"
    seed: int = 0
    time_limit: float | None = None  # seconds
    stuck_after: float = 1800.0  # seconds
    resume: str | None = None
    accept_changes: bool = False
    ablate: bool = False
    dry_run: bool = False
    verbose: bool = False


def _whole(low: int, high: int | None = None) -> Callable[[str], int]:
    def parse(value: str) -> int:
        rule = f"a whole number from {low} to {high}" if high else f"a whole number, {low} or more"
        if not re.fullmatch(r"[+-]?\d{1,18}", value, re.ASCII):
            raise ValueError(rule)
        if int(value) < low or (high is not None and int(value) > high):
            raise ValueError(rule)
        return int(value)

    return parse


def _share(value: str) -> float:
    share = float(value) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", value, re.ASCII | re.IGNORECASE) else math.nan
    if not 0 < share <= 1:
        raise ValueError("over 0 and at most 1, since a trial trains on one GPU or a share of one")
    if share < 0.01:
        raise ValueError("at least 0.01")
    return share


def _duration(value: str) -> float:
    rule = "a time such as 90s, 45m, 2h or 1h30m"
    match = re.fullmatch(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", value, re.ASCII)
    seconds = sum(int(part or 0) * unit for part, unit in zip(match.groups(), (3600, 60, 1), strict=True)) if match else 0
    if seconds == 0:
        raise ValueError(rule)
    return float(seconds)


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", value):
        raise ValueError("at most 80 letters, digits, '.', '_' and '-', beginning with a letter or a digit")
    return value


def _preset(value: str) -> str:
    if value not in PRESETS:
        raise ValueError(f"one of {', '.join(PRESETS)}")
    return value


def _text(value: str) -> str:
    if value.startswith("-"):
        raise ValueError("followed by its value, which does not begin with '-' (a path may begin with './-')")
    if any("\ud800" <= character <= "\udfff" for character in value):  # bytes that are no UTF-8
        raise ValueError("text in UTF-8")
    if not value.strip() or value.splitlines() != [value] or any(ord(character) < 32 for character in value):
        raise ValueError("a value without line breaks, not an empty one")
    return value


def _path(value: str) -> str:
    try:
        Path(_text(value)).expanduser()
    except RuntimeError as error:
        raise ValueError("a path of a user who has a home, where it begins with '~'") from error
    return value


def _folder(value: str) -> Path:
    return Path(_path(value)).expanduser().absolute()


class _Checked(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic from click 8.4
    """Collects what is wrong instead of stopping at the first problem."""

    def __init__(self, parse: Callable[[str], Any], metavar: str) -> None:
        self.name = metavar
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as rule:
            assert ctx is not None
            assert param is not None
            ctx.obj.append(f"{param.opts[0]} must be {rule}, but got {without_password(value)!r}.")
            return None


_FLAGS: dict[str, tuple[Callable[[str], Any], str, str]] = {
    "--gpus": (_whole(0, 100_000), "N", "GPUs that this sweep may use; default: all there are; 0 trains on the CPU."),
    "--gpus-per-trial": (_share, "F", "Share of a GPU that a trial gets; default 1; 0.25 packs four trials on each."),
    "--trials": (_whole(1, MOST_TRIALS), "N", "Trials per arm; default: the preset's."),
    "--arms": (_text, "PATTERN", "Only the arms that match, such as 'resnet18/*'; several with commas."),
    "--data": (_path, "NAME|PATH", "digits, cifar10, an .npz, a folder of class folders, or a Kaggle folder."),
    "--weights": (_path, "NAME|PATH", "imagenet, none, digits-source (the demo's), a file, a folder of <backbone>.pt."),
    "--preset": (_preset, "|".join(PRESETS), "demo: minutes on a CPU, no download; laptop: 96 px; full: 224 px (default)."),
    "--name": (_name, "NAME", "Name of the sweep; default: study, time and a suffix."),
    "--storage": (_folder, "DIR", "Where everything is kept; default: mlruns."),
    "--tracking-uri": (_text, "URI", "MLflow's store; default: mlflow.db in the storage."),
    "--address": (_text, "auto|local|HOST:PORT", "Ray to run on; default: local, one for this sweep alone."),
    "--seed": (_whole(0, 2**31 - 1), "N", "Of splits, heads, orders, views and sampler; default 0."),
    "--resume": (_name, "NAME", "Go on with a sweep that was interrupted; a higher --trials extends it."),
    "--stuck-after": (_duration, "TIME", "Restart a trial that has not reported for so long; default 30m."),
    "--time-limit": (_duration, "TIME", "Start no trial after so long, such as 2h; finish with what is there."),
}


def command(name: str, help_text: str) -> click.Command:
    """The click command of a study; parse with `parse`."""
    params: list[click.Parameter] = [
        click.Option([flag], type=_Checked(parse, metavar), metavar=metavar, help=text)
        for flag, (parse, metavar, text) in _FLAGS.items()
    ]
    accept = "With --resume: go on although study, data or code have changed."
    params.append(click.Option(["--accept-changes"], is_flag=True, help=accept))
    ablate = "In the end, train the champion without each of its tricks: what each one is worth."
    params.append(click.Option(["--ablate"], is_flag=True, help=ablate))
    params.append(click.Option(["--dry-run"], is_flag=True, help="Print what would run and its cost; leave no trace."))
    params.append(click.Option(["-v", "--verbose"], is_flag=True, help="Add tracebacks and the libraries' own logs."))
    context = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": ["-h", "--help"]}
    return click.Command(name, params=params, help=help_text, context_settings=context)


def parse(study: click.Command, arguments: Sequence[str]) -> Options:
    """Turn arguments into options.

    Raises:
        Refused: Every flag that is unknown or has a bad value; a working folder in which no sweep can run.
        click.exceptions.Exit: `--help` was asked for and printed.
    """
    check_working_folder()
    arguments, amiss = list(arguments), []
    while True:
        problems: list[str] = []
        try:
            with study.make_context(study.name, list(arguments), obj=problems) as ctx:
                known = [option for param in study.params for option in (*param.opts, *param.secondary_opts)]
                strange = [argument for argument in ctx.args if argument.startswith("-")] or ctx.args
                named_so = [without_password(argument).partition("=")[0] for argument in strange]
                problems += [unknown_name(argument, known, "flag of a study") for argument in named_so]
                given = {key: value for key, value in ctx.params.items() if value is not None}
                named = {key for key in ctx.params if ctx.get_parameter_source(key) is ParameterSource.COMMANDLINE}
                problems += _contradictions(given, named)
        except click.exceptions.BadOptionUsage as error:  # click stops there; the others are looked at without it
            problem, arguments = _without(error.option_name, arguments)
            amiss.append(problem)
        else:
            break
    if amiss or problems:
        raise Refused([*amiss, *problems])
    return Options(**given)


def check_working_folder() -> None:
    """Refuse a folder that was deleted, on which libraries fall over, and one whose name Ray cannot tell its workers."""
    try:
        folder = str(Path.cwd())
        folder.encode()
    except FileNotFoundError as error:
        raise Refused(["The working folder must exist, but it was deleted: change to another one."]) from error
    except UnicodeEncodeError as error:
        raise Refused([f"The working folder must have a name in UTF-8, but it is {folder!r}: start in another one."]) from error


def _without(flag: str, arguments: list[str]) -> tuple[str, list[str]]:
    """Of a flag that lacks its value, or has one but takes none: its line, and the arguments without it."""
    if flag in _FLAGS:  # only the last argument can lack what follows
        return f"{flag} must be followed by its value, but nothing follows: add it.", arguments[:-1]
    rest = [argument for argument in arguments if not argument.startswith(f"{flag}=")]
    return f"{flag} must be without a value, but is given one: write {flag} alone.", rest


def _contradictions(given: Mapping[str, Any], named: Collection[str]) -> Sequence[str]:
    """Of flags with good values, and flags that were named at all."""
    problems = []
    if given.get("preset") == "demo" and "data" in named and "weights" not in named:
        problems.append(
            "--data with --preset demo needs --weights, since the demo's own weights know digits only: "
            "pass imagenet, none, digits-source, a file or a folder."
        )
    if given.get("gpus") == 0 and "gpus_per_trial" in named:
        problems.append("--gpus-per-trial needs a GPU, but --gpus is 0: leave one of the two out.")
    if "resume" in named:
        problems += [
            f"--{name.replace('_', '-')} belongs to a new sweep, and --resume goes on with one: leave one of the two out."
            for name in SWEEP_FLAGS
            if name in named
        ]
    elif given.get("accept_changes"):
        problems.append("--accept-changes belongs to --resume, which is not given: leave it out.")
    return problems
