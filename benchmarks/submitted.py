"""What does submitting a sweep cost?

The demo, from the command to its end, here and as a job of `dvt service`.

    python benchmarks/submitted.py --pairs 3

Both have the data and weights of the first run in their cache, so that only the way to the same
trials differs. The pairs take turns in who goes first, since other work on the machine may come and
go.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEMO = ("--preset", "demo")
ALLOWED_S, ALLOWED_SHARE = 20.0, 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument(
        "--cache",
        type=Path,
        help="A cache that has the demo's data and weights; default: made first.",
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        environment = {
            **os.environ,
            "DVT_SERVICE_DIR": str(place / "service"),
            "CUDA_VISIBLE_DEVICES": "",
        }
        environment["DVT_CACHE_DIR"] = str((given.cache or place / "cache").absolute())
        dvt = [sys.executable, "-c", "from sweeps.commands.dvt import main; main()"]
        local = [
            sys.executable,
            "sweeps/depth_vs_tricks.py",
            *DEMO,
            "--storage",
            str(place / "local"),
        ]
        submitted = [*dvt, "submit", "sweeps/depth_vs_tricks.py", "--follow", "--", *DEMO]
        seconds(local, environment)  # fills the cache
        ports = ["--dashboard-port", "18265", "--mlflow-port", "15000"]
        up = seconds(
            [*dvt, "service", "up", "--storage", str(place / "mlruns"), *ports], environment
        )
        try:
            measured: dict[str, list[float]] = {"local": [], "submitted": []}
            for pair in range(given.pairs):
                for name in sorted(measured, reverse=bool(pair % 2)):
                    measured[name].append(
                        seconds(local if name == "local" else submitted, environment)
                    )
        finally:
            down = seconds([*dvt, "service", "down"], environment)
    medians = {name: statistics.median(values) for name, values in measured.items()}
    more = [
        there - here for here, there in zip(measured["local"], measured["submitted"], strict=True)
    ]
    allowed = ALLOWED_S + ALLOWED_SHARE * medians["local"]
    for name, values in measured.items():
        print(f"{name:10} {medians[name]:6.1f} s   {', '.join(f'{value:.1f}' for value in values)}")
    print(
        f"overhead   {statistics.median(more):6.1f} s   of each pair: "
        f"{', '.join(f'{value:.1f}' for value in more)}"
    )
    print(f"allowed    {allowed:6.1f} s   load {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores")
    print(f"service    up {up:.1f} s, down {down:.1f} s")


def seconds(command: list[str], environment: Mapping[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
