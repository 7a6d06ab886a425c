"""Checks of flags' values: each function returns the value, or raises the rule that it breaks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, Literal

import click
from click.shell_completion import CompletionItem

from cluster.addresses import without_password
from sweeps.records.folder import STORAGE, known_sweeps


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """Make a check for whole numbers from `low` to `high`."""
    rule = f"a whole number from {low} to {high}" if high else f"a whole number, {low} or more"

    def parse(value: str) -> int:
        # Digits alone, and few enough that they are quick to read.
        if not re.fullmatch(r"[+-]?\d{1,18}", value, re.ASCII):
            raise ValueError(rule)
        if int(value) < low or (high is not None and int(value) > high):
            raise ValueError(rule)
        return int(value)

    return parse


def share(value: str) -> float:
    """Check a share of a GPU."""
    share = math.nan
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", value, re.ASCII | re.IGNORECASE):
        share = float(value)
    if not 0 < share <= 1:
        raise ValueError("over 0 and at most 1, since a trial trains on one GPU or a share of one")
    if share < 0.01:
        raise ValueError("at least 0.01")
    return share


def positive(value: str) -> float:
    """Check a quantity over 0."""
    if (
        not re.fullmatch(r"\+?(\d{1,9}(\.\d{0,9})?|\.\d{1,9})", value, re.ASCII)
        or not float(value) > 0
    ):
        raise ValueError("a number over 0, such as 20 or 0.5")
    return float(value)


def duration(value: str) -> float:
    """Check a time such as 1h30m, and return its seconds."""
    seconds = 0
    match = re.fullmatch(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", value, re.ASCII)
    if match:
        hours, minutes, rest = (int(part or 0) for part in match.groups())
        seconds = 3600 * hours + 60 * minutes + rest
    if seconds == 0:
        raise ValueError("a time such as 90s, 45m, 2h or 1h30m")
    return float(seconds)


def name(value: str) -> str:
    """Check a sweep's name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", value):
        raise ValueError(
            "at most 80 letters, digits, '.', '_' and '-', beginning with a letter or a digit"
        )
    return value


def one_of(names: Collection[str]) -> Callable[[str], str]:
    """Make a check for one of these names."""

    def parse(value: str) -> str:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)}")
        return value

    return parse


def columns(value: str) -> tuple[str, str]:
    """Check the names of a table's columns of images and labels."""
    names = tuple(name.strip() for name in text(value).split(","))
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise ValueError("the names of two columns of the table, such as image,label")
    return names[0], names[1]


def group(value: str) -> str:
    """Check a regular expression, or a column, whose name nearly always is one."""
    try:
        re.compile(text(value))
    except re.error as error:
        raise ValueError(f"a column of the table or a regular expression ({error})") from error
    return value


def text(value: str) -> str:
    """Check text without line breaks."""
    if value.startswith("-"):
        raise ValueError(
            "followed by its value, which does not begin with '-' (a path may begin with './-')"
        )
    # Python has bytes that are not UTF-8 as these characters.
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("text in UTF-8")
    control = any(ord(character) < 32 for character in value)
    if control or not value.strip() or value.splitlines() != [value]:
        raise ValueError("a value without line breaks, not an empty one")
    return value


def path(value: str) -> str:
    """Check text that may be a path."""
    try:
        Path(text(value)).expanduser()
    except RuntimeError as error:
        raise ValueError("a path of a user who has a home, where it begins with '~'") from error
    return value


def folder(value: str) -> Path:
    """Check a path, and return it as an absolute one, without the detours of `..`."""
    place = Path(path(value)).expanduser().absolute()
    return place.resolve() if ".." in place.parts else place


def sweeps(ctx: click.Context) -> Iterable[str]:
    """Return the names that a shell completes: the sweeps of the storage that the command names."""
    return known_sweeps(ctx.params.get("storage") or Path(STORAGE))


# The base class is generic from click 8.4 on.
class Checked(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A flag's type that collects what is wrong instead of stopping at the first problem.

    Args:
        parse: Returns the value, or raises the rule that it breaks.
        metavar: What stands for the value in the help.
        completes: The values that a shell completes, or what kind of path.
    """

    def __init__(
        self,
        parse: Callable[[str], Any],
        metavar: str,
        completes: Callable[[click.Context], Iterable[str]] | Literal["file", "dir"] | None = None,
    ) -> None:
        self.name = metavar
        self._parse = parse
        self._completes = completes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value of a flag, or None where it is wrong; click calls this."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as rule:
            assert ctx is not None
            assert param is not None
            what = param.opts[0] if isinstance(param, click.Option) else self.name
            ctx.obj.append(f"{what} must be {rule}, but got {without_password(value)!r}.")
            return None

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        """Return what may stand where a shell asks; click calls this."""
        if self._completes is None:
            return []
        if isinstance(self._completes, str):
            return [CompletionItem(incomplete, type=self._completes)]
        names = self._completes(ctx)
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


SWEEP = Checked(str, "NAME", sweeps)
"""The type of a sweep's name, which the command itself looks for."""
