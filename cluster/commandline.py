"""How this package's commands read their arguments and answer: one line for each thing that is wrong, and exit status 2."""

from __future__ import annotations

from collections.abc import Sequence

import click

from cluster.refused import Refused

REFUSED, INTERRUPTED = 2, 130

CONTEXT = {"help_option_names": ["-h", "--help"]}


def answer(command: click.Command, arguments: Sequence[str]) -> int:
    """Run a command, whose callback returns the exit status; what is wrong goes to stderr, without a traceback."""
    problems: tuple[str, ...] = ()
    try:
        return int(
            command.main(
                list(arguments) or ["--help"], prog_name=command.name, standalone_mode=False
            )
            or 0
        )
    except click.UsageError as error:
        problems = (error.format_message(),)
    except Refused as error:
        problems = error.problems
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    return REFUSED


def whole(flag: str, value: str | None, low: int, high: int, problems: list[str]) -> int | None:
    """A flag's whole number; a line is added to `problems` where it is none, or out of bounds."""
    if value is None:
        return None
    if value.isascii() and value.isdigit() and len(value) < 10 and low <= int(value) <= high:
        return int(value)
    problems.append(f"{flag} must be a whole number from {low} to {high}, but got {value!r}.")
    return None
