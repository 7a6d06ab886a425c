"""Sweeps as real processes that tests hurt.

What they have done is read from their journals, never guessed from a clock.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# Seconds: a sweep takes 15 where nothing else runs, 150 where six others want each core.
PATIENCE_S = 300.0
POLLED_EVERY = 0.05  # seconds; an epoch takes six times as long
EPOCHS = 6  # of a trial, by the demo preset
MARK = "DVT_FAULT_TEST"  # in the environment of all that a test starts

STUDY = """
import os
from dataclasses import replace

import trainables.cpus
from search_spaces.space import Float, SearchSpace
from sweeps.runner import PRESETS, Study, main

SPACE = SearchSpace(
    arms={{"backbone": ("resnet18",)}},
    tuned={{"stage2_lr": Float(low=1e-4, high={high}, log=True, default=1e-3)}},
    fixed={{"trainable_layers": 2, "stage1_epochs": 2, "augmentation": "none"}},
)
SIZES = {{"demo": replace(PRESETS["demo"], finalist_seeds=int(os.environ["DVT_FAULT_FINALISTS"]))}}
STUDY = Study(
    name="faults",
    question="Is anything lost?",
    space=SPACE,
    trials_per_arm=3,
    asha=False,
    presets=SIZES,
)

if __name__ == "__main__":
    # On all cores: on one Ray takes half a minute to start.
    if os.environ["DVT_FAULT_SLOTS"] == "1":
        trainables.cpus.available_cpus = lambda: 1
    main(STUDY)
