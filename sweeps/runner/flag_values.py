"""What the values of flags must be: each function gives the value, or raises the rule that it breaks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click

from cluster.addresses import without_password


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """Make a check for whole numbers from `low` to `high`."""

    def parse(value: str) -> int:
        rule = f"a whole number from {low} to {high}" if high else f"a whole number, {low} or more"
        if not re.fullmatch(r"[+-]?\d{1,18}", value, re.ASCII):
            raise ValueError(rule)
        if int(value) < low or (high is not None and int(value) > high):
            raise ValueError(rule)
        return int(value)

    return parse


def share(value: str) -> float:
    """A share of a GPU."""
    share = (
        float(value)
        if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", value, re.ASCII | re.IGNORECASE)
        else math.nan
    )
    if not 0 < share <= 1:
        raise ValueError("over 0 and at most 1, since a trial trains on one GPU or a share of one")
    if share < 0.01:
        raise ValueError("at least 0.01")
    return share


def duration(value: str) -> float:
    """Seconds, from a time such as 1h30m."""
    rule = "a time such as 90s, 45m, 2h or 1h30m"
    match = re.fullmatch(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?", value, re.ASCII)
    seconds = (
        sum(int(part or 0) * unit for part, unit in zip(match.groups(), (3600, 60, 1), strict=True))
        if match
        else 0
    )
    if seconds == 0:
        raise ValueError(rule)
    return float(seconds)


def name(value: str) -> str:
    """A sweep's name."""
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
    """The columns of images and labels of a table."""
    names = tuple(name.strip() for name in text(value).split(","))
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise ValueError("the names of two columns of the table, such as image,label")
    return names[0], names[1]


def group(value: str) -> str:
    """A regular expression, or a column, whose name nearly always is one."""
    try:
        re.compile(text(value))
    except re.error as error:
        raise ValueError(f"a column of the table or a regular expression ({error})") from error
    return value


def text(value: str) -> str:
    """Text without line breaks."""
    if value.startswith("-"):
        raise ValueError(
            "followed by its value, which does not begin with '-' (a path may begin with './-')"
        )
    if any("\ud800" <= character <= "\udfff" for character in value):  # bytes that are no UTF-8
        raise ValueError("text in UTF-8")
    if (
        not value.strip()
        or value.splitlines() != [value]
        or any(ord(character) < 32 for character in value)
    ):
        raise ValueError("a value without line breaks, not an empty one")
    return value


def path(value: str) -> str:
    """Text that may be a path."""
    try:
        Path(text(value)).expanduser()
    except RuntimeError as error:
        raise ValueError("a path of a user who has a home, where it begins with '~'") from error
    return value


def folder(value: str) -> Path:
    """An absolute path."""
    return Path(path(value)).expanduser().absolute()


class Checked(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic from click 8.4
    """Collects what is wrong instead of stopping at the first problem."""

    def __init__(self, parse: Callable[[str], Any], metavar: str) -> None:
        self.name = metavar
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click calls it."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as rule:
            assert ctx is not None
            assert param is not None
            ctx.obj.append(f"{param.opts[0]} must be {rule}, but got {without_password(value)!r}.")
            return None
