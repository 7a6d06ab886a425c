"""What does a trial cost the driver, and how does that grow with trials and slots?

    python benchmarks/scale.py [--json] [--quick] [--profile main|mlflow]
                               [--cases 100x8 300x8 1000x8 300x64]

The sweep's searcher, scheduler and callbacks run under a real Tuner with MLflow in a local SQLite
file; a trial only reports made-up epochs. Each case is a process of its own, `scale_sweep.py`. CPU
seconds are the driver process's with all its threads, from the start of `fit` until MLflow has
everything; those of a part are of the thread that it runs on, and parts that call each other
overlap. The terminal's progress line and the end of a sweep are left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.scale_sweep import metrics
from search_spaces.depth_vs_tricks import SPACE

STUDY = Path(__file__).with_name("scale_sweep.py")
SUGGESTS_AT = (10, 50, 100, 200)  # trials of one arm
WINDOW = 9  # suggestions that a figure is the median of


def case(size: str, reports: int, profile: str | None = None) -> dict[str, Any]:
    """Run a sweep of so many trials x slots in a fresh process.

    Ray reads its environment once, and memory starts small.
    """
    trials, slots = map(int, size.split("x"))
    asked = {"trials": trials, "slots": slots, "reports": reports, "profile": profile}
    done = subprocess.run(
        [sys.executable, str(STUDY), json.dumps(asked)], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{asked} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def split(few: Mapping[str, Any], many: Mapping[str, Any]) -> dict[str, float]:
    """Split the driver's CPU, of two cases of the same trials, by what grows with reports."""
    per_report = (many["driver_cpu_s"] - few["driver_cpu_s"]) / (many["reports"] - few["reports"])
    rest = (few["driver_cpu_s"] - per_report * few["reports"]) / few["trials"]
    return {
        "driver_cpu_ms_per_report": round(1e3 * per_report, 2),
        "driver_cpu_ms_per_trial_without_reports": round(1e3 * rest, 2),
    }


def suggests() -> dict[str, Any]:
    """Seconds of a suggestion by the trials that its arm has, and of one arm's trials altogether.

    No Ray, no workers.
    """
    from sweeps.runner.searcher import ArmSearcher

    (arm,) = SPACE.with_fixed(epochs=5).matching("resnet18/tricks")
    searcher = ArmSearcher(
        [arm], max(SUGGESTS_AT) + 1, 0, lambda trial_id, arm, number, recipe: {"trial_id": trial_id}
    )
    suggestions, trials = [], []  # CPU seconds of each
    for trial in map(str, range(max(SUGGESTS_AT) + 1)):
        started = time.thread_time()
        config = searcher.suggest(trial)
        suggestions.append(time.thread_time() - started)
        *rows, last = metrics(config["trial_id"], 5)
        for row in rows:
            searcher.on_trial_result(trial, row)
        searcher.on_trial_complete(trial, last)
        trials.append(time.thread_time() - started)
    ms = {
        n: round(1e3 * statistics.median(suggestions[n - WINDOW + 1 : n + 1]), 2)
        for n in SUGGESTS_AT
    }
    return {
        "dimensions": len(arm.tuned),
        "ms_per_suggest_with_trials_in_arm": ms,
        "last_to_half": round(
            ms[SUGGESTS_AT[-1]] / ms[SUGGESTS_AT[-2]], 2
        ),  # at most 2 where a suggestion grows linearly
        "arm_s_after_trials": {n: round(sum(trials[: n + 1]), 2) for n in SUGGESTS_AT},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="48 trials on 4 slots only")
    parser.add_argument(
        "--profile",
        choices=("main", "mlflow"),
        help="300 trials on 8 slots, one thread under cProfile",
    )
    parser.add_argument(
        "--cases", nargs="+", default=["100x8", "300x8", "1000x8", "300x64"], help="trials x slots"
    )
    parser.add_argument(
        "--epochs", type=int, default=5, help="reports of a trial that is not stopped early"
    )
    options = parser.parse_args()
    if options.profile:
        result: dict[str, Any] = {"cases": [case("300x8", options.epochs, options.profile)]}
    else:
        sizes = ["48x4"] if options.quick else options.cases
        cases = [case(size, options.epochs) for size in sizes]
        longer = case(sizes[:2][-1], 4 * options.epochs)
        result = split(cases[:2][-1], longer) | {"suggest": suggests(), "cases": [*cases, longer]}
    print(json.dumps(result) if options.json else json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
