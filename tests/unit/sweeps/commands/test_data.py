"""The command that `dvt data` prints: what trains on the data as they were read."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from sweeps.commands.data import train_command
from sweeps.runner.options import command, parse

DEFAULTS = {"keep_copies": False, "open": False, "as_json": False, "verbose": False}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"layout": "class-first", "keep_copies": True, "seed": 7},
        {"columns": ("file name", "it's a label"), "layout": "table"},
        {"group": r"patient (\d+)/", "storage": Path("/a b/$HOME")},
    ],
)
def test_it_is_parsed_back_to_the_flags_that_were_given(given: dict[str, Any]) -> None:
    dvt, best, data, *words = shlex.split(
        train_command({"path": ("my photos & <more>",), **DEFAULTS, **given})
    )
    assert (dvt, best, data) == ("dvt", "best", "my photos & <more>")
    options = parse(command("find_best", ""), ["--data", data, *words])
    for name, value in given.items():
        assert getattr(options, name) == value


def test_flags_at_their_defaults_are_not_repeated() -> None:
    assert train_command({"path": ("photos",), **DEFAULTS}) == "dvt best photos"
