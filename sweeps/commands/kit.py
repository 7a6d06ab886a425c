"""What every command of `dvt` has in common: how its flags are read, and how it answers.

A command is a decorated function that returns the exit status and raises `Refused`:

    @kit.command("dvt list")
    @kit.flags("storage")
    def command(storage: Path | None) -> int: ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from cluster.refused import DONE, FAILED, INTERRUPTED, REFUSED, Refused
from sweeps.runner.options import CONTEXT, FLAGS, Options, working_folder
from sweeps.tracking.environment import prepare_process
from trainables.data.reading import ReadOptions
from trainables.problems import unknown_name

__all__ = [
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "REFUSED",
    "Command",
    "command",
    "flags",
    "group",
    "main",
    "reading",
    "shown",
    "storage_of",
    "subcommand",
    "unknown_sweep",
]

Function = TypeVar("Function", bound=Callable[..., Any])


class Command(click.Command):
    """A click command that refuses all that is wrong with its arguments at once."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments.

        Raises:
            Refused: One line per bad value, unknown flag and missing argument.
        """
        # `flag_values.Checked` puts its lines there.
        problems: list[str] = []
        ctx.obj = problems
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
        known: list[str] = []
        words = list(ctx.args)
        for param in self.params:
            if isinstance(param, click.Option):
                known += param.opts
            elif param.type is not click.UNPROCESSED:
                words += _words(ctx.params.get(param.name or ""))

        # Beside an unknown flag, a word too many may be its value.
        strange = [word for word in words if word.startswith("-")] or ctx.args
        names = [word.partition("=")[0] for word in strange]
        where = f" of {ctx.command_path}"
        return [unknown_name(name, known, "flag", where) for name in names]


def command(name: str, **settings: Any) -> Callable[[Callable[..., int]], Command]:
    """Make a command of a function, whose docstring is its help."""
    return click.command(name, cls=Command, context_settings=CONTEXT, **settings)


def group(name: str) -> Callable[[Callable[..., None]], click.Group]:
    """Make a group of commands; those in it are made by `subcommand`."""
    return click.group(name, context_settings={"help_option_names": CONTEXT["help_option_names"]})


def subcommand(parent: click.Group, name: str) -> Callable[[Callable[..., int]], click.Command]:
    """Make a command of a group, as `command` makes one."""
    return parent.command(name, cls=Command, context_settings=CONTEXT)


def flags(*names: str) -> Callable[[Function], Function]:
    """Give a command some of the flags that every study has."""

    def add(function: Function) -> Function:
        for name in reversed(names):
            flag = f"--{name.replace('_', '-')}"
            function = click.option(flag, **FLAGS[flag])(function)
        return function

    return add


def main(asked: click.Command, arguments: Sequence[str]) -> int:
    """Run a command and return its exit status.

    What is wrong is a line each on stderr, never a traceback.
    """
    try:
        prepare_process()
        # Help needs no folder.
        if not {"-h", "--help"}.intersection(arguments):
            working_folder()
        # Outside of standalone mode click raises what is wrong, and returns the function's value.
        status = asked.main(list(arguments), prog_name=asked.name, standalone_mode=False)
        return int(status or DONE)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return DONE
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except click.UsageError as error:
        return _refused([error.format_message()])
    except Refused as error:
        return _refused(error.problems)


def reading(given: Mapping[str, Any]) -> ReadOptions:
    """Return how data are to be read, by the values of `READING_FLAGS`; None is the default."""
    named = {name: value for name, value in given.items() if value is not None}
    return ReadOptions(**named)


def storage_of(storage: Path | None) -> Path:
    """Return the storage's absolute path, the default one where none was given."""
    return (storage or Options().storage).absolute()


def unknown_sweep(name: str, known: Sequence[str], storage: Path) -> str:
    """Return the line for a name that no sweep of a storage has."""
    if not known:
        return f"{storage} holds no sweep."
    return unknown_name(name, known, "sweep", f" in {storage}")


def shown(name: str) -> str:
    """Return a name that came from the disk as a terminal can show it."""
    return name if name.isprintable() else repr(name)


def _words(value: str | Sequence[str] | None) -> Sequence[str]:
    """Return the words of an argument that takes one, several or none."""
    if isinstance(value, str):
        return [value]
    return value or ()


def _refused(problems: Iterable[str]) -> int:
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    return REFUSED
