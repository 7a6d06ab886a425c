"""The memory that this process may use, which is less than the machine has in many a container."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

from trainables.cgroups import memory_limit


def machine_memory() -> int:
    """Return the bytes that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available_memory() -> int:
    """Return the bytes that this process and what it starts may hold, by control groups too."""
    limit = memory_limit()
    if limit is None:
        return machine_memory()
    return min(limit, machine_memory())


def give_memory_back() -> None:
    """Give back what was freed and the C library keeps, such as what decoding took."""
    with suppress(OSError, AttributeError):  # glibc has it, musl and macOS not
        ctypes.CDLL(None).malloc_trim(0)
