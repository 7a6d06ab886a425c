"""What every command of `dvt` has in common: how its flags are read, and how it answers.

A command is a decorated function that returns the exit status and raises `Refused`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from cluster.refused import Refused
from sweeps.runner.options import Refused as StudyRefused
from trainables.problems import unknown_name

DONE, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
CONTEXT: dict[str, Any] = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "help_option_names": ["-h", "--help"],
}


class Command(click.Command):
    """A click command that refuses all that is wrong with its arguments at once."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments.

        Raises:
            Refused: One line per bad value, unknown flag and missing argument.
        """
        problems: list[str] = []
        ctx.obj = problems  # where `flag_values.Checked` puts its lines
        try:
            rest = super().parse_args(ctx, args)
        except click.UsageError as error:
            raise Refused(*problems, error.format_message()) from error
        problems += self._unknown(ctx)
        if problems:
            raise Refused(*problems)
        return rest

    def _unknown(self, ctx: click.Context) -> list[str]:
        """Return a line per flag that the command does not have, or per word too many."""
        options = [param for param in self.params if isinstance(param, click.Option)]
        known = [name for option in options for name in option.opts]
        words = list(ctx.args)
        for param in self.params:
            if isinstance(param, click.Argument) and param.type is not click.UNPROCESSED:
                value = ctx.params.get(param.name or "")
                words += [value] if isinstance(value, str) else value or ()
        strange = [word for word in words if word.startswith("-")] or ctx.args
        return [
            unknown_name(word.partition("=")[0], known, f"flag of {self.name}") for word in strange
        ]


def command(name: str, **settings: Any) -> Callable[[Callable[..., int]], Command]:
    """Make a command of a function, whose docstring is its help."""
    return click.command(name, cls=Command, context_settings=CONTEXT, **settings)


def group(name: str) -> Callable[[Callable[..., None]], click.Group]:
    """Make a group of commands; those in it are made by `@group.command(cls=kit.Command)`."""
    return click.group(name, context_settings={"help_option_names": CONTEXT["help_option_names"]})


def main(asked: click.Command, arguments: Sequence[str]) -> int:
    """Run a command; its exit status. What is wrong is a line each on stderr, never a traceback."""
    problems: tuple[str, ...] = ()
    try:
        status = asked.main(list(arguments), prog_name=asked.name, standalone_mode=False)
        return int(status or DONE)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return DONE
    except click.UsageError as error:
        problems = (error.format_message(),)
    except (Refused, StudyRefused) as error:
        problems = error.problems
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    return REFUSED
