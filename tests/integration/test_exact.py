"""`--exact` belongs to a new sweep."""

from __future__ import annotations

from pathlib import Path

from tests.integration.conftest import run


def test_of_a_sweep_that_has_begun_it_cannot_be_asked(tmp_path: Path) -> None:
    refused = run(tmp_path, "--resume", "full", "--exact")
    assert refused.code == 2
    assert "--exact" in refused.err
