"""Who asked for it is told of a sweep's end once, and what was given for that is shown nowhere."""

from __future__ import annotations

import json
import math
import shlex
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.refused import BROKEN_OFF, DONE, FAILED, INTERRUPTED
from sweeps.runner import launch
from sweeps.runner.ending import _verdict
from sweeps.runner.notify import Ending, check, send
from sweeps.runner.options import command, parse
from sweeps.runner.progress import Progress
from tests.unit.sweeps.runner.made_up_course import lines, screen

TOKEN = "T0KEN-T0KEN"
PAGE = Path("/runs/sweeps/night/report.html")
WON = Ending(status=DONE, said="The best model is resnet18/plain/000.", report=PAGE)


def _program(folder: Path, body: str) -> str:
    """Return a command whose program is Python."""
    script = folder / "tell it.py"
    script.write_text(f"import json, os, sys, time\nfrom pathlib import Path\n{body}\n")
    return shlex.join([sys.executable, str(script), "first"])


def test_a_command_gets_the_outcome_as_its_last_argument_and_in_its_environment(
    tmp_path: Path,
) -> None:
    told = tmp_path / "told.json"
    names = "{name: os.environ[name] for name in os.environ if name.startswith('DVT_')}"
    text = f"json.dumps([sys.argv[1:], {names}])"
    target = _program(tmp_path, f"Path({str(told)!r}).write_text({text})")
    check(target)
    assert send(target, "night", WON) == ""
    arguments, variables = json.loads(told.read_text())
    assert arguments == ["first", f"Sweep night: done\n{WON.said}\n{PAGE}"]
    assert (
        variables
        | {
            "DVT_SWEEP": "night",
            "DVT_OUTCOME": "done",
            "DVT_VERDICT": WON.said,
            "DVT_REPORT": str(PAGE),
        }
        == variables
    )


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(DONE, "done"), (INTERRUPTED, "interrupted"), (BROKEN_OFF, "broken off"), (FAILED, "failed")],
)
def test_each_end_has_its_word(tmp_path: Path, status: int, outcome: str) -> None:
    told = tmp_path / "told"
    target = _program(tmp_path, f"Path({str(told)!r}).write_text(sys.argv[-1])")
    assert send(target, "night", Ending(status=status)) == ""
    assert told.read_text() == f"Sweep night: {outcome}"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("sys.exit(3)", "the command ended with 3"),
        ("sys.exit('no net')", "the command ended with 1: no net"),
        (
            f"sys.exit('https://user:{TOKEN}@there refused it')",
            "the command ended with 1: https://user:***@there refused it",
        ),
        ("time.sleep(60)", "the command did not end within 0.5 s"),
    ],
)
def test_a_command_that_fails_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, why: str
) -> None:
    if "sleep" in body:
        monkeypatch.setattr("sweeps.runner.notify.WITHIN_S", 0.5)
    said = send(_program(tmp_path, body), "night", WON)
    assert said == f"--notify: the message was not sent ({why})."


def test_a_command_that_is_gone_by_then_is_a_line(tmp_path: Path) -> None:
    said = send(str(tmp_path / "gone"), "night", WON)
    assert said == (
        "--notify: the message was not sent (the command cannot be run: No such file or directory)."
    )


@pytest.mark.parametrize(
    ("target", "rule"),
    [
        ("", "--notify must be a URL or a command, not an empty text."),
        ("nosuchprogram --now", "but 'nosuchprogram' is not"),
        ("say 'it", "as a shell takes it (No closing quotation): quote it."),
        (f"nosuch://{TOKEN}", "it does not know nosuch://*** as it is given"),
        (f"slack://{TOKEN}", "it does not know slack://*** as it is given"),
    ],
)
def test_what_could_not_be_sent_is_refused_before_anything_starts(target: str, rule: str) -> None:
    with pytest.raises(ValueError, match="--notify must be") as error:
        check(target)
    assert rule in str(error.value)
    assert TOKEN not in str(error.value)


def test_without_apprise_a_url_is_refused_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(ValueError, match="pip install apprise, or give a command") as error:
        check(f"ntfys://{TOKEN}")
    assert TOKEN not in str(error.value)
    check(shlex.quote(sys.executable))


