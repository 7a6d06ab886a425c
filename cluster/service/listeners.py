"""Where processes listen for TCP connections, as `ss -ltn` would say it: proc(5)."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cluster.service.processes import PROC, Process

_LISTENING = "0A"


@dataclass(frozen=True, order=True, slots=True)
class Listener:
    """One socket that waits for connections.

    Attributes:
        host: The address it is bound to; `0.0.0.0` and `::` are all of the machine's.
        port: Its port.
        pid: One of the processes that have it.
    """

    host: str
    port: int
    pid: int

    @property
    def local(self) -> bool:
        """Whether only processes of this machine can reach it."""
        address = ipaddress.ip_address(self.host)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback


def listeners(processes: Collection[Process]) -> list[Listener]:
    """What these processes listen on, by port; a socket that several share is there once."""
    sockets = {
        inode: place for name in ("tcp", "tcp6") for inode, place in _sockets(PROC / "net" / name)
    }
    found: dict[str, Listener] = {}
    for one in sorted(processes, key=lambda one: one.pid):
        with suppress(OSError):
            for link in (PROC / str(one.pid) / "fd").iterdir():
                with suppress(OSError):  # closed meanwhile
                    inode = os.readlink(link).removeprefix("socket:[").rstrip("]")  # noqa: PTH115 - it is no path
                    if inode in sockets:
                        found.setdefault(inode, Listener(*sockets[inode], one.pid))
    return sorted(found.values(), key=lambda listener: (listener.port, listener.host))


def _sockets(table: Path) -> Iterator[tuple[str, tuple[str, int]]]:
    try:
        lines = table.read_text().splitlines()[1:]
    except FileNotFoundError:  # no IPv6 here
        return
    for line in lines:
        fields = line.split()
        if fields[3] == _LISTENING:
            host, _, port = fields[1].partition(":")
            yield fields[9], (_address(host), int(port, 16))


def _address(digits: str) -> str:
    """Of `0100007F`, `127.0.0.1`: words of 32 bits, each in this machine's order of bytes."""
    words = [
        int(digits[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(digits), 8)
    ]
    address = ipaddress.ip_address(b"".join(words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
