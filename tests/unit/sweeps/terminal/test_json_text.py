"""Plain values become JSON that every reader takes."""

from __future__ import annotations

import json
import math
from pathlib import Path

from sweeps.terminal.json_text import json_text


def test_what_is_not_finite_is_null_wherever_it_is() -> None:
    value = {"a": math.nan, "b": [math.inf, (1.5, -math.inf)], "c": {"d": None}}
    assert json_text(value) == '{"a": null, "b": [null, [1.5, null]], "c": {"d": null}}'


def test_paths_and_names_of_any_kind_are_texts() -> None:
    said = json_text({"file": Path("/a b"), "name": "\udce9\n", 3: 4})
    assert "\n" not in said
    assert json.loads(said) == {"file": "/a b", "name": "\udce9\n", "3": 4}
