"""Write the pinned versions, for Linux and macOS: those there are, or the newest that fit together.

`constraints.txt` is for pip. pyproject.toml has the same, since `uv run` reads no such file, and a
uv.lock would name the hosts of a package index.

    python .ci/pins.py [--upgrade]
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "constraints.txt"
PROJECT = ROOT / "pyproject.toml"
HEADER = (
    "# Exact versions that are installed, so that next year's build is this one: `make pins`.\n"
)
BEGIN, END = "constraint-dependencies = [\n", "]  # constraint-dependencies\n"
COMPILE = "uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 -q"


def main() -> None:
    """Write both files."""
    before, _, rest = PROJECT.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Without the versions there are: they would allow no other.
        (folder / "pyproject.toml").write_text(before + BEGIN + END + after)
        shutil.copy(PINS, folder)
        words = [*COMPILE.split(), "--no-annotate", "--no-header", "-o", PINS.name]
        subprocess.run([*words, *sys.argv[1:]], cwd=folder, check=True)
        pins = (folder / PINS.name).read_text()
    PINS.write_text(HEADER + pins)
    lines = [f"    {json.dumps(pin)},\n" for pin in pins.splitlines()]
    PROJECT.write_text(before + BEGIN + "".join(lines) + END + after)


if __name__ == "__main__":
    main()
