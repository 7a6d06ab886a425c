"""The help page of a study: its options by what they are for, and commands to begin with."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import ClassVar

import click

SECTIONS = {
    "What is compared": ("--preset", "--arms", "--trials", "--exact", "--ablate"),
    "Data and weights": (
        *("--data", "--layout", "--columns", "--group", "--keep-copies"),
        "--weights",
    ),
    "What it may use": (
        *("--gpus", "--gpus-per-trial", "--time-limit", "--stuck-after", "--address"),
    ),
    "Finalists and champion": ("--seeds", "--draws", "--score", "--max-ms", "--max-mb"),
    "Where it is kept": ("--name", "--storage", "--keep", "--tracking-uri"),
    "Continuing": ("--resume", "--accept-changes"),
}
"""Options by title; those that stand nowhere come last, under `REST`."""
REST = "Other"

EXAMPLES = (
    ("Minutes on a CPU, no download", "--preset demo"),
    ("What it would do, and how long it would take", "--preset demo --dry-run"),
    ("Your own images, such as photos/cat/1.jpg", "--data photos/ --preset laptop"),
    ("At 224 px on all GPUs; after two hours, finish", "--data photos/ --time-limit 2h"),
    ("Continue, also after a crash", "--resume NAME"),
    ("Continue with more seeds, to decide what is still open", "--resume NAME --seeds 20"),
)
"""What a command does, and its options."""


class StudyCommand(click.Command):
    """A study's click command.

    Attributes:
        examples: What a command does, and what follows the command's name in it.
    """

    examples: ClassVar[Sequence[tuple[str, str]]] = EXAMPLES

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options by section, in two columns that are the same for all; click calls it.

        The examples follow.
        """
        records = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record and isinstance(param, click.Option):
                records[param.opts[0]] = record
        width = max(len(left) for left, _ in records.values())

        placed = {flag for flags in SECTIONS.values() for flag in flags}
        rest = tuple(flag for flag in records if flag not in placed)
        for title, flags in {**SECTIONS, REST: rest}.items():
            rows = [records[flag] for flag in flags if flag in records]
            if rows:
                with formatter.section(title):
                    formatter.write_dl([(left.ljust(width), right) for left, right in rows])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples; click calls it."""
        with formatter.section("Examples"):
            for what, options in self.examples:
                formatter.write(f"  # {what}\n")
                formatter.write(f"  {ctx.command_path} {options}\n")


def typed() -> str:
    """Return what is typed to run the study of this process: `dvt run STUDY`, or its file."""
    by_dvt = click.get_current_context(silent=True)
    if by_dvt:
        return by_dvt.command_path
    return shlex.join(["python", sys.argv[0]])