@pytest.fixture
def service() -> Iterator[SimpleNamespace]:
    """Run a service that takes JSON, or answers with another status."""
    noted = SimpleNamespace(status=200, got=[], port=0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            noted.got.append(json.loads(self.rfile.read(size)))
            self.send_response(noted.status)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    noted.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield noted
    server.shutdown()
    server.server_close()


def test_a_url_is_sent_by_apprise(service: SimpleNamespace) -> None:
    target = f"json://user:{TOKEN}@127.0.0.1:{service.port}/"
    check(target)
    assert send(target, "night", WON) == ""
    (got,) = service.got
    assert (got["title"], got["message"]) == ("Sweep night: done", f"{WON.said}\n{PAGE}")


def test_a_service_that_does_not_take_it_is_a_line_without_the_token(
    service: SimpleNamespace, capfd: pytest.CaptureFixture[str]
) -> None:
    service.status = 403
    said = send(f"json://user:{TOKEN}@127.0.0.1:{service.port}/", "night", WON)
    assert said == "--notify: the message was not sent (the service did not take it)."
    assert TOKEN not in "".join(capfd.readouterr())


def _plan(target: str | None) -> Any:
    options = SimpleNamespace(notify=target, verbose=False, bounds=None)
    folder = Path("/nowhere/sweeps/night")
    return SimpleNamespace(
        options=options,
        name="night",
        folder=folder,
        arms=[],
        finalist_seeds=(),
        trials_per_arm=1,
        score="accuracy",
    )


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (WON, "done"),
        (Ending(status=BROKEN_OFF), "broken off"),
        (OSError(28, "No space left on device"), "failed"),
        (KeyboardInterrupt(), "interrupted"),
        (AssertionError("a fault of ours"), "failed"),
    ],
)
def test_it_is_sent_once_whatever_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: Any, outcome: str
) -> None:
    told = tmp_path / "told"
    body = f"print(sys.argv[-1].splitlines()[0], file=Path({str(told)!r}).open('a'))"
    plan = _plan(_program(tmp_path, body))

    def run(*given: Any) -> Ending:
        if isinstance(end, BaseException):
            raise end
        return end

    monkeypatch.setattr(launch, "_prepare", lambda *given: SimpleNamespace(plan=plan))
    monkeypatch.setattr(launch, "_run", run)
    progress = Progress(screen())
    past: Any = SimpleNamespace()
    if isinstance(end, KeyboardInterrupt | AssertionError):
        with pytest.raises(type(end)):
            launch.launch(plan, progress, past)
    else:
        launch.launch(plan, progress, past)
    assert told.read_text().splitlines() == [f"Sweep night: {outcome}"]


def test_what_cannot_be_sent_hurts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = _plan("/nowhere/tell")
    monkeypatch.setattr(launch, "_prepare", lambda *given: SimpleNamespace(plan=plan))
    monkeypatch.setattr(launch, "_run", lambda *given: WON)
    progress = Progress(screen(width=200))
    past: Any = SimpleNamespace()
    assert launch.launch(plan, progress, past) == DONE
    assert lines(progress.console) == [
        "--notify: the message was not sent (the command cannot be run: No such file or directory)."
    ]


def test_the_verdict_is_the_first_sentence_with_its_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = "No clear winner: they are 2.4 points (−7.3 to 12.2) apart."
    said = [f"{first} Shipped is resnet18/plain/000.", "Depth: worse."]
    monkeypatch.setattr("sweeps.report.headline.headline", lambda findings: said)
    report: Any = SimpleNamespace(findings=math)
    assert _verdict(report) == first


def test_it_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    study = command("x", "")
    assert parse(study, []).notify is None
    monkeypatch.setenv("DVT_NOTIFY", f"ntfys://{TOKEN}")
    assert parse(study, []).notify == f"ntfys://{TOKEN}"
    assert parse(study, ["--notify", "true"]).notify == "true"
    assert parse(study, ["--resume", "night", "--notify", "true"]).resume == "night"
