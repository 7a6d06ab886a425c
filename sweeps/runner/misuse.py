"""Lines on words of a command line that no option or argument takes, and on options without value."""

from __future__ import annotations

from collections.abc import Sequence

import click

from cluster.addresses import without_password
from trainables.problems import unknown_name


def unexpected(ctx: click.Context, left: Sequence[str], where: str = "") -> list[str]:
    """Return a line for each word that click has left, since no option or argument takes it.

    Args:
        ctx: Of the command.
        left: The words.
        where: What follows an unknown option, such as ` of dvt list`.
    """
    known: list[str] = []
    for param in ctx.command.get_params(ctx):
        if isinstance(param, click.Option):
            known += [*param.opts, *param.secondary_opts]
    # What follows an unknown option may be its value.
    strange = [word for word in left if word.startswith("-")] or left
    lines = []
    for word in strange:
        name = without_password(word).partition("=")[0]
        if name.startswith("-"):
            lines.append(unknown_name(name, known, "option", where))
        else:
            lines.append(f"unexpected argument {name!r}{where}.")
    return lines


def misused(flag: str, *, takes_value: bool) -> str:
    """Return a line on a flag that lacks its value, or has one in vain."""
    if takes_value:
        return f"{flag} must be followed by its value, but nothing follows: add it."
    return f"{flag} must be without a value, but is given one: write {flag} alone."
