"""Whatever ends the driver, and however often, the results stay the same.

Both tests are in one file, so that one worker runs them and the sweep that they compare with is
made once.
"""

from __future__ import annotations

import csv
import signal
import time

import pytest

from benchmarks.audit import audit
from tests.faults.conftest import Make
from tests.faults.processes import EPOCHS, Faulty, write_study

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Far less where nothing else runs: 4.2 s at once, with four times as many processes as cores.
IN_ORDER_S = 30.0
AT_ONCE_S = 10.0
TIMES = ("wall_seconds", "device_seconds", "inference_ms")


def same_results(one: Faulty, other: Faulty) -> None:
    """But for the time that trials took; waits for their ends."""
    for sweep in (one, other):
        assert sweep.ended() == 0, sweep.log

    def rows(sweep: Faulty) -> list[dict[str, str]]:
        with (sweep.folder / "results.csv").open() as file:
            return [
                {name: value for name, value in row.items() if name not in TIMES}
                for row in csv.DictReader(file)
            ]

    assert rows(one) == rows(other)


def test_a_sweep_interrupted_five_times_ends_with_the_results_of_one_that_never_was(
    make: Make, whole: Faulty
) -> None:
    sweep = make()
    sweep.start(3)
    sweep.wait_for(lambda: sweep.epochs >= 2)
    _interrupted_in_order(sweep)

    sweep.resume()
    sweep.wait_for(lambda: sweep.epochs >= 5)
    sweep.signal(signal.SIGINT)
    sweep.wait_for(lambda: "Once more stops at once" in sweep.log[-200:] or sweep.count("end") > 1)
    sweep.signal(signal.SIGINT)
    began = time.monotonic()
    assert sweep.ended() == 130, sweep.log
    assert time.monotonic() - began < AT_ONCE_S

    for epochs in (8, 11, 14):
        sweep.resume()
        sweep.wait_for(lambda epochs=epochs: sweep.epochs >= epochs)
        _interrupted_in_order(sweep)

    write_study(sweep.study, high=2e-2)
    refused = sweep.command("--resume", sweep.name)
    assert refused.code == 2, refused
    assert "tuned stage2_lr" in refused.err
    assert '"high": 0.01' in refused.err
    assert '"high": 0.02' in refused.err
    assert "--accept-changes" in refused.err
    write_study(sweep.study)

    sweep.resume()
    assert sweep.ended() == 0, sweep.log
    found = audit(sweep.folder, sweep.uri)
    assert found["lost"] == 0, found
    same_results(sweep, whole)


def _interrupted_in_order(sweep: Faulty) -> None:
    said, began = len(sweep.log), time.monotonic()
    sweep.signal(signal.SIGINT)
    assert sweep.ended() == 130, sweep.log
    assert time.monotonic() - began < IN_ORDER_S
    assert (
        f"python {sweep.study} --resume {sweep.name} --storage {sweep.storage}" in sweep.log[said:]
    )


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
