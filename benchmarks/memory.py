"""What the demo sweep holds in memory: the sum over its processes, sampled twice a second.

The peak in MiB.

    python benchmarks/memory.py [--json]

PSS counts a page that several processes share once in all; RSS counts it in each of them. Linux
only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STUDY = Path(__file__).parents[1] / "sweeps" / "depth_vs_tricks.py"


def processes_of(driver: int) -> list[int]:
    """The driver and everything that descends from it."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it ended while we looked

    def descends(pid: int) -> bool:
        while pid in parents and pid != driver:
            pid = parents[pid]
        return pid == driver

    return [pid for pid in parents if descends(pid)]


def held(pid: int) -> tuple[int, int]:
    """RSS and PSS of a process in KiB; zero once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return 0, 0
    fields = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return fields["Rss"], fields["Pss"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(STUDY), "--preset", "demo", "--storage", folder]
        started = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as sweep:
            peak_rss = peak_pss = 0
            while sweep.poll() is None:
                rss, pss = (
                    sum(values) for values in zip(*map(held, processes_of(sweep.pid)), strict=True)
                )
                peak_rss, peak_pss = max(peak_rss, rss), max(peak_pss, pss)
                time.sleep(0.5)
        seconds = time.perf_counter() - started
    result = {
        "exit": sweep.returncode,
        "seconds": round(seconds),
        "peak_pss_mib": peak_pss // 1024,
        "peak_rss_mib": peak_rss // 1024,
    }
    print(
        json.dumps(result)
        if as_json
        else "\n".join(f"{name}: {value}" for name, value in result.items())
    )


if __name__ == "__main__":
    main()
