"""Where processes listen for TCP connections, as `ss -ltn` would say it."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

import psutil

from cluster.service.processes import Process


@dataclass(frozen=True, order=True, slots=True)
class Listener:
    """One address that is listened at.

    Attributes:
        host: The address; `0.0.0.0` and `::` are all of the machine's.
        port: Its port.
        pid: One of the processes that listen there.
    """

    host: str
    port: int
    pid: int

    @property
    def local(self) -> bool:
        """Whether only processes of this machine can reach it."""
        return _plain(self.host).is_loopback


def listeners(processes: Collection[Process]) -> list[Listener]:
    """Return where these processes listen, by port; a socket that several share is there once."""
    # The first process of each place, so by the lowest number: mostly the one that opened it.
    places: dict[tuple[int, str], Listener] = {}
    for pid in sorted(one.pid for one in processes):
        with suppress(psutil.Error):
            for socket in psutil.Process(pid).net_connections("tcp"):
                if socket.status == psutil.CONN_LISTEN:
                    host = str(_plain(socket.laddr.ip))
                    places.setdefault(
                        (socket.laddr.port, host), Listener(host, socket.laddr.port, pid)
                    )
    return [places[place] for place in sorted(places)]


def _plain(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an address, of `::ffff:127.0.0.1` the one of IPv4 in it."""
    address = ipaddress.ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
