"""What a refusal tells its reader to type."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

LAYOUT = re.compile(r"--layout ([a-z][a-z-]*[a-z])")
COLUMNS = re.compile(r"--columns ([^\s,]+),([^\s,:;.]+)")
PATH = re.compile(r"(?:--data|give|pass) (/[^\s,;:]+)")


def commands(lines: tuple[str, ...], data: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Each --data with a flag, and each other path, that some lines print."""
    text = "\n".join(lines)
    yield from ((data, {"layout": layout}) for layout in sorted(set(LAYOUT.findall(text))))
    columns = [pair for pair in COLUMNS.findall(text) if pair != ("IMAGE", "LABEL")]
    yield from ((data, {"columns": pair}) for pair in sorted(set(columns)))
    paths = {found.rstrip(".") for found in PATH.findall(text)} - {data}
    yield from ((path, {}) for path in sorted(paths) if Path(path).exists())
