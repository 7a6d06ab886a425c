"""What a command prints with `--json`: one line, for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def json_text(value: Any) -> str:
    """Return plain values as one line of JSON.

    A number that is not finite is null, a path is a text, and so is whatever else is not plain.
    """
    return json.dumps(_plain(value), default=str, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | Path):
        return [_plain(part) for part in value]
    return value
