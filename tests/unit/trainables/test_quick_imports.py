"""Imports that the garbage collector leaves alone until Python ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import atexit, gc
atexit.register(lambda: print(gc.get_freeze_count() > 1000))  # called last
from trainables.quick_imports import quick_imports
with quick_imports():
    import json.tool
print(gc.get_freeze_count() > 1000, gc.isenabled())
"""


def test_what_was_imported_is_left_alone_until_python_ends_by_itself() -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["True", "True", "False"]
