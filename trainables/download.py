"""Downloads of weights and data give up on a host that says nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

TIMEOUT_SECONDS = 10.0  # of silence, not of the whole download


@contextmanager
def socket_timeout() -> Iterator[None]:
    """Limit silent sockets.

    Torch and torchvision set no limit, and a firewall that drops packets would hang them.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
