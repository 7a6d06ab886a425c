"""One part of `benchmarks/gpu.py`, in a process of its own.

    python -m benchmarks.gpu_parts PART --device cuda --figures FILE

It prints its lines as they are known, and writes its figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_parts import commands, packing, steps, trials
from benchmarks.gpu_parts.trials import SIZES

Figures = dict[str, Any]


def parts(options: argparse.Namespace) -> dict[str, Callable[[], Figures]]:
    """Return what each part runs."""
    device = torch.device(options.device)
    size = SIZES[options.device]
    return {
        "tests": lambda: commands.tests(device),
        "start": lambda: steps.start(size, device, options.started),
        "bare": lambda: trials.bare(size, device),
        "steps": lambda: steps.steps(size, device),
        "packed": lambda: packing.packed(device),
        "store": lambda: trials.store(size, device),
        "memory": lambda: trials.memory(size, device),
        "sweep": lambda: commands.sweep(device, options.limit),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part")
    parser.add_argument("--device", choices=SIZES, required=True)
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that it may take")
    parser.add_argument("--started", type=float, default=time.time(), help="of this process")
    options = parser.parse_args()
    # A part that is ended leaves its folders there, and they go.
    tempfile.tempdir = str(options.figures.parent)
    if options.device == "cpu":
        torch.set_num_threads(1)  # two wait for each other where the machine is busy
    try:
        figures = parts(options)[options.part]()
    except commands.LeftOutError as reason:
        figures = {"left_out": str(reason)}
    options.figures.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
