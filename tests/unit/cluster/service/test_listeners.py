"""Sockets that wait are listed as they are bound, and who reaches them is known."""

import os
import socket

import pytest

from cluster.service.listeners import Listener, listeners
from cluster.service.processes import process


@pytest.mark.parametrize(
    ("host", "shown", "local"), [("127.0.0.1", "127.0.0.1", True), ("127.0.0.2", "127.0.0.2", True)]
)
def test_a_socket_is_listed_with_its_address_and_owner(host: str, shown: str, local: bool) -> None:
    own = process(os.getpid())
    assert own
    with socket.create_server((host, 0)) as server:
        port = server.getsockname()[1]
        (found,) = [listener for listener in listeners([own]) if listener.port == port]
        assert (found.host, found.pid, found.local) == (shown, os.getpid(), local)
    assert [listener for listener in listeners([own]) if listener.port == port] == []


def test_one_that_only_connects_is_not_listed() -> None:
    own = process(os.getpid())
    assert own
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        ports = {listener.port for listener in listeners([own])}
        assert server.getsockname()[1] in ports
        assert client.getsockname()[1] not in ports


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.7", False),
        ("2001:db8::1", False),
    ],
)
def test_only_the_loopback_is_local(host: str, local: bool) -> None:
    assert Listener(host, 80, 1).local is local
