"""The driver is killed at the worst moments, and the sweep is resumed each time."""

from __future__ import annotations

import signal

import pytest

from benchmarks.audit import audit
from tests.faults.conftest import Make
from tests.faults.processes import EPOCHS, Faulty
from tests.faults.test_interrupted import same_results

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("whole"),  # its sweep is made once
]


def test_a_driver_killed_in_a_trial_between_trials_and_while_it_resumes_loses_nothing(
    make: Make, whole: Faulty
) -> None:
    sweep = make()
    sweep.start(3)
    sweep.wait_for(lambda: len(sweep.epochs_of(0)) >= 3)
    sweep.signal(signal.SIGSTOP)  # it holds its lock, and stays in this trial
    second = sweep.command("--resume", sweep.name)
    assert (second.code, second.err.count("\n")) == (2, 1), second
    assert f"{sweep.name} is being run by another process" in second.err
    sweep.kill()  # in a trial

    sweep.resume()
    ended = sweep.count("end")
    sweep.wait_for(lambda: sweep.count("end") > ended)
    sweep.kill()  # between trials

    sweep.resume()
    sweep.wait_for(lambda: sweep.count("resumed") == 2)
    sweep.kill()  # as the resume begins

    sweep.resume()
    sweep.wait_for(lambda: sweep.epochs > 3 * EPOCHS)
    sweep.kill()  # in a finalist

    sweep.resume()
    assert sweep.ended() == 0, sweep.log
    found = audit(sweep.folder, sweep.uri)
    assert found["lost"] == 0, found
    assert found["ended"] == {"completed": 3}
    assert found["finalists"].keys() == {"completed"}
    repeated = 0
    for number in range(3):
        assert sweep.epochs_of(number) == list(range(1, EPOCHS + 1))
        saved = sweep.saved(number)
        assert saved == sorted(saved), "a trial went back to an epoch before its last checkpoint"
        repeated += len(saved) - len(set(saved))
    assert repeated <= 3  # an epoch a kill
    same_results(sweep, whole)
