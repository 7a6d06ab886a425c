"""What every command of `dvt` has in common: how its flags are read, and how it answers.

A command is a decorated function that returns the exit status and raises `Refused`:

    @kit.command("dvt list")
    @kit.flags("storage")
    def command(storage: Path | None) -> int: ...
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem, shell_complete

from cluster.refused import DONE, FAILED, INTERRUPTED, REFUSED, Refused
from sweeps.records.named import newest_first, sweep_named
from sweeps.runner.folders import working_folder
from sweeps.runner.misuse import misused, unexpected
from sweeps.runner.options import CONTEXT, FLAGS, Options
from sweeps.runner.typed import as_typed, as_words
from sweeps.terminal.screen import say_wrong
from sweeps.tracking.environment import prepare_process
from trainables.data.reading import ReadOptions
from trainables.problems import unknown_name

__all__ = [
    "CONTEXT",
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "REFUSED",
    "Command",
    "Group",
    "command",
    "flags",
    "group",
    "json_flag",
    "main",
    "reading",
    "shown",
    "storage_of",
    "subcommand",
    "sweep_of",
    "typed_options",
]

Function = TypeVar("Function", bound=Callable[..., Any])

TYPED = f"{__name__}.typed"
"""Where a context keeps the words of its command."""
# An unknown option is left, for the group to refuse.
GROUP_CONTEXT = {"ignore_unknown_options": True, "help_option_names": CONTEXT["help_option_names"]}
COMPLETE = "_DVT_COMPLETE"
"""The variable by which a shell asks what could come next, as click reads it."""


class Command(click.Command):
    """A click command that refuses all that is wrong with its arguments at once."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments.

        Raises:
            Refused: One line per bad value, unknown flag and missing argument.
        """
        # A shell asks what could come next: nothing is refused.
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        # For commands that pass them on.
        ctx.meta[TYPED] = tuple(args)
        # `flag_values.Checked` puts its lines there.
        problems: list[str] = []
        ctx.obj = problems
        try:
            rest = super().parse_args(ctx, args)
        except click.UsageError as error:
            raise Refused(*problems, self._misuse(ctx, error)) from error
        problems += self._unknown(ctx)
        if problems:
            raise Refused(*problems)
        return rest

    def _misuse(self, ctx: click.Context, error: click.UsageError) -> str:
        """Return a line on what click cannot read."""
        if isinstance(error, click.MissingParameter) and error.param:
            return f"{error.param.make_metavar(ctx)} is missing. {ctx.get_usage()}"
        if isinstance(error, click.BadOptionUsage):
            name = error.option_name
            options = [param for param in self.params if isinstance(param, click.Option)]
            takes_value = any(name in one.opts and not one.is_flag for one in options)
            return misused(name, takes_value=takes_value)
        return error.format_message()

    def _unknown(self, ctx: click.Context) -> list[str]:
        """Return a line per flag that the command does not have, or per word too many."""
        words = list(ctx.args)
        for param in self.params:
            if isinstance(param, click.Argument) and param.type is not click.UNPROCESSED:
                words += _words(ctx.params.get(param.name or ""))
        # An argument that is in its place is not unexpected.
        left = [word for word in words if word.startswith("-")] or ctx.args
        return unexpected(ctx, left, f" of {ctx.command_path}")


class Group(click.Group):
    """A click group that makes a command when it is asked for, and knows one line of each.

    Attributes:
        what: What its commands are called in an error.
    """

    what = "command"

    def summaries(self) -> Mapping[str, Mapping[str, str]]:
        """Return what each command does, by name, in sections by title."""
        lines = {name: one.get_short_help_str(80) for name, one in self.commands.items()}
        return {"Commands": lines}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands; click calls it."""
        return [name for section in self.summaries().values() for name in section]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is asked for; click calls it.

        Raises:
            Refused: There is none.
        """
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            where = f" of {ctx.command_path}" if ctx.parent else ""
            if name.startswith("-"):
                raise Refused(*unexpected(ctx, [name], where))
            raise Refused(unknown_name(name, self.list_commands(ctx), self.what, where))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section, in two columns that are the same for all."""
        width = max(map(len, self.list_commands(ctx)))
        for title, lines in self.summaries().items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line) for name, line in lines.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return the commands and options that a shell may complete; click calls it."""
        found = []
        for lines in self.summaries().values():
            for name, line in lines.items():
                if name.startswith(incomplete):
                    found.append(CompletionItem(name, help=line))
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


def command(name: str, **settings: Any) -> Callable[[Callable[..., int]], Command]:
    """Make a command of a function, whose docstring is its help."""
    return click.command(name, cls=Command, context_settings=CONTEXT, **settings)


def group(name: str) -> Callable[[Callable[..., None]], Group]:
    """Make a group of commands; those in it are made by `subcommand`."""
    return click.group(name, cls=Group, context_settings=GROUP_CONTEXT)


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


def json_flag(function: Function) -> Function:
    """Give a command `--json`, as the argument `as_json`."""
    text = "Print JSON instead of lines; docs/json.md has its keys."
    return click.option("--json", "as_json", is_flag=True, help=text)(function)


def main(asked: click.Command, arguments: Sequence[str]) -> int:
    """Run a command and return its exit status.

    What is wrong is a line each on stderr, never a traceback.
    """
    if COMPLETE in os.environ:
        return shell_complete(asked, {}, "dvt", COMPLETE, os.environ[COMPLETE])
    try:
        prepare_process()
        # Help needs no folder.
        if not {"-h", "--help"}.intersection(arguments):
            working_folder()
        # Click's own `main` would answer Ctrl-C and errors in its way.
        with asked.make_context(asked.name, list(arguments)) as ctx:
            return int(asked.invoke(ctx) or DONE)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return DONE
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except click.UsageError as error:
        say_wrong([error.format_message()])
        return REFUSED
    except Refused as error:
        say_wrong(error.problems)
        return REFUSED


def reading(given: Mapping[str, Any]) -> ReadOptions:
    """Return how data are to be read, by the values of `READING_FLAGS`; None is the default."""
    named = {name: value for name, value in given.items() if value is not None}
    return ReadOptions(**named)


def storage_of(storage: Path | None) -> Path:
    """Return the storage's absolute path, the default one where none was given."""
    return (storage or Options().storage).absolute()


def typed_options(ctx: click.Context) -> list[str]:
    """Return the options of a command as they were typed, without its arguments."""
    return as_words(as_typed(ctx.command, ctx.meta[TYPED]))


def sweep_of(storage: Path, word: str | None, default: Callable[[Path], str] | None = None) -> str:
    """Return the name of the sweep that a command means, and say it on stderr if it was not typed.

    Args:
        storage: Where the sweep is.
        word: Its name or a part of it; None is the newest.
        default: Chooses another than the newest.

    Raises:
        Refused: No sweep is meant, or several are.
    """
    if word is not None:
        name = sweep_named(storage, word)
    elif default:
        name = default(storage)
    else:
        name = newest_first(storage)[0]
    if name != word:
        click.echo(f"Sweep: {shown(name)}", err=True)
    return name


def shown(name: str) -> str:
    """Return a name that came from the disk as a terminal can show it."""
    return name if name.isprintable() else repr(name)


def _words(value: str | Sequence[str] | None) -> Sequence[str]:
    """Return the words of an argument that takes one, several or none."""
    if isinstance(value, str):
        return [value]
    return value or ()
