"""A team's database: MLflow on a real PostgreSQL, into which several sweeps write at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.audit import audit
from tests.integration.conftest import ROOT, STUDY, environment, run
from tests.integration.postgres import PASSWORD, Postgres, missing

pytestmark = [pytest.mark.skipif(bool(missing()), reason=missing()), pytest.mark.timeout(600)]

ARM = ("--preset", "demo", "--arms", "resnet18/plain")
SMALL = (*ARM, "--weights", "none", "--trials", "2", "--seeds", "3")
PREPARE = """
import sys
from pathlib import Path
from mlflow import MlflowClient
from sweeps.tracking.store import prepare_store
print("ready", flush=True)
sys.stdin.readline()
prepare_store(sys.argv[1], Path())
"""


def test_sweeps_that_are_the_first_of_a_database_make_its_tables_one_after_the_other(
    postgres: Postgres,
) -> None:
    uri = postgres.database("empty")
    line = [sys.executable, "-c", PREPARE, uri]
    pipes = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    first = [subprocess.Popen(line, cwd=ROOT, env=environment(), **pipes) for _ in range(2)]
    for process in first:
        assert process.stdout.readline() == "ready\n"
    for process in first:
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=200)[1] for process in first]
    assert [process.returncode for process in first] == [0, 0], said


@pytest.mark.slow
def test_two_sweeps_write_at_once_and_lose_nothing(
    postgres: Postgres, tmp_path: Path, cache: str
) -> None:
    uri = postgres.database("shared")
    names = ("one", "two")
    logs = [tmp_path / f"{name}.txt" for name in names]
    drivers = [
        started(tmp_path, log, cache, "--name", name, "--tracking-uri", uri)
        for name, log in zip(names, logs, strict=True)
    ]
    assert [driver.wait(500) for driver in drivers] == [0, 0], [
        log.read_text()[-2000:] for log in logs
    ]
    for name in names:
        found = audit(tmp_path / "mlruns" / "sweeps" / name, uri)
        assert (found["lost"], found["ended"], found["trials"]) == (0, {"completed": 2}, 2), found
    with postgres.connect("shared") as connection:
        query = "select status, count(*) from runs group by status"
        assert {status for status, _ in connection.execute(query)} == {"FINISHED"}
        query = "select count(*) from registered_model_aliases"
        assert connection.execute(query).fetchall() == [(1,)], (
            "two sweeps of one study share a model, and one is its champion"
        )
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in written if PASSWORD.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("of", "by", "reason"),
    [
        (PASSWORD, "wrong", "password authentication failed"),
        ("/nowhere", "/elsewhere", 'database "elsewhere" does not exist'),
    ],
)
def test_a_database_that_does_not_open_is_refused_in_one_line(
    postgres: Postgres, tmp_path: Path, of: str, by: str, reason: str
) -> None:
    uri = f"postgresql://team:{PASSWORD}@127.0.0.1:{postgres.port}/nowhere".replace(of, by)
    done = run(tmp_path, *SMALL, "--tracking-uri", uri)
    assert (done.code, done.err.count("\n")) == (2, 1), done
    assert reason in done.err
    assert PASSWORD not in done.err
    assert "wrong" not in done.err


@pytest.mark.slow
def test_a_database_that_is_away_for_a_while_has_everything_in_the_end(
    postgres: Postgres, tmp_path: Path, cache: str
) -> None:
    uri = postgres.database("restarted")
    log, journal = tmp_path / "log.txt", tmp_path / "mlruns" / "sweeps" / "away" / "trials.jsonl"
    driver = started(tmp_path, log, cache, "--name", "away", "--tracking-uri", uri)
    try:
        wait_for(journal, '"epochs"', driver)
        postgres.stop()
        wait_for(journal, '"outcome"', driver)
        postgres.start()
        assert driver.wait(300) == 0, log.read_text()[-2000:]
    finally:
        driver.kill()
        if not postgres.runs:
            postgres.start()
    found = audit(tmp_path / "mlruns" / "sweeps" / "away", uri)
    assert (found["lost"], found["ended"]) == (0, {"completed": 2}), found


def started(cwd: Path, log: Path, cache: str, *flags: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        line = [sys.executable, str(STUDY), *SMALL, *flags]
        return subprocess.Popen(
            line, cwd=cwd, env=environment(DVT_CACHE_DIR=cache), stdout=output, stderr=output
        )


def wait_for(journal: Path, word: str, driver: subprocess.Popen[bytes]) -> None:
    while not (journal.exists() and word in journal.read_text()):
        assert driver.poll() is None, "the driver ended"
        time.sleep(0.05)
