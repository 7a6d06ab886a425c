"""The command for the first minutes on a GPU, on a machine that has none: every part runs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu_parts import commands, packing, steps, trials
from benchmarks.gpu_parts.__main__ import parts
from benchmarks.gpu_parts.steps import StepTimes, concluded, step_times, verdict
from tests.integration.conftest import ROOT, environment

CUDA = torch.device("cuda")
CPU = torch.device("cpu")
SHORT = ("tests", "start", "bare", "steps", "packed", "store", "memory")


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "benchmarks/gpu.py", *arguments],
        cwd=ROOT,
        env=environment(OMP_WAIT_POLICY="PASSIVE"),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(300)
def test_parts_without_other_programs_run_on_a_stand_in(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    done = _run("--device", "cpu", "--parts", "steps,memory", "--json", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["part"]: row for row in json.loads(file.read_text())["parts"]}
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "steps": "done",
        "memory": "done",
    }
    assert rows["steps"]["summary"] == concluded([], measured=False)
    assert rows["memory"]["micro_batch"] == 8


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_short_part_runs_on_a_stand_in(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    done = _run(
        *("--device", "cpu", "--minutes", "14", "--parts", ",".join(SHORT), "--json", str(file))
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(file.read_text())
    rows = {row["part"]: row for row in told["parts"]}
    assert tuple(rows) == SHORT
    assert {name for name, row in rows.items() if row["outcome"] != "done"} == {"tests"}
    # Skipped is not passed.
    assert rows["tests"]["outcome"] == "left out"
    assert "skipped, none passed" in rows["tests"]["summary"]
    # What each part is for.
    assert rows["start"]["ray"]["new worker to its first step"] > 0
    assert [row["backbone"] for row in rows["bare"]["rows"]] == ["resnet18", "resnet50"]
    assert all(row["none"]["share"] > 0 for row in rows["bare"]["rows"])
    assert rows["steps"]["summary"] == concluded([], measured=False)
    packings = [(row["trials"], row["kind"]) for row in rows["packed"]["rows"]]
    assert packings == [(count, kind) for count in (1, 2) for kind in packing.KINDS]
    assert all(len(row["each"]) == row["trials"] for row in rows["packed"]["rows"])
    assert all(row["val_loss_apart"] < 1e-6 for row in rows["store"]["rows"])
    assert rows["memory"]["micro_batch"] == 8
    assert rows["memory"]["finite"]
    # The summary comes last.
    *_, table, whole = done.stdout.rpartition("\npart ")
    assert all(f"\n{part} " in table + whole for part in SHORT)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_flagship_study_runs_on_a_stand_in(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    done = _run("--device", "cpu", "--minutes", "9", "--parts", "sweep", "--json", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads(file.read_text())["parts"]
    assert row["outcome"] == "done"
    assert (row["trials"], row["outcomes"]) == (2, "2 completed")
    assert 0 < row["device_seconds"] < row["seconds"]


def test_without_a_gpu_one_line_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    with pytest.raises(SystemExit, match="2"):
        gpu.main()
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.splitlines()
    assert line.startswith("error: a CUDA device must be there, but torch sees none: ")
    assert "--device cpu" in line


def test_parts_for_which_no_time_is_left_are_named_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--minutes", "0"])
    assert gpu.main() == 0
    lines = capsys.readouterr().out.splitlines()
    for part, (_, least) in gpu.LIMITS.items():
        (line,) = (line for line in lines if line.startswith(f"{part} "))
        assert "left out" in line
        assert f"0 s were left, and it takes {least} s or more" in line


def test_a_part_that_fails_makes_the_exit_status_1_and_the_next_one_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def run(part: str, device: str, limit_s: float) -> dict[str, Any]:
        outcome = {"bare": "failed", "store": "done"}[part]
        return {"outcome": outcome, "seconds": limit_s, "summary": f"{part} on {device}"}

    file = tmp_path / "figures.json"
    monkeypatch.setattr(gpu, "run", run)
    monkeypatch.setattr(gpu, "_device", lambda _: "a GPU")
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--parts", "bare,store", "--json", str(file)])
    assert gpu.main() == 1
    table = capsys.readouterr().out
    assert "bare    failed        80.0  bare on cuda" in table
    assert "store   done          50.0  store on cuda" in table
    told = json.loads(file.read_text())
    assert (told["machine"], [row["part"] for row in told["parts"]]) == ("a GPU", ["bare", "store"])


def test_an_unknown_part_is_refused_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--parts", "bare,fast"])
    with pytest.raises(SystemExit, match="2"):
        gpu.main()
    told = capsys.readouterr().err
    assert "parts must be of tests, start, bare" in told
    assert "but got 'fast'." in told


def test_each_part_has_a_limit() -> None:
    options: Any = SimpleNamespace(device="cpu")
    assert list(parts(options)) == list(gpu.LIMITS)


def test_no_part_imports_what_only_a_sweep_needs() -> None:
    code = "import sys, benchmarks.gpu_parts.__main__; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert not imported & {*commands.NEEDED_BY_A_SWEEP, "click", "rich"}


def test_a_part_that_fails_says_its_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    row = gpu.run("unheard", "cpu", 100)
    assert row["outcome"] == "failed"
    assert row["summary"].endswith("KeyError: 'unheard'")
    assert row["summary"] in capsys.readouterr().out


def test_a_part_that_takes_too_long_is_ended() -> None:
    began = time.monotonic()
    row = gpu.run("tests", "cpu", 0.5)
    assert row["outcome"] == "failed"
    assert row["summary"].startswith("ended after")
    assert time.monotonic() - began < 60


def test_a_failed_gpu_test_is_a_failed_part(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pytest_ends(command: list[str], log: Path) -> int:
        log.write_text("E   assert 1 == 2\n")
        Path(command[-1]).write_text(
            '<testsuites><testsuite><testcase name="one" time="1.5"/>'
            '<testcase name="two" time="0.1"><failure message="no"/></testcase>'
            "</testsuite></testsuites>"
        )
        return 1

    monkeypatch.setattr(commands, "_run", pytest_ends)
    with pytest.raises(RuntimeError, match="1 of 2 GPU tests failed"):
        commands.tests(CUDA)
    out = capsys.readouterr().out
    assert "passed     1.50 s  one" in out
    assert "assert 1 == 2" in out


def test_gpu_tests_that_are_all_skipped_on_a_gpu_are_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pytest_ends(command: list[str], log: Path) -> int:
        log.write_text("")
        Path(command[-1]).write_text("<a><testcase name='one'><skipped/></testcase></a>")
        return 0

    monkeypatch.setattr(commands, "_run", pytest_ends)
    with pytest.raises(RuntimeError, match="must run here, but all 1 GPU tests were skipped"):
        commands.tests(CUDA)
    with pytest.raises(commands.LeftOutError, match="all 1 GPU tests were skipped, none passed"):
        commands.tests(CPU)


def test_without_ray_a_sweep_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "NEEDED_BY_A_SWEEP", ("json", "no_such_ray"))
    with pytest.raises(commands.LeftOutError, match="needs no_such_ray: not installed here"):
        commands.sweep(CPU, 10.0)


# What only a GPU has, with CUDA's calls replaced


class Event:
    """An event of a device on which each step takes 4 ms, after a sleep of 100."""

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing
        self.kind = ""

    def record(self) -> None:
        Event.recorded.append(self)

    def elapsed_time(self, later: Event) -> float:
        number = Event.recorded.index(self) % 3
        assert Event.recorded.index(later) % 3 == number + 1
        return (100.0, 4.0)[number]

    recorded: list[Event] = []  # noqa: RUF012


@pytest.mark.parametrize(
    ("host_s", "said"),
    [
        (0.0, "4.00 of the device; not launch-bound"),
        (0.01, "4.00 of the device; launch-bound"),
        (0.11, "the host waits for the device"),
    ],
)
def test_host_and_device_are_timed_apart(
    host_s: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Event.recorded = []
    slept: list[int] = []
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "_sleep", slept.append)
    times = step_times(lambda: time.sleep(host_s), CUDA, 3)
    assert times.device_ms == 4.0
    assert said in verdict(times)
    assert slept == [steps.SLEEP_CYCLES] * 3


def test_what_is_launch_bound_is_concluded_in_a_plain_sentence() -> None:
    row = {"host_ms": 3.0, "device_ms": 3.0}
    assert steps.is_launch_bound(row)
    assert not steps.is_launch_bound(row | {"host_ms": 2.9})
    assert not steps.is_launch_bound(row | {"host_ms": None})
    sentence = concluded(["resnet18 fc"], measured=True)
    assert "CUDA graphs of the cached step are the next thing to try" in sentence
    assert "no step is launch-bound" in concluded([], measured=True)
    alone = StepTimes(host_ms=1.0, device_ms=None, together_ms=1.0)
    assert "a CPU is host and device in one" in verdict(alone)


def test_a_gpus_use_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "EVERY_S", 0.01)
    monkeypatch.setattr(torch.cuda, "utilization", lambda _: 40)
    monkeypatch.setattr(torch.cuda, "device_memory_used", lambda _: 3 * 2**30)
    with commands.GpuUse(CUDA) as use:
        time.sleep(0.2)
    assert use.described() == "GPU busy 40% of the time, at most 3.0 GiB held"
    assert use.figures() == {"busy_percent": 40.0, "most_held_gib": 3.0}


def test_where_a_gpus_use_cannot_be_known_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> int:
        raise ModuleNotFoundError("pynvml")

    monkeypatch.setattr(commands, "EVERY_S", 0.01)
    monkeypatch.setattr(torch.cuda, "utilization", broken)
    with commands.GpuUse(CUDA) as use:
        time.sleep(0.2)
    assert use.described() == "GPU use unknown: ModuleNotFoundError: pynvml"
    assert use.figures()["busy_percent"] is None


def test_a_gpus_memory_is_limited_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float] = []
    properties = SimpleNamespace(total_memory=16 * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", shares.append)
    with trials._scarce(trials.SIZES["cuda"], CUDA) as limit:
        assert limit == "of a GPU's memory 4 GiB"
    assert shares == [0.25, 1.0]


def test_memory_that_was_not_scarce_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    report = {"train/loss": 1.0, "val/loss": 1.0, "images_per_second": 9.0}
    monkeypatch.setattr(trials, "trained", lambda *_: [report, report])
    with pytest.raises(RuntimeError, match="a batch of 32 must not fit, but it did"):
        trials.memory(trials.SIZES["cpu"], CPU)
