"""A job that is followed ends the command as its driver ended."""

from dataclasses import replace
from typing import Any

import pytest

from cluster.refused import Refused
from cluster.service import jobs
from cluster.service.jobserver import Job, Silent
from sweeps.commands import logs

JOB = Job(
    name="s",
    status="RUNNING",
    started=60.0,
    resume="dvt submit sweeps/x.py -- --resume s",
)


class Server:
    """A job server that answers one thing after the other."""

    def __init__(self, *answers: Job | BaseException, text: str = "") -> None:
        self._answers, self._text = list(answers), text

    def job(self, name: str) -> Job:
        now = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(now, BaseException):
            raise now
        return now

    def tail(self, name: str, shown: int, show: Any) -> int:
        half = len(self._text) // 2
        show(self._text[shown:half])
        return max(shown, half)

    def log(self, name: str) -> str:
        return self._text


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.service.jobs.time.sleep", lambda seconds: None)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ({"status": "SUCCEEDED", "exit_code": 0}, 0),
        ({"status": "SUCCEEDED"}, 0),
        ({"status": "FAILED", "exit_code": 1}, 1),
        ({"status": "FAILED", "exit_code": 2}, 2),
        ({"status": "FAILED", "exit_code": 130}, 130),
        ({"status": "FAILED", "message": "runtime_env\nbroke"}, 1),
        ({"status": "STOPPED"}, 130),
    ],
)
def test_the_exit_status_is_the_drivers(end: dict[str, Any], code: int) -> None:
    assert logs.follow(Server(JOB, JOB, replace(JOB, **end), text="abcdef"), "s") == code  # type: ignore[arg-type]


def test_each_character_is_shown_once_though_the_connection_ends_early(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ended = replace(JOB, **{"status": "SUCCEEDED", "exit_code": 0})
    logs.follow(Server(JOB, JOB, JOB, ended, text="one\ntwo\nthree\nfour\n"), "s")  # type: ignore[arg-type]
    assert capsys.readouterr().out == "one\ntwo\nthree\nfour\n"


def test_a_server_that_is_started_again_is_waited_for() -> None:
    away, ended = Silent("away"), replace(JOB, **{"status": "SUCCEEDED"})
    assert logs.follow(Server(JOB, away, away, ended), "s") == 0  # type: ignore[arg-type]


@pytest.mark.parametrize("lost", [Silent("nothing answers"), Refused(*"knows no 's'")])
def test_a_lost_cluster_ends_with_what_goes_on(
    lost: Refused, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_LOST_FOR_S", 0.0)
    assert logs.follow(Server(JOB, lost), "s") == 1  # type: ignore[arg-type]
    assert "dvt submit sweeps/x.py -- --resume s" in capsys.readouterr().err


def test_ctrl_c_leaves_the_job_running(capsys: pytest.CaptureFixture[str]) -> None:
    assert logs.follow(Server(JOB, KeyboardInterrupt()), "s") == 130  # type: ignore[arg-type]
    assert "dvt stop s" in capsys.readouterr().err


def test_a_job_that_did_not_start_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    logs.follow(
        Server(JOB, replace(JOB, **{"status": "FAILED", "message": "runtime_env\nbroke"})), "s"
    )  # type: ignore[arg-type]
    assert "s failed: runtime_env broke. To resume:" in capsys.readouterr().err
