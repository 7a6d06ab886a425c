"""What answers at a cluster's address and is no Ray is named in one line, within 15 s."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.surroundings.commands import dvt, run
from tests.surroundings.servers import answering, signed

WITHIN_S = 15.0


@contextmanager
def _page(status: int, body: bytes) -> Iterator[str]:
    """Run a server that answers all requests alike."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _slow(first: bytes, then: bytes) -> Iterator[str]:
    """Run a server that says something at once, and then a little each second."""

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.sendall(first)
            while True:
                connection.sendall(then)
                time.sleep(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _refused(address: str, place: Path, *words: str) -> str:
    ran = run(dvt(*words, "--address", address), place)
    assert ran.code == 2, ran.said
    assert len(ran.err.splitlines()) == 1, ran.err
    assert f"a Ray job server must answer at {address}, but" in ran.err
    assert ran.seconds < WITHIN_S
    return ran.err


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"{}", "something else does (it does not say its Ray)"),
        (200, b'{"ray_version": null}', "something else does (it does not say its Ray)"),
        (200, b"<html>Hello</html>", "what answers is no JSON"),
        (200, b"\xff\xfe\x00", "what answers is no JSON"),
        (404, b"not here", "something else does (HTTP 404)"),
        (302, b"", "something else does (HTTP 302)"),
    ],
)
def test_a_server_that_is_no_ray_is_named(place: Path, status: int, body: bytes, said: str) -> None:
    with _page(status, body) as address:
        assert said in _refused(address, place, "jobs")


@pytest.mark.parametrize(
    "words", [("logs", "x"), ("logs", "x", "--follow"), ("stop", "x"), ("submit", "find_best")]
)
def test_every_command_of_jobs_names_it(place: Path, words: tuple[str, ...]) -> None:
    with _page(200, b"{}") as address:
        _refused(address, place, *words)


@pytest.mark.parametrize(("first", "then"), [(b"SSH-2.0-OpenSSH_9.0\r\n", b"")])
def test_a_server_of_another_protocol_is_named(place: Path, first: bytes, then: bytes) -> None:
    with _slow(first, then) as address:
        _refused(address, place, "jobs")


def test_a_server_with_tls_is_named(place: Path) -> None:
    _, certificate = signed(place)
    with answering(200, certificate=certificate) as uri:
        _refused(uri.replace("https", "http"), place, "jobs")
        _refused(uri, place, "jobs")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "then"),
    [(b"", b""), (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b" ")],
    ids=["silent", "endless"],
)
def test_a_server_that_never_finishes_keeps_nobody_waiting(
    place: Path, first: bytes, then: bytes
) -> None:
    with _slow(first, then) as address:
        _refused(address, place, "jobs")
