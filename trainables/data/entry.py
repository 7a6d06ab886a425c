"""One decoded data set on disk: arrays to map into memory, and meta.json.

meta.json is written last and vouches for the others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

Meta: TypeAlias = dict[str, Any]

FORMAT = 4

# The file with the rows of the test split in the listing, int64 [N]: every draw keeps them.
TEST_ROWS = "test_rows.npy"


def entry_meta(entry: Path) -> Meta | None:
    """Return what an entry says of itself; None where it is absent, half-written or damaged."""
    try:
        meta: Meta = json.loads((entry / "meta.json").read_text(encoding="utf-8"))
        # Of an older version, or with files that were cut off.
        if meta["format"] != FORMAT:
            return None
        for name, size in meta["files"].items():
            if (entry / name).stat().st_size != size:
                return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return meta
