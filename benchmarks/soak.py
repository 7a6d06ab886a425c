"""Is anything lost?

Random kills over one sweep, each followed by what a user would do, then an audit.

    python benchmarks/soak.py [--kills 20] [--trials N] [--seed 0] [--json] [--keep DIR]

What is killed, at random moments and always with SIGKILL: the driver (it is resumed), a worker, the
MLflow server (it is started again after some seconds). At the end the sweep runs to its end, and
the audit compares its journal, MLflow and the recipes. Exit status 1 if anything was lost, repeated
or duplicated, or if the sweep ended before all kills were made.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.audit import audit
from benchmarks.mlflow_server import Server

STUDY = Path(__file__).with_name("soak_study.py")
KINDS = ("driver", "worker", "server")
PAUSE_S = (2.0, 12.0)  # between kills; a driver needs some 10 s to start trials
SERVER_DOWN_S = 4.0
TRIALS_PER_KILL = (
    2  # in each of the two arms; 20 trials in all were over after 8 kills, on two cores
)
PATIENCE_S = 600.0, 60.0  # for the whole, and more for each kill


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument(
        "--trials", type=int, help=f"Trials an arm; default: {TRIALS_PER_KILL} for each kill."
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="Leave the storage here.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        storage = (options.keep or Path(temporary)).absolute()
        storage.mkdir(parents=True, exist_ok=True)
        result = soak(
            storage,
            options.kills,
            options.trials or trials_for(options.kills),
            random.Random(options.seed),
        )
    print(
        json.dumps(result)
        if options.json
        else "\n".join(f"{name}: {value}" for name, value in result.items())
    )
    sys.exit(status(result))


def trials_for(kills: int) -> int:
    """Trials an arm of a sweep that lasts longer than so many kills."""
    return max(1, TRIALS_PER_KILL * kills)


def status(result: dict[str, Any]) -> int:
    """The exit status: 1 where something is lost, or less was survived than was asked for."""
    return int(result["lost"] > 0 or result["kills_made"] < result["kills_asked"])


def soak(storage: Path, kills: int, trials: int, rng: random.Random) -> dict[str, Any]:
    """Run the sweep under fire; what was killed, and the audit."""
    started, killed, runs = time.monotonic(), Counter[str](), 1
    with Server(storage / "server") as server:
        sweep = start(storage, server.address, trials, first=True)
        while True:
            if time.monotonic() - started > PATIENCE_S[0] + PATIENCE_S[1] * kills:
                sweep.kill()
                said = (storage / "log.txt").read_text(errors="replace")[-2000:]
                raise TimeoutError(
                    f"The sweep did not end after {sum(killed.values())} of {kills} kills; it said "
                    f"at last:\n{said}"
                )
            over = sum(killed.values()) >= kills
            try:
                if sweep.wait(60.0 if over else rng.uniform(*PAUSE_S)) == 0:
                    break
                # As whoever reads its last line would do.
                sweep, runs = (
                    start(storage, server.address, trials),
                    runs + 1,
                )
                continue
            except subprocess.TimeoutExpired:
                if over:
                    continue
            kind = rng.choice(KINDS)
            if kind == "driver":
                sweep.kill()
                sweep.wait()
                sweep, runs = start(storage, server.address, trials), runs + 1
            elif kind == "server":
                server.kill()
                time.sleep(SERVER_DOWN_S)
                server.start()
            elif not killed_one(workers_of(sweep.pid), rng):
                continue
            killed[kind] += 1
        found = audit(storage / "sweeps" / "soak", server.address)
    made = {"kills_asked": kills, "kills_made": sum(killed.values()), "kills": dict(killed)}
    return {
        **made,
        "runs_of_the_driver": runs,
        "seconds": round(time.monotonic() - started),
        **found,
    }


def start(
    storage: Path, address: str, trials: int, *, first: bool = False
) -> subprocess.Popen[bytes]:
    """The command, or the one that resumes.

    Before the sweep has a folder there is nothing to resume.
    """
    new = first or not (storage / "sweeps" / "soak" / "sweep.json").exists()
    which = (
        ("--preset", "full", "--data", "digits", "--weights", "none", "--name", "soak")
        if new
        else ("--resume", "soak")
    )
    environment = os.environ | {
        "RAY_AUTH_MODE": "disabled",
        "DVT_REPORT_EVERY": "0.2",
        "CUDA_VISIBLE_DEVICES": "",
    }
    where = ("--storage", str(storage), "--tracking-uri", address)
    command = [sys.executable, str(STUDY), *which, "--trials", str(trials), *where]
    log = (storage / "log.txt").open("ab")
    return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def killed_one(workers: list[int], rng: random.Random) -> bool:
    """Whether there was a worker to be killed."""
    try:
        os.kill(rng.choice(workers), signal.SIGKILL)
    except (IndexError, ProcessLookupError):  # none trains now, or it has just ended
        return False
    return True


def workers_of(driver: int) -> list[int]:
    """Processes below the driver that train, by the name Ray gives them."""
    listed = subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[1:]
    rows = [
        (int(pid), int(parent), arguments)
        for pid, parent, arguments in (line.split(None, 2) for line in listed)
    ]
    parents = {pid: parent for pid, parent, _ in rows}

    def below(pid: int) -> bool:
        while pid in parents and pid != driver:
            pid = parents[pid]
        return pid == driver

    return [
        pid
        for pid, _, arguments in rows
        if arguments.startswith("ray::ImplicitFunc") and below(pid)
    ]


if __name__ == "__main__":
    main()
