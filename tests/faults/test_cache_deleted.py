"""The cache is deleted while trials use it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.audit import audit
from tests.faults.conftest import Make

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("what", ["prefix", "."], ids=["the stored activations", "all of it"])
def test_a_sweep_survives_the_deletion_of_its_cache(make: Make, tmp_path: Path, what: str) -> None:
    sweep = make(cache=tmp_path / "cache", slots=2)
    sweep.start(3)
    sweep.wait_for(lambda: sweep.epochs_of(0) and sweep.epochs_of(1))
    assert list((tmp_path / "cache" / "prefix").glob("*/activations.npy"))
    shutil.rmtree(tmp_path / "cache" / what)
    assert sweep.ended() == 0, sweep.log
    found = audit(sweep.folder, sweep.uri)
    assert found["lost"] == 0, found
    assert found["ended"] == {"completed": 3}
