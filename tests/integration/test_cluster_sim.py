"""The simulated cluster: what it adds up to, and that it does again what it did."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cluster_sim import NODE, Case, Simulation, recorded
from sweeps.records.results import STARTUP_TRIALS

SMALL = Case(slots=8, trials=6, finalist_seeds=2, epochs=8)
MEASURED = ("measured_ms_per_report", "measured_ms_per_suggest", "measured_share")


def _table(case: Case) -> dict[str, Any]:
    return {name: value for name, value in Simulation(case).run().items() if name not in MEASURED}


def test_the_same_seed_gives_the_same_table_and_another_one_does_not() -> None:
    case = replace(SMALL, losses=20.0)
    assert _table(case) == _table(case)
    assert _table(case) != _table(replace(case, seed=1))


@pytest.mark.parametrize("losses", [0.0, 20.0, 60.0])
def test_every_trial_and_finalist_ends_whatever_is_lost(losses: float) -> None:
    simulation = Simulation(replace(SMALL, losses=losses))
    row = simulation.run()
    arms = len(simulation.arms)
    assert sum(simulation.ended.values()) == arms * SMALL.trials
    assert not simulation.finals
    repeats = row["starts"] - sum(simulation.ended.values()) - SMALL.finalist_seeds * arms
    assert 0 <= repeats <= SMALL.finalist_seeds * arms + NODE * row["nodes_lost"], (
        "the default may be the best too"
    )
    assert (row["repeated"] > 0) == (losses > 0)


def test_time_is_work_waiting_and_nothing_else() -> None:
    """One slot without losses: epochs, starts and the driver, one after another."""
    case = replace(SMALL, slots=1)
    simulation = Simulation(case)
    row = simulation.run()
    waited = (
        row["starts"] * (case.start_seconds + case.trial_ms / 1e3)
        + row["reports"] * case.report_ms / 1e3
    )
    assert row["answer_s"] == pytest.approx(simulation.useful + waited, abs=0.2)
    assert row["driver_share"] == pytest.approx(simulation.driver / row["answer_s"], abs=1e-3)


def test_more_slots_are_faster_and_leave_tpe_blinder() -> None:
    few, many = (_table(replace(SMALL, slots=slots)) for slots in (1, 32))
    assert many["answer_s"] < few["answer_s"] / 8
    assert many["used"] < few["used"]
    assert few["random"] == pytest.approx(STARTUP_TRIALS / SMALL.trials, abs=0.2)
    assert many["random"] > few["random"]


def test_a_slow_driver_makes_trials_wait() -> None:
    quick, slow = (
        _table(replace(SMALL, slots=32, report_ms=ms, trial_ms=ms)) for ms in (0.0, 2000.0)
    )
    assert quick["driver_share"] == 0
    assert 0.5 < slow["driver_share"] <= 1
    assert slow["answer_s"] > quick["answer_s"]


def test_a_journal_gives_the_epochs_lengths(tmp_path: Path) -> None:
    journal = tmp_path / "trials.jsonl"
    lines: list[dict[str, Any]] = []
    for backbone, seconds in (("resnet18", 1.0), ("resnet34", 2.0), ("resnet50", 3.0)):
        name = f"{backbone}/plain/000"
        trial = {
            "arm": f"{backbone}/plain",
            "number": 0,
            "sample": {},
            "recipe": {"backbone": backbone},
        }
        lines.append({"event": "trial", "trial_id": name} | trial)
        epochs = [
            {"epoch": epoch, "score": 0.5, "epoch_seconds": seconds * epoch} for epoch in (1, 2, 3)
        ]
        lines.append({"event": "epochs", "trial_id": name, "epochs": epochs})
    journal.write_text("".join(json.dumps(line | {"time": 0}) + "\n" for line in lines))
    assert recorded(journal) == {"resnet18": 2.0, "resnet34": 4.0, "resnet50": 6.0}
    journal.write_text("".join(json.dumps(line | {"time": 0}) + "\n" for line in lines[:2]))
    with pytest.raises(SystemExit, match="lacks resnet34, resnet50"):
        recorded(journal)


def test_the_command_prints_a_table_or_json() -> None:
    command = [
        sys.executable,
        "benchmarks/cluster_sim.py",
        "--slots",
        "4",
        "--losses",
        "0",
        "--trials",
        "2",
    ]
    root = Path(__file__).parents[2]
    lines = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert lines[0].split()[0] == "slots"
    assert lines[1].split()[:2] == ["4", "0"]
    done = subprocess.run(
        [*command, "--json"], cwd=root, capture_output=True, text=True, check=True
    )
    assert [row["slots"] for row in json.loads(done.stdout)["rows"]] == [4]
