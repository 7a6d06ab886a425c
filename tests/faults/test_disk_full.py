"""The disk that holds the checkpoints is full."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.audit import audit
from tests.faults.conftest import Make
from tests.faults.processes import small_disk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# A ResNet-18 takes 45 MB as `best`, and 80 to 110 MB as each of two `last`.
TOO_SMALL = "60m"
ENOUGH = "900m"


def test_a_full_disk_stops_the_sweep_with_the_reason_and_once_there_is_room_it_goes_on(
    make: Make, tmp_path: Path
) -> None:
    try:
        disk = small_disk(tmp_path / "disk", TOO_SMALL)
        resize = disk.__enter__()
    except PermissionError as error:
        pytest.skip(str(error))
    try:
        sweep = make(tmp_path / "disk" / "runs", finalist_seeds=0)
        sweep.start(2)
        assert sweep.ended() == 1, sweep.log
        assert "The sweep stopped: " in sweep.log
        assert "No space left on device" in " ".join(sweep.log.split())
        assert f"--resume {sweep.name} --storage {sweep.storage}" in sweep.log
        resize(ENOUGH)
        sweep.resume()
        assert sweep.ended() == 0, sweep.log
        found = audit(sweep.folder, sweep.uri)
        assert found["lost"] == 0, found
        assert found["ended"] == {"completed": 2}
    finally:
        disk.__exit__(None, None, None)
