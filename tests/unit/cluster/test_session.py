"""What listens at an address that is to be a Ray's is known before Ray tries for minutes."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest

from cluster import session
from cluster.session import SessionError

PATIENCE_S = 0.3
# A frame as gRPC's servers begin with.
SETTINGS = bytes([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100])

Answer = Callable[[socket.socket], object]
Listen = Callable[[Answer], str]


@pytest.fixture
def listen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listen]:
    """Starts a server that treats each connection in one way; its address."""
    servers: list[socket.socket] = []
    monkeypatch.setattr(session, "CONNECT_TIMEOUT_S", PATIENCE_S)
    monkeypatch.delenv("RAY_USE_TLS", raising=False)

    def started(answer: Answer) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            try:
                connection, _ = server.accept()
                with connection:
                    answer(connection)
            except OSError:
                return  # the test is over, or who asked has gone

        threading.Thread(target=serve, daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield started
    for server in servers:
        server.close()


def _drip(connection: socket.socket) -> None:
    for byte in SETTINGS[:9]:
        time.sleep(PATIENCE_S / 2)
        connection.send(bytes([byte]))


@pytest.mark.parametrize(
    "answer",
    [
        lambda connection: time.sleep(4 * PATIENCE_S),
        lambda connection: connection.recv(4),
        lambda connection: connection.sendall(
            b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
        ),
        lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n"),
        lambda connection: connection.sendall(SETTINGS[:8]),
        lambda connection: connection.sendall(bytes([0, 0, 8, 7, *bytes(13)])),
        _drip,
    ],
    ids=[
        "silence",
        "an end",
        "HTTP/1.1",
        "SSH",
        "half a frame",
        "another frame of HTTP/2",
        "a byte now and then",
    ],
)
def test_what_does_not_speak_grpc_is_refused_in_one_line_and_in_time(
    listen: Listen, answer: Answer
) -> None:
    address, started = listen(answer), time.monotonic()
    with pytest.raises(
        SessionError, match=f"--address must be where a Ray's head node listens, but {address!r}"
    ) as refused:
        session.check_address(address)
    assert time.monotonic() - started < 4 * PATIENCE_S
    assert "\n" not in str(refused.value)


def test_what_speaks_grpc_passes_and_is_greeted_as_http2_wants_it(listen: Listen) -> None:
    heard: SimpleQueue[bytes] = SimpleQueue()

    def answer(connection: socket.socket) -> None:
        connection.sendall(SETTINGS)
        heard.put(connection.recv(100))

    session.check_address(listen(answer))
    assert heard.get(timeout=30).startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


def test_under_tls_it_is_enough_that_something_listens(
    listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_USE_TLS", "1")
    session.check_address(listen(lambda connection: connection.recv(1)))


def test_where_nothing_listens_is_refused(listen: Listen) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(SessionError, match=f"nothing answers at --address {address!r}"):
            session.check_address(address)
