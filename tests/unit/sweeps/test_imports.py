"""Modules change nothing when they are imported: who starts a command or a driver does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROGRAM = """
import importlib, os, sys
before = dict(os.environ)
for name in sys.argv[1:]:
    importlib.import_module(name)
print(sorted(dict(os.environ).items() ^ before.items()))
"""


def modules(package: str) -> list[str]:
    """Return the names of a package's modules, or that of a module."""
    path = ROOT / package.replace(".", "/")
    if not path.is_dir():
        return [package]
    return [f"{package}.{file.stem}" for file in sorted(path.glob("*.py"))]


@pytest.mark.parametrize(
    "package",
    ["sweeps.records", "sweeps.commands", "sweeps.runner.options", "sweeps.tracking.store"],
)
def test_an_import_leaves_the_environment_as_it_is(package: str) -> None:
    names = modules(package)
    assert names
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
