"""Output is never a reason to fail: a sweep ends as if nobody watched, a command says one line."""

from __future__ import annotations

from pathlib import Path

from tests.surroundings.commands import run, sweep


def test_a_small_sweep_ends(place: Path, cache: str) -> None:
    ran = run(sweep(place / "small.py"), place, DVT_CACHE_DIR=cache)
    assert ran.code == 0, ran.said
    assert "Results:" in ran.out or "Report:" in ran.out, ran.said
