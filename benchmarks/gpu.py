"""The first minutes on a GPU: everything of this project that only a GPU can show.

    python benchmarks/gpu.py [--json FILE] [--parts tests,bare] [--minutes 8] [--device cuda|cpu]

At most 8 minutes, without a network, from random weights and images that are made in memory. Parts,
in this order, each in a process of its own and within a limit:

- tests: `tests/gpu`;
- start: a trial's first step, from the start of its process and on a worker of Ray;
- bare: a trial at 224 px against a bare loop, ResNet-18 and ResNet-50: all layers train, in the
  same precision and batches, channels-last; the loop has one batch, which stays on the device;
- steps: the host's time per step against the device's;
- packed: 1, 2 and 4 trials to the GPU;
- store: a trial with stored activations of its frozen layers, and without;
- memory: a batch that does not fit;
- sweep: `sweeps/depth_vs_tricks.py --preset laptop --gpus 1` with few trials.

A part that fails does not stop the others, and makes the exit status 1. `--device cpu` is a
stand-in, small, on a machine without a GPU: it shows that the command runs, and its figures say
nothing of a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.machine import commit

ROOT = Path(__file__).parents[1]
# The seconds that a part may take, and those without which it is not begun.
LIMITS = {
    "tests": (100, 20),
    "start": (60, 15),
    "bare": (80, 25),
    "steps": (50, 20),
    "packed": (90, 30),
    "store": (50, 20),
    "memory": (40, 15),
    "sweep": (180, 60),
}
MINUTES = 8.0  # with more, parts may take longer too: for a slow GPU
STAND_IN = 3  # times as long for a stand-in, whose machine may be busy
GRACE_S = 10.0
"""For a part that is told to end, and what it started."""

Row = dict[str, Any]


def main() -> int:
    options = _options()
    device_line = _device(options.device)
    print(device_line, flush=True)
    if options.device == "cpu":
        print("A stand-in without a GPU: it shows that each part runs, and no figure of a GPU.")
    began = time.monotonic()
    rows: list[Row] = []
    for part in options.parts:
        left = 60 * options.minutes - (time.monotonic() - began) - GRACE_S
        most, least = LIMITS[part]
        most *= max(1.0, options.minutes / MINUTES)
        if options.device == "cpu":
            most *= STAND_IN
        print(f"\n{part}", flush=True)
        if left < least:
            reason = f"{max(0, left):.0f} s were left, and it takes {least} s or more"
            row: Row = {"outcome": "left out", "seconds": 0.0, "summary": reason}
        else:
            row = run(part, options.device, min(most, left))
        print(f"    {row['outcome']}, {row['seconds']:.1f} s", flush=True)
        rows.append({"part": part, **row})
    whole = time.monotonic() - began
    print(f"\n{table(rows)}\n{whole:.0f} s in all, of {60 * options.minutes:.0f}")
    if options.json:
        told = {"device": options.device, "machine": device_line, "seconds": round(whole, 1)}
        options.json.write_text(json.dumps({**told, "parts": rows}, indent=2) + "\n")
    return int(any(row["outcome"] == "failed" for row in rows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--parts", type=_parts, default=list(LIMITS), help="some, such as a,b")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="that all parts may take")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    return parser.parse_args()


def _parts(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in LIMITS]
    if unknown:
        known = ", ".join(LIMITS)
        raise argparse.ArgumentTypeError(f"parts must be of {known}, but got {unknown[0]!r}.")
    return names


def _device(device: str) -> str:
    """Return a line on the machine; refuse where it has no GPU."""
    import torch  # not for --help

    where = f"torch {torch.__version__}, Python {platform.python_version()}, commit {commit()}"
    if device == "cpu":
        return f"CPU, {torch.backends.cpu.get_cpu_capability()}, {where}"
    if not torch.cuda.is_available():
        print(
            "error: a CUDA device must be there, but torch sees none: run this on a machine with a "
            "GPU, or pass --device cpu for a stand-in that shows whether each part runs.",
            file=sys.stderr,
        )
        sys.exit(2)
    # By a process of its own, since a context would take memory from the parts.
    asked = (
        "import torch; gpu = torch.cuda.get_device_properties(0); "
        "print(f'{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, compute capability "
        "{gpu.major}.{gpu.minor}')"
    )
    told = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=False
    )
    versions = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    return f"{told.stdout.strip() or told.stderr.strip()[-200:]}, {versions}, {where}"


def run(part: str, device: str, limit_s: float) -> Row:
    """Run a part, print its lines as they come, and return its outcome and figures.

    It and all that it started are ended once its time is up.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "figures.json"
        errors = Path(folder) / "errors"
        command = [sys.executable, "-m", "benchmarks.gpu_parts", part, "--device", device]
        command += ["--figures", str(file), "--limit", str(limit_s), "--started", str(time.time())]
        with _process(command, errors, limit_s) as (process, overdue):
            assert process.stdout is not None
            for line in process.stdout:
                print(f"    {line}", end="", flush=True)
            status = process.wait()
        row: Row = {"outcome": "done", "seconds": round(time.monotonic() - started, 1)}
        if overdue.is_set():
            row |= {"outcome": "failed", "summary": f"ended after {limit_s:.0f} s, its limit"}
        elif status:
            row |= {"outcome": "failed", "summary": _last_lines(errors, status)}
        else:
            row |= json.loads(file.read_text())
        if row["outcome"] == "failed":
            print(f"    {row['summary']}")
    if "left_out" in row:
        row |= {"outcome": "left out", "summary": row.pop("left_out")}
    return row


@contextmanager
def _process(
    command: list[str], errors: Path, limit_s: float
) -> Iterator[tuple[subprocess.Popen[str], threading.Event]]:
    """Start a process in a group of its own, which is gone at the end of the block."""
    overdue = threading.Event()
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    with errors.open("w") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            start_new_session=True,
        )

    def stop() -> None:
        overdue.set()
        _end(process)

    timer = threading.Timer(limit_s, stop)
    timer.start()
    try:
        yield process, overdue
    finally:
        timer.cancel()
        _end(process)
        process.wait()


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and its group: they are told to, and killed where they do not."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while time.monotonic() < deadline:
            time.sleep(0.1)
            process.poll()  # until then a process that ended is still one of the group
            os.killpg(process.pid, 0)
        os.killpg(process.pid, signal.SIGKILL)


def _last_lines(errors: Path, status: int) -> str:
    """Return why a part failed: the end of its traceback, or the signal that ended it."""
    lines = [line.strip() for line in errors.read_text(errors="replace").splitlines()]
    told = [line for line in lines if line][-2:]
    if status < 0:
        told.append(f"(ended by {signal.Signals(-status).name})")
    return " / ".join(told)[-600:] or f"exit status {status}"


def table(rows: list[Row]) -> str:
    """Return a line for each part."""
    lines = [f"{'part':8}{'outcome':10}{'seconds':>8}  "]
    for row in rows:
        lines.append(f"{row['part']:8}{row['outcome']:10}{row['seconds']:>8.1f}  {row['summary']}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
