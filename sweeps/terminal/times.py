"""Seconds as people read them: what has passed to the second, an estimate as rough as it is."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return `42s`, `3m05s` or `2h07m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def roughly(seconds: float) -> str:
    """Return an estimate: `25s`, `4m30s`, `5m`, `25m`, `2h10m`, to about a tenth of itself."""
    if seconds < 57.5:
        return f"{max(5, _rounded(seconds, 5))}s"
    if seconds < 3570:
        whole = _rounded(seconds, 30 if seconds < 600 else 60)
        return duration(whole).removesuffix("00s")
    return duration(_rounded(seconds, 600))


def _rounded(seconds: float, step: int) -> int:
    return step * round(seconds / step)
