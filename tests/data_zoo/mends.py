"""What a refusal tells its reader to type."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

LAYOUT = re.compile(r"(?:--data (/\S+) )?--layout ([a-z][a-z-]*[a-z])")
KEEP = re.compile(r"pass --keep-copies\b")
COLUMNS = re.compile(r"--columns ([^\s,]+),([^\s,:;.]+)")
PATH = re.compile(r"(?:--data|give|pass) (/[^\s,;:]+)")


def commands(lines: tuple[str, ...], data: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Each --data with a flag, and each other path, that some lines print."""
    text = "\n".join(lines)
    yield from (
        (path or data, {"layout": layout}) for path, layout in sorted(set(LAYOUT.findall(text)))
    )
    if KEEP.search(text):
        yield data, {"keep_copies": True}
    columns = [pair for pair in COLUMNS.findall(text) if pair != ("IMAGE", "LABEL")]
    yield from ((data, {"columns": pair}) for pair in sorted(set(columns)))
    paths = {found.rstrip(".") for found in PATH.findall(LAYOUT.sub("", text))} - {data}
    yield from ((path, {}) for path in sorted(paths) if Path(path).exists())
