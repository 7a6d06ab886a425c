"""Randomness has names: a number is seeded by what it is for, never by the order of calls."""

from __future__ import annotations

import hashlib


def named_seed(seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for one purpose, such as `named_seed(0, "order", epoch)`.

    Equal names give equal seeds on every machine, process and version of Python; any other name
    gives an unrelated one.
    """
    key = "\0".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) >> 1
