"""Caveats, and the banner of a sweep that is not whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic_sweep import make
from sweeps.report.cautions import banner, cautions
from sweeps.report.findings import Findings, find
from sweeps.report.runs import read_run, resume_command
from tests.unit.sweeps.journals import chosen, finished, resumed

ARMS = ("resnet18/plain", "resnet18/tricks")


def made(storage: Path, name: str = "one", **asked: Any) -> Path:
    return make(storage, name, **{"arms": ARMS, "trials": 5, "images": 60, **asked})


def test_a_whole_sweep_has_no_banner(found: Findings) -> None:
    assert banner(found.run) == []


def test_an_interrupted_sweep_shows_how_far_it_came_and_the_command_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said, command = banner(read_run(made(tmp_path / "mlruns", finish=None, seeds=())))
    assert said == "This sweep was interrupted: 10 of 10 trials done. To continue:"
    assert command == "python sweeps/depth_vs_tricks.py --resume one"


def test_a_running_sweep_says_that_it_will_change(tmp_path: Path) -> None:
    assert banner(read_run(made(tmp_path), "running"))[0].startswith(
        "This sweep is running: 10 of 10 trials and "
    )


@pytest.mark.parametrize("state", ["failed", "damaged"])
def test_other_states_are_named(tmp_path: Path, state: str) -> None:
    assert state in banner(read_run(made(tmp_path), state))[0]


def test_a_sweep_that_finished_with_trials_left_is_partial(tmp_path: Path) -> None:
    said, command = banner(read_run(made(tmp_path, described={"trials_per_arm": 9}, seeds=())))
    assert said.startswith("This sweep is partial: 10 of 18 trials done.")
    assert "--resume one" in command


def test_trials_of_an_arm_that_is_gone_do_not_make_a_partial_sweep_whole(tmp_path: Path) -> None:
    """`--accept-changes` went on without it; as many trials have ended as are asked for."""
    folder = made(tmp_path, trials=3, seeds=(), described={"arms": ARMS[:1], "trials_per_arm": 5})
    said, command = banner(read_run(folder))
    assert said.startswith("This sweep is partial: 3 of 5 trials done.")
    assert "--resume one" in command


def test_finalists_of_an_arm_that_is_gone_do_not_make_a_partial_sweep_whole(
    tmp_path: Path,
) -> None:
    folder = made(tmp_path, trials=5, described={"arms": ARMS[:1]})
    left = [f"{ARMS[0]}/000/s{seed}" for seed in range(5)]
    with (folder / "trials.jsonl").open("a") as journal:
        for line in (resumed(), chosen(*left, f"{ARMS[0]}/000/s5"), finished()):
            journal.write(json.dumps(line) + "\n")
    said, _ = banner(read_run(folder))
    assert said.startswith("This sweep is partial: 5 of 5 trials and 5 of 6 finalist runs done.")


def test_the_command_to_resume_names_another_storage_and_the_study_as_it_was_started(
    tmp_path: Path,
) -> None:
    folder = made(tmp_path / "my runs", described={"command": "python my/study.py --trials 3"})
    assert (
        resume_command(read_run(folder))
        == f"python my/study.py --resume one --storage '{tmp_path}/my runs'"
    )


def test_what_was_lost_is_said(tmp_path: Path) -> None:
    found = find(read_run(made(tmp_path, lost=("resnet18/plain/000/s1",))))
    said = "\n".join(cautions(found))
    assert "resnet18/plain/000/s1 failed" in said
    assert "2 trials failed: CUDA out of memory." in said


def test_an_arm_none_of_whose_recipes_has_completed_is_said(tmp_path: Path) -> None:
    lost = [f"resnet18/plain/{number:03d}/s{seed}" for number in range(5) for seed in range(5)]
    said = cautions(find(read_run(made(tmp_path, lost=lost))))
    assert (
        "No recipe of resnet18/plain has a finalist that completed: it is not compared on the test "
        "split."
    ) in said
    assert "Not tested, since a comparison lacks an arm: tricks." in said


def test_that_an_arm_was_decided_sooner_is_no_caveat(tmp_path: Path) -> None:
    turns = {"recipes": 3, "trials": 6, "outcomes": (), "seeds": range(6)}
    found = find(read_run(made(tmp_path, stopped={ARMS[0]: 3}, **turns)))
    assert not [line for line in cautions(found) if "seed" in line]


def test_few_seeds_are_said(tmp_path: Path) -> None:
    said = cautions(find(read_run(made(tmp_path, seeds=(0, 1)))))
    assert "Fewer than 3 seeds (2): values have no intervals, and nothing is tested." in said


def test_a_best_value_at_the_end_of_its_range_is_said(tmp_path: Path) -> None:
    folder = made(tmp_path)
    described = json.loads((folder / "sweep.json").read_text())
    for arm in ARMS:
        described["definition"][arm]["tuned"]["trainable_layers"] |= {"low": 3, "high": 9}
    (folder / "sweep.json").write_text(json.dumps(described))
    assert any(
        "trainable_layers = 3 is at the low end" in line
        for line in cautions(find(read_run(folder)))
    )


def test_many_lines_of_a_kind_are_cut_short(tmp_path: Path) -> None:
    folder = made(tmp_path)
    for file in (folder / "predictions").iterdir():
        file.unlink()
    said = cautions(find(read_run(folder)))
    assert sum("is not there" in line for line in said) == 6
    assert said[-1] == "And 19 more of this kind."
