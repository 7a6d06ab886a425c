"""Ctrl-C: in order, at once, and as often as one likes."""

from __future__ import annotations

import csv
import signal
import time

import pytest

from benchmarks.audit import audit
from tests.faults.conftest import Make
from tests.faults.processes import Faulty, write_study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("whole"),  # its sweep is made once
]

IN_ORDER_S, AT_ONCE_S = (
    30.0,
    10.0,
)  # far less where nothing else runs: 4.2 s at once, with four times as many processes as cores
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
