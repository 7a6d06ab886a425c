"""`dvt run STUDY [OPTION]…`: run a study's file as `python sweeps/STUDY.py` does."""

from __future__ import annotations

import ast
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from cluster.refused import Refused
from sweeps.commands import kit
from sweeps.runner import options

SWEEPS = Path(__file__).parents[1]


def studies() -> list[str]:
    """Return the names of the project's studies."""
    names = {path.stem for path in SWEEPS.glob("*.py")}
    return sorted(names - {"__init__"})


def run_file(path: Path, arguments: Sequence[str]) -> int:
    """Run a study's file as a script.

    It exits by itself where it ends with `main(STUDY)`.

    Raises:
        Refused: It does not.
    """
    sys.argv = [str(path), *arguments]
    runpy.run_path(str(path), run_name="__main__")
    raise Refused(f"a study must end with main(STUDY), but {path} does not: add it.")


class _Script(click.Command):
    """A study's file, which reads its arguments itself; a shell gets to know its options here."""

    def __init__(self, path: Path) -> None:
        known = options.command(path.stem, "")
        super().__init__(path.stem, params=known.params)
        self._path = path

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        ctx.args = list(args)
        return ctx.args

    def invoke(self, ctx: click.Context) -> int:
        return run_file(self._path, ctx.args)


class _Studies(kit.Group):
    what = "study"

    def summaries(self) -> Mapping[str, Mapping[str, str]]:
        return {"Studies": {name: _question(SWEEPS / f"{name}.py") for name in studies()}}

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in studies():
            return None
        return _Script(SWEEPS / f"{cmd_name}.py")


def _question(path: Path) -> str:
    """Return the first sentence of a study's docstring; it is not imported."""
    try:
        text = ast.get_docstring(ast.parse(path.read_text()))
    except (OSError, ValueError, SyntaxError):
        return ""
    question, mark, _ = (text or "").partition("\n")[0].partition("?")
    return question + mark


@click.group(
    "run",
    cls=_Studies,
    subcommand_metavar="STUDY [OPTIONS]",
    options_metavar="",
    context_settings=kit.GROUP_CONTEXT,
)
def command() -> None:
    """Run a study: dvt run STUDY --help shows its options."""
