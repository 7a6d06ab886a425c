"""`dvt best PATH [OPTION]…`: the study `find_best` on a folder of images, sized for this machine."""

from __future__ import annotations

from typing import Any

import click

from sweeps.commands import kit
from sweeps.commands.run import SWEEPS, run_file
from sweeps.runner import flag_values as values
from sweeps.runner.options import FLAGS, VERBOSE
from sweeps.runner.study_help import StudyCommand
from sweeps.terminal.screen import say, screen
from trainables.quick_imports import quick_imports

STUDY = "find_best"
# What the command itself says, or what continues another sweep: `dvt resume`.
NOT_TAKEN = ("data", "resume", "accept_changes")
OPTIONS = [
    name
    for name in (flag.removeprefix("--").replace("-", "_") for flag in FLAGS)
    if name not in NOT_TAKEN
]
CHOSEN = "laptop"
"""The preset where there is no GPU."""


class _Best(kit.Command, StudyCommand):
    examples = (
        ("Your own images, such as photos/cat/1.jpg", "photos/"),
        ("What it would do, and how long it would take", "photos/ --dry-run"),
        ("A champion of at most 50 MB", "photos/ --max-mb 50"),
        ("Finish after two hours, with what is there", "photos/ --time-limit 2h"),
        ("All images at 224 px, also without a GPU", "photos/ --preset full"),
    )


def _given(ctx: click.Context, param: click.Parameter, path: str | None) -> str | None:
    """Check the path of the images. One that begins with - is an option that `kit` names."""
    if ctx.resilient_parsing or (path or "").startswith("-"):
        return path
    if path is None:
        ctx.obj.append(
            "PATH must be your images, but is missing: give a folder of class folders, such as "
            "photos/ with photos/cat/1.jpg."
        )
        return None
    parse = values.Checked(values.path, "PATH")
    checked: str | None = parse.convert(path, param, ctx)
    return checked


@click.command("dvt best", cls=_Best, context_settings=kit.CONTEXT)
@click.argument(
    "path",
    metavar="PATH",
    required=False,
    callback=_given,
    type=values.Checked(str, "PATH", "file"),
)
@kit.flags(*OPTIONS)
@click.option("-v", "--verbose", **VERBOSE)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    path: str,
    preset: str | None,
    gpus: int | None,
    address: str | None,
    **_: Any,
) -> int:
    """Find the best model for your images: backbone, tricks and rates are tuned together.

    PATH is a folder of class folders, such as photos/cat/1.jpg, or what --data of a study takes.
    Without a GPU the preset is laptop: 96 px, and at most 100 training images per class.
    """
    words = ["--data", path, *kit.typed_options(ctx)]
    if preset is None and address in (None, "local") and not _gpus(gpus):
        say(
            screen(),
            f"Preset: {CHOSEN}, since no GPU is used (96 px, at most 100 training images per "
            "class); --preset full is 224 px and all images.",
        )
        words += ["--preset", CHOSEN]
    return run_file(SWEEPS / f"{STUDY}.py", words)


def _gpus(asked: int | None) -> int:
    """Return how many GPUs a sweep here would use."""
    if asked is not None:
        return asked
    with quick_imports():
        from trainables.device import count_gpus  # torch takes seconds
    return count_gpus()
