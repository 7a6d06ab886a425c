"""Where the `dvt` script begins: quiet at Ctrl-C before anything that takes time is imported."""

from __future__ import annotations

from typing import NoReturn

import cluster.early_interrupt  # noqa: F401 - it sets what answers Ctrl-C meanwhile


def main() -> NoReturn:
    """Run `dvt` with the process's arguments, and exit."""
    from sweeps.commands.dvt import main as run  # it imports click, which takes a moment

    run()
