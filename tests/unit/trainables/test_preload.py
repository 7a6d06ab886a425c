from __future__ import annotations

import gc
import importlib
import sys

import pytest


def test_the_garbage_collector_is_on_again_and_leaves_the_imports_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frozen: list[bool] = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append("trainables.ray_trial" in sys.modules))
    monkeypatch.delitem(sys.modules, "trainables.preload", raising=False)
    importlib.import_module("trainables.preload")
    assert frozen == [True]
    assert gc.isenabled()
