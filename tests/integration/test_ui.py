"""`dvt ui`: MLflow opens on a sweep's trials, with arm and score, and nothing stays behind."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient

from search_spaces.depth_vs_tricks import SPACE
from sweeps.commands import dvt
from sweeps.records.events import DataRecord, SweepFinished, SweepStarted, TrialEnded, TrialStarted
from sweeps.records.journal import Journal
from sweeps.records.manifest import definition
from sweeps.records.results import Outcome
from sweeps.records.variation import shared_fields
from sweeps.tracking.tracker import Tracker
from tests.integration.browser import browse, needs_chromium
from tests.integration.conftest import environment
from tests.integration.grid import cells
from tests.integration.services import free_ports

STUDY = "depth_vs_tricks"
ARMS = SPACE.matching("resnet18/*")
DATA = DataRecord(name="digits", digest="5f3a", source="sklearn", num_images={"train": 500})
SCORES = {"resnet18/plain/000": 0.5, "resnet18/tricks/000": 0.75}

pytestmark = pytest.mark.timeout(300)


def sweep(store: tuple[str, Path], name: str, *, deliver: bool = True) -> Path:
    """Write a finished sweep's folder, and deliver it."""
    folder = store[1] / "sweeps" / name
    folder.mkdir(parents=True)
    manifest = {
        "study": STUDY,
        "started": f"2026-01-0{len(list(folder.parent.iterdir()))}T00:00:00+00:00",
        "arms": [arm.name for arm in ARMS],
        "trials_per_arm": 1,
        "definition": definition(ARMS),
        "options": {"tracking_uri": None, "score": "accuracy"},
    }
    (folder / "sweep.json").write_text(json.dumps(manifest))
    journal = Journal(folder / "trials.jsonl")
    tracker = Tracker(store[0] if deliver else "http://127.0.0.1:1", store[1], journal)
    tracker.tell(
        SweepStarted(
            study=STUDY,
            sweep_name=name,
            tags={},
            params={"arms": ", ".join(arm.name for arm in ARMS)},
            dataset=DATA,
            description="Does depth pay?",
            shared=shared_fields(definition(ARMS)),
        )
    )
    for arm in ARMS:
        trial = f"{arm.name}/000"
        recipe = arm.default_recipe().as_dict()
        tracker.tell(TrialStarted(trial_id=trial, arm=arm.name, number=0, recipe=recipe))
        tracker.tell(
            TrialEnded(trial_id=trial, outcome=Outcome.COMPLETED, score=SCORES[trial], best_epoch=1)
        )
    tracker.tell(SweepFinished(outcome=Outcome.COMPLETED))
    tracker.close(timeout=60 if deliver else 0)
    journal.close()
    return folder


@contextmanager
def ui(storage: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run `dvt ui`, and yield it with the lines it has printed once MLflow answers."""
    code = "from sweeps.commands.dvt import main; main()"
    command = [sys.executable, "-c", code, "ui", "--storage", str(storage), "--no-open"]
    process = subprocess.Popen(
        [*command, *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Ctrl-C may be ignored where the tests run in the background.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    lines: list[str] = []
    assert process.stdout
    try:
        for line in process.stdout:
            lines.append(line.strip())
            if line.startswith("Ctrl-C"):
                break
        yield process, lines
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@needs_chromium
def test_its_link_shows_score_and_arm_of_each_trial_best_first_without_a_click(
    store: tuple[str, Path], tmp_path: Path
) -> None:
    sweep(store, "older")
    sweep(store, "newest")
    (port,) = free_ports(1)
    with ui(store[1], "--port", str(port)) as (process, lines):
        assert "Trials of newest, best first:" in lines, lines
        link = lines[lines.index("Trials of newest, best first:") + 1]
        assert link.startswith(f"http://127.0.0.1:{port}/#/experiments/")
        # The page asks again every 30 s.
        flags = ("--window-size=1400,900", "--virtual-time-budget=20000")
        columns = cells(browse(link, tmp_path / "profile", *flags)[0])
        assert columns["tags.`sweep.arm`"] == ["resnet18/tricks", "resnet18/plain"]
        assert columns["metrics.`score`"] == ["0.75", "0.5"]

        # Ctrl-C ends it, and nothing stays.
        family = [process.pid, *(one.pid for one in psutil.Process(process.pid).children(True))]
        assert len(family) > 2
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stdout
        assert process.stdout.read().strip() == "MLflow was stopped."
        assert not [pid for pid in family if psutil.pid_exists(pid)]


def test_a_terminal_that_is_closed_ends_it_too(store: tuple[str, Path]) -> None:
    sweep(store, "s1")
    with ui(store[1]) as (process, _):
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 0
    assert not [one for one in family if one.is_running()]


def test_a_sweep_on_a_server_gets_that_servers_link_and_no_other_server(
    store: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep(store, "s1")
    with ui(store[1]) as (_, lines):
        address = re.sub("/#.*", "", next(line for line in lines if "/#/" in line))
        manifest = json.loads((folder / "sweep.json").read_text())
        manifest["options"]["tracking_uri"] = address
        (folder / "sweep.json").write_text(json.dumps(manifest))
        before = time.monotonic()
        assert dvt.run(["ui", "--storage", str(store[1]), "--no-open"]) == 0
        assert time.monotonic() - before < 20
        said = capsys.readouterr().out
        assert f"{address}/#/experiments/1/runs?workflowType=machine_learning" in said
        assert "Starting" not in said


def test_what_mlflow_does_not_have_is_refused_with_the_command_that_delivers_it(
    store: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep(store, "s1", deliver=False)
    assert dvt.run(["ui", "s1", "--storage", str(store[1])]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    mend = f"dvt sync s1 --storage {store[1]}"
    assert f"`{mend}` delivers it." in line
    assert dvt.run(mend.split()[1:]) == 0
    # That has set the views too.
    tags = MlflowClient(store[0]).get_experiment_by_name(STUDY).tags
    assert json.loads(tags["mlflow.sharedViewState.trials"])["name"] == "Trials, best first"
