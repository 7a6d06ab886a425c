"""Options as they were typed, for a command that passes them on: `1h30m`, not `5400.0`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import click

Typed: TypeAlias = Mapping[str, str | None]
"""The text of each option's value, None for an option without one."""


def as_typed(command: click.Command, arguments: Sequence[str]) -> dict[str, str | None]:
    """Return a command's options in the order in which they were given; of repeated ones the last.

    Args:
        command: What was asked for.
        arguments: Those that it has taken already.
    """
    parser = command.make_parser(click.Context(command))
    values, _, order = parser.parse_args(list(arguments))
    given: dict[str, str | None] = {}
    for param in order:
        if isinstance(param, click.Option):
            value = values[param.name]
            given[param.opts[-1]] = value if isinstance(value, str) else None
    return given


def as_words(options: Typed) -> list[str]:
    """Return options as the words of a command line."""
    words = []
    for name, value in options.items():
        words.append(name)
        if value is not None:
            words.append(value)
    return words
