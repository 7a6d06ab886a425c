"""A process for one sweep: its lines are shown, interrupts reach it, it ends with the kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from sweeps.depth_vs_tricks import STUDY
from sweeps.runner.notebook import process
from sweeps.runner.notebook.errors import SweepRefused
from sweeps.runner.notebook.process import Ended, run_apart

READS = "import os, pickle, sys, time\nstudy, arguments = pickle.load(sys.stdin.buffer)\n"


def ended(program: str, monkeypatch: pytest.MonkeyPatch, **variables: str) -> Ended:
    """Run a program in the place of a sweep."""
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-c", READS + program))
    return run_apart(STUDY, ["--trials=1"], variables)


def test_what_it_prints_is_shown_and_the_line_of_its_progress_is_replaced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = ended(
        "print(study.name, arguments, os.environ['DVT_X'], os.environ.get('FORCE_COLOR'))\n"
        "print('[5s] Preparing: the data')\n"
        "print('[1m10s] 1/4 trials done')\n"
        "print('caf\u00e9')",
        monkeypatch,
        DVT_X="set",
    )
    assert done == Ended(
        status=0,
        said=("depth_vs_tricks ['--trials=1'] set None", "café"),
        problems=(),
        interrupts=0,
    )
    first, last = "[5s] Preparing: the data", "[1m10s] 1/4 trials done"
    blank = " " * len(last)
    assert capsys.readouterr().out == (
        "depth_vs_tricks ['--trials=1'] set None\n"
        f"\r{first}\r{last.ljust(len(first))}\r{blank}\rcafé\n"
    )


def test_problems_are_the_exceptions_where_it_refuses_and_are_shown_where_it_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = "print('error: one', file=sys.stderr); print('two', file=sys.stderr); sys.exit({})"
    for status, shown in ((2, "two\n"), (1, "two\nerror: one\n")):
        done = ended(program.format(status), monkeypatch)
        assert (done.status, done.problems) == (status, ("one",))
        assert capsys.readouterr().err == shown


def test_colors_that_a_kernel_forces_are_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("MPLBACKEND", "module://inline")
    done = ended("print(os.environ.keys() & {'FORCE_COLOR', 'MPLBACKEND'})", monkeypatch)
    assert done.said == ("set()",)


def test_a_process_that_dies_has_the_signals_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ended("os.kill(os.getpid(), 9)", monkeypatch).status == -signal.SIGKILL


@pytest.mark.parametrize("times", [1, 3])
def test_an_interrupt_reaches_it_and_the_third_one_ends_it(
    monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    program = (
        "import signal\n"
        "signal.signal(signal.SIGINT, lambda *_: seen.append(1))\n"
        "seen = []\n"
        "print('ready', flush=True)\n"
        f"while len(seen) < {1 if times == 1 else 99}: time.sleep(0.01)\n"
        "print('Interrupted: 0 of 4 trials')\n"
        "sys.exit(130)"
    )
    shown: list[str] = []
    original = process._Screen.show

    def show(self: Any, line: str, stream: Any) -> None:
        shown.append(line)
        original(self, line, stream)

    def interrupt() -> None:
        while not shown:
            time.sleep(0.01)
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)

    monkeypatch.setattr(process._Screen, "show", show)
    threading.Thread(target=interrupt, daemon=True).start()
    done = ended(program, monkeypatch)
    assert done.interrupts == times
    if times == 1:
        assert (done.status, done.said) == (130, ("ready", "Interrupted: 0 of 4 trials"))
    else:
        assert done.status == -signal.SIGKILL


def test_it_runs_where_the_main_thread_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Ended] = []
    thread = threading.Thread(target=lambda: found.append(ended("print('there')", monkeypatch)))
    thread.start()
    thread.join(30)
    assert found[0].said == ("there",)


def test_where_the_kernel_ends_the_sweep_is_asked_to_stop(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys, threading, time\n"
        "from sweeps.runner.notebook.child import _stop_with_the_kernel\n"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(7))\n"
        "threading.Thread(target=_stop_with_the_kernel, daemon=True).start()\n"
        "time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)
    child.communicate(timeout=30)
    assert child.returncode == 7


def test_a_study_that_cannot_be_handed_on_is_refused() -> None:
    study: Any = threading.Lock()
    with pytest.raises(SweepRefused, match="the study must hold plain values, but"):
        run_apart(study, [], {})
