"""A job server that does not fit is refused in one line, and its token is shown nowhere."""

import json
import platform
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from cluster.refused import Refused
from cluster.service import jobserver
from cluster.service import state as service
from cluster.service.finding import find
from cluster.service.jobserver import Job, Silent

TOKEN = "5ecre7"
DRIVER = {"type": "SUBMISSION", "entrypoint": "python x.py"}
OLD = DRIVER | {
    "submission_id": "old",
    "status": "FAILED",
    "start_time": 1000,
    "end_time": 2500,
    "driver_exit_code": 2,
    "metadata": {"study": "sweeps/x.py", "resume": "dvt submit …"},
}
GOOD = {
    "/api/version": {"ray_version": version("ray")},
    "/api/v0/cluster_metadata": {"data": {"pythonVersion": platform.python_version()}},
    "/api/jobs/": [
        OLD,
        {"submission_id": None, "status": "RUNNING", "start_time": 3000, **DRIVER},
        {"submission_id": "new", "status": "RUNNING", "start_time": 2000, **DRIVER},
    ],
    "/api/jobs/old": OLD,
    "/api/jobs/old/logs": {"logs": "one\ntwo\n"},
    "/api/jobs/old/stop": {"stopped": False},
}

Serve = Callable[[dict[str, Any]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server that knows some paths and one token, as Ray's does; its address."""
    servers: list[ThreadingHTTPServer] = []

    def started(known: dict[str, Any]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                given = self.headers.get("Authorization")
                code = (
                    401
                    if not given
                    else 403
                    if given != f"Bearer {TOKEN}"
                    else 200
                    if self.path in known
                    else 404
                )
                body = json.dumps(known[self.path]) if code == 200 else "why"
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body.encode())

            do_POST = do_GET

            def log_message(self, *words: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that holds it; no service is up."""
    monkeypatch.setenv(service.FOLDER, str(tmp_path / "service"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    return path


def test_one_that_fits_is_taken_and_its_token_is_not_shown(serve: Serve) -> None:
    server = find(serve(GOOD))
    server.check_versions()
    assert [job.name for job in server.jobs()] == ["new", "old"]
    assert TOKEN not in repr(server)


def test_a_job_is_known_with_its_end_and_its_log(serve: Serve) -> None:
    server = find(serve(GOOD))
    assert server.job("old") == Job(
        name="old",
        status="FAILED",
        exit_code=2,
        started=1.0,
        ended=2.5,
        study="sweeps/x.py",
        resume="dvt submit …",
    )
    assert server.log("old") == "one\ntwo\n"
    server.stop("old")
    running = server.jobs()[0]
    assert (running.over, running.ended, running.resume) == (False, None, "")


def test_no_scheme_and_a_slash_at_the_end_are_no_matter(serve: Serve) -> None:
    address = serve(GOOD)
    assert find(address.removeprefix("http://") + "/").address == address


def test_a_missing_token_and_a_wrong_one_are_told_apart(
    serve: Serve, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = serve(GOOD)
    token.write_text("wr0ng")
    with pytest.raises(
        Refused, match=r"does not know the token in .*token: name the right file"
    ) as wrong:
        find(address).check_versions()
    assert "wr0ng" not in str(wrong.value)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    with pytest.raises(Refused, match="needs a token, but none was found"):
        find(address).check_versions()


def test_a_token_file_that_is_not_there_or_no_token_is_refused_by_its_path(token: Path) -> None:
    token.write_text("two\nlines")
    with pytest.raises(Refused, match="one line of letters and digits"):
        find("http://127.0.0.1:1")
    token.unlink()
    with pytest.raises(Refused, match="in a file that can be read"):
        find("http://127.0.0.1:1")


def test_other_versions_are_refused_with_both_numbers(serve: Serve) -> None:
    older = GOOD | {"/api/version": {"ray_version": "2.9.3"}}
    with pytest.raises(Refused, match=rf"is {version('ray')} here and 2\.9\.3 at"):
        find(serve(older)).check_versions()
    python = GOOD | {"/api/v0/cluster_metadata": {"data": {"pythonVersion": "3.9.18"}}}
    with pytest.raises(Refused, match=r"submit with Python 3\.9"):
        find(serve(python)).check_versions()


def test_nothing_there_or_something_else_is_refused(serve: Serve) -> None:
    with pytest.raises(Silent, match=r"must answer at http://127\.0\.0\.1:1, but does not"):
        find("127.0.0.1:1").check_versions()
    with pytest.raises(Refused, match="something else does"):
        find(serve({"/api/version": {"mlflow": 1}})).check_versions()
    with pytest.raises(Refused, match="HTTP 404"):
        find(serve({})).check_versions()


def test_an_unknown_job_is_refused_by_its_name(serve: Serve) -> None:
    server = find(serve(GOOD))
    for ask in (server.job, server.log, server.stop):
        with pytest.raises(Refused, match="knows no 'a/b c'"):
            ask("a/b c")


def test_a_server_that_fails_is_one_line(serve: Serve) -> None:
    known = {path: answer for path, answer in GOOD.items() if path != "/api/jobs/"}
    with pytest.raises(Refused, match=r"must do what it is asked, but does not: .*404") as refused:
        find(serve(known)).jobs()
    assert "\n" not in str(refused.value)


def test_a_wrong_token_is_told_by_what_asks_for_jobs_too(serve: Serve, token: Path) -> None:
    server = find(serve(GOOD))
    token.write_text("wr0ng")
    assert server.jobs()
    with pytest.raises(Refused, match="does not know the token"):
        find(server.address).jobs()


@pytest.mark.parametrize(
    "address",
    [
        "ray://h:10001",
        "http://user:pass@h:1",
        "http://",
        "http://h?token=1",
        "file:///etc/passwd",
        "http://[::1",
    ],
)
def test_only_addresses_of_web_servers_without_a_login_are_taken(address: str) -> None:
    with pytest.raises(Refused, match="must be that of a cluster's dashboard") as refused:
        find(address)
    assert "pass@" not in str(refused.value)


def test_without_an_address_a_service_must_be_up() -> None:
    with pytest.raises(Refused, match="dvt service up"):
        find(None)


def test_a_servers_silence_has_a_limit(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(jobserver, "TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(Silent, match="timed out"):
        find(f"127.0.0.1:{mute.getsockname()[1]}").jobs()