"""
NEW = ("--preset", "demo", "--data", "digits", "--weights", "none", "--trials")


def write_study(path: Path, high: float = 1e-2) -> Path:
    path.write_text(STUDY.format(high=high))
    return path


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


class Faulty:
    """One sweep, and the drivers that have run it.

    Args:
        storage: Where everything is kept.
        name: Of the sweep.
        environment: Of all its processes.
        slots: Trials that run at once, at most 2.
        finalist_seeds: Of each finalist; without any a sweep ends 8 s earlier.
    """

    def __init__(
        self,
        storage: Path,
        name: str,
        environment: Mapping[str, str],
        *,
        slots: int,
        finalist_seeds: int,
    ) -> None:
        self.storage, self.name, self.folder = storage, name, storage / "sweeps" / name
        storage.mkdir(parents=True, exist_ok=True)
        self.study = write_study(storage / "faults.py")
        self.uri = f"sqlite:///{storage / 'mlflow.db'}"
        self.driver: subprocess.Popen[bytes] | None = None
        # Names that were seen in each trial's folder, in this order.
        self.checkpoints: dict[str, list[str]] = {}
        self._environment = {
            **environment,
            "DVT_FAULT_SLOTS": str(slots),
            "DVT_FAULT_FINALISTS": str(finalist_seeds),
        }
        self._log = storage / "log.txt"

    def start(self, trials: int, *arguments: str) -> None:
        """Run its first command."""
        self._run([*NEW, str(trials), "--name", self.name, *arguments])

    def resume(self, *arguments: str) -> None:
        self._run(["--resume", self.name, *arguments])

    def command(self, *arguments: str) -> Ran:
        """Run the study once more, beside the driver if there is one, and wait for its end."""
        line = [sys.executable, str(self.study), *arguments, "--storage", str(self.storage)]
        done = subprocess.run(
            line,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def sync(self) -> Ran:
        """`dvt sync NAME`."""
        program = "from sweeps.commands.dvt import main; main()"
        line = [sys.executable, "-c", program, "sync", self.name, "--storage", str(self.storage)]
        done = subprocess.run(
            line,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def kill(self) -> None:
        """SIGKILL for the driver."""
        assert self.driver is not None
        self.driver.kill()
        self.driver.wait()

    def signal(self, number: int) -> None:
        assert self.driver is not None
        self.driver.send_signal(number)

    def ended(self, within: float = PATIENCE_S) -> int:
        """Wait for the driver's end; its exit status."""
        assert self.driver is not None
        deadline = time.monotonic() + within
        while self.driver.poll() is None:
            self._look_at_checkpoints()
            assert time.monotonic() < deadline, (
                f"the driver still runs after {within:g} s\n{self.log[-3000:]}"
            )
            time.sleep(POLLED_EVERY)
        self._look_at_checkpoints()
        return self.driver.returncode

    def wait_for(self, happened: Callable[[], Any]) -> None:
        """Look until it is so; fails where the driver ends before."""
        assert self.driver is not None
        deadline = time.monotonic() + PATIENCE_S
        while not happened():
            self._look_at_checkpoints()
            assert self.driver.poll() is None or happened(), (
                f"the driver ended with {self.driver.returncode}\n{self.log[-3000:]}"
            )
            assert time.monotonic() < deadline, (
                f"nothing came in {PATIENCE_S:g} s\n{self.log[-3000:]}"
            )
            time.sleep(POLLED_EVERY)

    @property
    def log(self) -> str:
        """What all drivers have said."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def events(self) -> list[dict[str, Any]]:
        """The journal, but for a line that is being written."""
        try:
            text = (self.folder / "trials.jsonl").read_text()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def count(self, kind: str) -> int:
        return sum(event["event"] == kind for event in self.events)

    @property
    def epochs(self) -> int:
        """Epochs in the journal, of all trials."""
        return sum(len(event["epochs"]) for event in self.events if event["event"] == "epochs")

    def epochs_of(self, number: int) -> list[int]:
        """Epochs of a trial, as often as they are in the journal."""
        told = [
            event
            for event in self.events
            if event["event"] == "epochs" and event["trial_id"] == trial(number)
        ]
        return [epoch["epoch"] for event in told for epoch in event["epochs"]]

    def worker_of(self, number: int) -> int:
        """The process that trains a trial."""
        path = self.folder / "checkpoints" / trial(number).replace("/", "-") / "worker.json"
        return int(json.loads(path.read_text())["pid"])

    def saved(self, number: int) -> list[int]:
        """Epochs of a trial whose `last` checkpoints were seen, in order."""
        names = self.checkpoints.get(trial(number).replace("/", "-"), [])
        return [int(name.split("-")[1]) for name in names]

    def _run(self, arguments: Iterable[str]) -> None:
        line = [sys.executable, str(self.study), *arguments, "--storage", str(self.storage)]
        with self._log.open("ab") as log:
            self.driver = subprocess.Popen(line, env=self._environment, stdout=log, stderr=log)

    def _look_at_checkpoints(self) -> None:
        for path in sorted((self.folder / "checkpoints").glob("*/last-*.pt")):
            seen = self.checkpoints.setdefault(path.parent.name, [])
            if path.name not in seen:
                seen.append(path.name)


def trial(number: int) -> str:
    return f"resnet18/{number:03d}"


def environment(cache: Path, mark: str) -> dict[str, str]:
    """Each epoch is reported and saved at once; torch never sees a GPU.

    The address that MLflow writes into the environment of the process that sets one is left out.
    """
    ours = {
        "RAY_AUTH_MODE": "disabled",
        "DVT_REPORT_EVERY": "0",
        "CUDA_VISIBLE_DEVICES": "",
        "DVT_CACHE_DIR": str(cache),
    }
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")
    }
    return {**inherited, **ours, "PYTHONPATH": str(ROOT), MARK: mark}


def end_all(mark: str) -> None:
    """Kill every process that has the mark in its environment.

    A driver may be left, and what its Ray has left.
    """
    wanted = f"{MARK}={mark}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if wanted in path.read_bytes().split(b"\0"):
                os.kill(int(path.parent.name), signal.SIGKILL)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A file system of that size at a folder; gives what changes the size.

    Raises PermissionError where one may not mount.
    """
    folder.mkdir(parents=True)
    if not shutil.which("mount") or _mount(
        "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)
    ):
        raise PermissionError("this user may not mount")
    try:
        yield (
            lambda size: (
                subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)
                and None
            )
        )
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode
