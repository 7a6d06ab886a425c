"""One kill and one resume, in the tests that everybody runs.

The others of this folder take minutes.
"""

from __future__ import annotations

import pytest

from benchmarks.audit import audit
from tests.faults.conftest import Make
from tests.faults.processes import EPOCHS

pytestmark = pytest.mark.timeout(900)


def test_a_driver_that_is_killed_in_a_trial_is_resumed_and_nothing_is_lost(make: Make) -> None:
    sweep = make(finalist_seeds=0)
    sweep.start(2)
    sweep.wait_for(lambda: len(sweep.epochs_of(0)) >= 3)
    sweep.kill()
    sweep.resume()
    assert sweep.ended() == 0, sweep.log
    found = audit(sweep.folder, sweep.uri)
    assert found["lost"] == 0, found
    assert found["ended"] == {"completed": 2}
    assert sweep.epochs_of(0) == list(range(1, EPOCHS + 1))
