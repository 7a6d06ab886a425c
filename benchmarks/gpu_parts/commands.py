"""Parts that run a command: the GPU tests, and the flagship study."""

from __future__ import annotations

import csv
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

ROOT = Path(__file__).parents[2]
EVERY_S = 0.5
GIB = 2**30
NEEDED_BY_A_SWEEP = ("ray", "optuna", "mlflow")
SWEEPS = {
    # 6 arms of 2 trials, and a seed of each arm's best recipe and default.
    "cuda": ("--preset", "laptop", "--gpus", "1", "--trials", "2", "--seeds", "1"),
    # A stand-in.
    "cpu": ("--preset", "demo", "--gpus", "0", "--trials", "1", "--seeds", "1",
            "--arms", "resnet18/plain"),
}  # fmt: skip
# Nothing of these needs a network.
OFFLINE = ("--data", "digits", "--weights", "none")


class LeftOutError(Exception):
    """A part cannot be run here, and that is no failure."""


class GpuUse:
    """How busy the GPU is in a block, and how much of its memory is held: sampled by a thread.

    Attributes:
        percent: Of the samples, the share of time in which a kernel ran.
        held_gib: Of the samples, memory held by all processes.
        problem: Why it cannot be known; empty where it can.
    """

    def __init__(self, device: torch.device) -> None:
        self.percent: list[float] = []
        self.held_gib: list[float] = []
        self.problem = ""
        if device.type == "cpu":
            self.problem = "there is no GPU"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def described(self) -> str:
        """Return it for a person."""
        if self.problem or not self.percent:
            return f"GPU use unknown: {self.problem or 'too short for a sample'}"
        busy = statistics.mean(self.percent)
        return f"GPU busy {busy:.0f}% of the time, at most {max(self.held_gib):.1f} GiB held"

    def figures(self) -> dict[str, Any]:
        """Return it for a file."""
        if self.problem or not self.percent:
            return {"busy_percent": None, "most_held_gib": None, "problem": self.problem}
        busy = round(statistics.mean(self.percent), 1)
        return {"busy_percent": busy, "most_held_gib": round(max(self.held_gib), 2)}

    def _sample(self) -> None:
        while not self.problem and not self._over.wait(EVERY_S):
            try:
                self.percent.append(torch.cuda.utilization(0))
                self.held_gib.append(torch.cuda.device_memory_used(0) / GIB)
            except Exception as error:  # noqa: BLE001  NVML says what it likes
                self.problem = f"{type(error).__name__}: {error}"


def tests(device: torch.device) -> dict[str, Any]:
    """Run `tests/gpu` with pytest.

    Raises:
        LeftOutError: There is no CUDA device, so pytest skips them all.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "junit.xml"
        command = ["-m", "pytest", "tests/gpu", "-q", "--tb=short", "-p", "no:cacheprovider"]
        done = _run([*command, "--junitxml", str(told)], Path(folder) / "log")
        cases = _cases(told)
        output = (Path(folder) / "log").read_text()
    for case in cases:
        _say(f"{case['outcome']:8}{case['seconds']:7.2f} s  {case['name']}")
    failed = [case for case in cases if case["outcome"] == "failed"]
    passed = [case for case in cases if case["outcome"] == "passed"]
    if done or failed:
        for line in output.splitlines()[-25:]:
            _say(line)
        raise RuntimeError(f"{len(failed)} of {len(cases)} GPU tests failed (exit status {done})")
    if not passed:
        skipped = f"all {len(cases)} GPU tests were skipped, none passed"
        if device.type == "cuda":
            raise RuntimeError(f"GPU tests must run here, but {skipped}.")
        raise LeftOutError(f"no CUDA device: {skipped}")
    summary = f"{len(passed)} GPU tests passed, {len(cases) - len(passed)} skipped"
    return {"cases": cases, "summary": summary}


def _cases(told: Path) -> list[dict[str, Any]]:
    """Return the outcome and time of each test; none where pytest did not come that far."""
    if not told.is_file():
        return []
    cases: list[dict[str, Any]] = []
    for case in ElementTree.parse(told).iter("testcase"):
        outcome = "passed"
        for child in case:
            if child.tag in ("failure", "error"):
                outcome = "failed"
            elif child.tag == "skipped":
                outcome = "skipped"
        seconds = float(case.get("time", 0))
        cases.append({"name": case.get("name"), "outcome": outcome, "seconds": seconds})
    return cases


def sweep(device: torch.device, limit_s: float) -> dict[str, Any]:
    """Run the flagship study with few trials, and measure its time and the GPU's.

    Raises:
        LeftOutError: Ray, Optuna or MLflow is not installed.
        RuntimeError: The study failed.
    """
    missing = [name for name in NEEDED_BY_A_SWEEP if importlib.util.find_spec(name) is None]
    if missing:
        raise LeftOutError(f"a sweep needs {', '.join(missing)}: not installed here")
    study = ["sweeps/depth_vs_tricks.py", *SWEEPS[device.type], *OFFLINE]
    # Trials that have not begun by half of its time are not begun: finalists and a report follow.
    study += ["--time-limit", f"{max(10, round(limit_s / 2))}s"]
    _say(f"python {' '.join(study)}")
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        started = time.perf_counter()
        with GpuUse(device) as use:
            done = _run([*study, "--storage", str(Path(folder) / "runs")], log)
        seconds = time.perf_counter() - started
        if done:
            last = " / ".join(log.read_text().strip().splitlines()[-3:])
            raise RuntimeError(f"the study ended with exit status {done}: {last}")
        rows = _results(Path(folder) / "runs")
    # What the time went to.
    in_trials = sum(float(row["device_seconds"] or 0) for row in rows)
    outcomes = [row["outcome"] for row in rows]
    ended = ", ".join(f"{outcomes.count(name)} {name}" for name in sorted(set(outcomes)))
    told = f"{seconds:.0f} s from command to end, {in_trials:.0f} device-seconds in trials"
    _say(f"{len(rows)} trials and finalists ({ended}): {told}; {use.described()}")
    for row in rows:
        _say(f"{row['trial_id']:28}{row['epochs_done']:>4} epochs {row['device_seconds'][:5]:>7} s")
    return {
        "seconds": round(seconds, 1),
        "trials": len(rows),
        "outcomes": ended,
        "device_seconds": round(in_trials, 1),
        "gpu": use.figures(),
        "summary": f"{told}; {use.described()}",
    }


def _results(storage: Path) -> list[dict[str, str]]:
    (table,) = storage.glob("sweeps/*/results.csv")
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def _run(command: Sequence[str], log: Path) -> int:
    """Run Python in the project's folder, its output in a file, and return its exit status."""
    # No address of another MLflow.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")
    }
    with log.open("w") as output:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment | {"DVT_CACHE_DIR": str(log.parent / "cache")},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return done.returncode


def _say(text: str) -> None:
    print(text, flush=True)
