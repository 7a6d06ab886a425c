"""How a sweep that could not go on ends: what it says, and its exit status."""

from __future__ import annotations

import io
import math
import shlex
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from cluster.refused import BROKEN_OFF, DONE, FAILED
from sweeps.records.results import Finalist, Outcome, Results
from sweeps.runner import ending, launch
from sweeps.runner.description import resume_command
from sweeps.runner.ending import _last_lines, _shipped, broken_off
from sweeps.runner.options import Options
from sweeps.runner.progress import Progress
from sweeps.terminal.screen import screen
from trainables.metrics import INFERENCE_MS, PARAMETERS
from trainables.recipe import Recipe

ARM = "resnet18/plain"


def ended(*outcomes: Outcome | None) -> Results:
    results = Results({ARM: 9})
    for number, outcome in enumerate(outcomes):
        record = results.start(f"{ARM}/{number:03d}", ARM, number, Recipe())
        record.outcome = outcome
        record.score = 0.5
    return results


def test_a_sweep_that_broke_off_says_by_its_status_whether_a_trial_completed() -> None:
    badly = [outcome for outcome in Outcome if outcome is not Outcome.COMPLETED]
    assert (FAILED, BROKEN_OFF) == (1, 3)
    assert broken_off(ended()) == FAILED
    assert broken_off(ended(*badly, None)) == FAILED
    assert broken_off(ended(*badly, None, Outcome.COMPLETED)) == BROKEN_OFF


def finals(*scores: float, ms: float = 2.0, mb: float = 40.0) -> Results:
    """Return the seeds of one finalist that completed."""
    results = Results({ARM: len(scores)})
    group = f"{ARM}/003"
    for seed, score in enumerate(scores):
        record = results.start(f"{group}/s{seed}", ARM, 3, Recipe(), Finalist(group))
        record.outcome, record.score = Outcome.COMPLETED, score
        record.test = {PARAMETERS: mb * 1e6 / 4, INFERENCE_MS: ms}
    return results


def running(**options: Any) -> Any:
    said: list[str] = []
    plan = SimpleNamespace(
        options=Options(**options), finalist_seeds=(1, 2, 3), name="night", arms=[]
    )
    materials = SimpleNamespace(data=SimpleNamespace(classes=("ant", "bee")))
    return SimpleNamespace(
        plan=plan, materials=materials, say=said.append, said=said, deadline=math.inf
    )


def test_the_best_seed_of_the_champion_is_shipped_with_all_its_seeds() -> None:
    found = _shipped(running(max_mb=41.0), ended(Outcome.COMPLETED), finals(0.7, 0.9, 0.8))
    assert found
    assert found.record.trial_id == f"{ARM}/003/s1"
    assert len(found.seeds) == 3
    assert not found.whole, "eight trials are left"


@pytest.mark.parametrize("bound", [{"max_mb": 39.9}, {"max_ms": 1.9}])
def test_where_no_finalist_is_within_the_bounds_nothing_is_shipped_and_it_is_said(
    bound: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "resume_command", lambda plan: "again")
    run = running(**bound)
    searched, retrained = ended(Outcome.COMPLETED), finals(0.7, 0.9, 0.8)
    assert _shipped(run, searched, retrained) is None
    assert _last_lines(run, searched, retrained, Outcome.COMPLETED, None) == DONE
    assert run.said == [
        "No finalist is within --max-ms and --max-mb, so none is the champion: the fastest takes "
        "2.00 ms per image, the smallest has 40.0 MB.",
        "1 of 9 trials and 3 of 3 finalists ran. To run the others:\n  again",
    ]


def test_without_finalists_the_best_trial_is_shipped_untested() -> None:
    searched = ended(Outcome.COMPLETED)
    found = _shipped(running(max_mb=50.0), searched, Results({ARM: 0}))
    assert found
    # A ResNet-18 has 44.7 MB.
    assert _shipped(running(max_mb=40.0), searched, Results({ARM: 0})) is None
    assert (found.record.trial_id, found.seeds, found.whole) == (f"{ARM}/000", (), False)
    assert _shipped(running(), ended(Outcome.FAILED), Results({ARM: 0})) is None


@pytest.fixture
def plan(tmp_path: Path) -> Any:
    options = Options(address="ray head:6379", gpus=2, gpus_per_trial=0.5)
    storage = tmp_path / "my runs"
    arms = [SimpleNamespace(name=ARM, tuned={"stage2_lr": None})]
    return SimpleNamespace(
        options=options,
        name="night",
        storage=storage,
        folder=storage / "sweeps" / "night",
        arms=arms,
        trials_per_arm=9,
        finalist_seeds=(),
        score="accuracy",
    )


def test_a_drivers_command_to_resume_is_quoted_for_a_shell(
    plan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/my studies/x.py", "--trials", "3"])
    monkeypatch.delenv("DVT_RESUME", raising=False)
    assert shlex.split(resume_command(plan)) == [
        *("python", "/my studies/x.py", "--resume", "night"),
        *("--address", "ray head:6379", "--gpus", "2", "--gpus-per-trial", "0.5"),
        *("--storage", str(plan.storage)),
    ]


@pytest.mark.parametrize(("completed", "status"), [(True, 3), (False, 1)])
def test_a_full_disk_ends_the_sweep_in_words_with_its_command_and_its_status(
    plan: Any, completed: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    past: Any = SimpleNamespace()

    def run(ready: Any, progress: Progress, interrupt: Any, searched: Results) -> int:
        if completed:
            record = searched.start(f"{ARM}/000", ARM, 0, Recipe())
            record.outcome, record.score = Outcome.COMPLETED, 0.5
        raise OSError(28, "No space left on device", f"{plan.folder}/trials.jsonl")

    plan.folder.mkdir(parents=True)
    (plan.folder / "trials.jsonl").touch()
    ready = SimpleNamespace(plan=plan)
    monkeypatch.setattr(launch, "_prepare", lambda *given: ready)
    monkeypatch.setattr(launch, "_run", run)
    shown = io.StringIO()
    assert launch.launch(plan, Progress(screen(file=shown)), past) == status
    assert shown.getvalue().splitlines() == [
        f"The sweep stopped: {plan.folder}/trials.jsonl: No space left on device. "
        f"It stays as it is in {plan.folder}.",
        "To continue:",
        f"  {resume_command(plan)}",
    ]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (PermissionError(13, "Permission denied", "/a/b"), "/a/b: Permission denied"),
        (OSError("odd\nnews"), "odd news"),
        (OSError(), "OSError"),
        (
            ConnectionRefusedError(111, "Connection refused"),
            "a connection failed ([Errno 111] Connection refused)",
        ),
        (ConnectionResetError(), "a connection failed (ConnectionResetError)"),
        (TimeoutError("no answer in 3 s"), "a connection failed (no answer in 3 s)"),
        (
            URLError(ConnectionRefusedError(111, "Connection refused")),
            "a connection failed (<urlopen error [Errno 111] Connection refused>)",
        ),
        (
            HTTPError("http://there/x", 503, "busy", {}, None),  # type: ignore[arg-type]
            "a connection failed (HTTP Error 503: busy)",
        ),
        (
            socket.gaierror(-2, "Name or service not known"),
            "a connection failed ([Errno -2] Name or service not known)",
        ),
    ],
)
def test_a_connection_that_failed_is_told_from_a_disk(error: OSError, said: str) -> None:
    assert launch._reason(error) == said
