"""One decoded data set on disk: arrays to map into memory, and meta.json, which is written last and vouches for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeAlias

Meta: TypeAlias = dict[str, Any]

FORMAT = 3


def entry_meta(entry: Path) -> Meta | None:
    """What an entry says of itself; None where it is absent, half-written or damaged."""
    try:
        meta = json.loads((entry / "meta.json").read_text(encoding="utf-8"))
        whole = meta["format"] == FORMAT and all(
            (entry / name).stat().st_size == size for name, size in meta["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return meta if whole else None
