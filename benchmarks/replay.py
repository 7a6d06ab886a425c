"""What does a cheaper plan of a sweep cost, and what does it get wrong? Replayed, nothing trained.

    python benchmarks/replay.py benchmarks/replay_tables/cifar10_20.npz [TABLE ...] [--json]
                                [--sweeps 200] [--trials 24] [--policies NAME ...] [--processes 2]

The product's own searcher, scheduler and order of finalists run against a table of recorded runs
(`replay_table.py`). Each of many sweeps has another seed for its search, and another order of the
others for its finalists; under each policy it is the same sweep, and is held against its full plan,
which trains all trials to their end and all arms over all seeds. Columns, in percent unless said:

- passes: image passes, of the full plan's; search: of these, the search's;
- champion: sweeps with the same champion, or one whose true mean is at most 0.5 points lower;
- turned: contrasts that the full plan found, of which this estimates the other sign;
- lost: contrasts that the full plan found and this does not; new: the other way round;
- bias: points that an arm's champion loses on average, by its true mean, in the arm that loses
  most; its arm. `across arms`, the planted unfair policy, shows what unfairness looks like.

A true mean is over all seeds of the table and all test images.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.machine import machine
from benchmarks.replay_parts.policies import ACROSS, FULL, POLICIES, Policy
from benchmarks.replay_parts.sweep import Answer, replay
from benchmarks.replay_parts.table import Table, load

CLOSE = 0.005  # of a champion's true mean
NAMED = {policy.name: policy for policy in (*POLICIES, ACROSS)}

_load = cache(load)


@dataclass(frozen=True)
class Task:
    """Sweeps that a process is to run under all policies, and their full plans."""

    table: Path
    policies: tuple[str, ...]
    trials: int
    number: int


def swept(task: Task) -> dict[str, Answer]:
    """Return a sweep's answers by policy, the full plan's among them."""
    table = _load(task.table)
    policies: list[Policy] = [FULL, *(NAMED[name] for name in task.policies)]
    return {policy.name: replay(table, policy, task.trials, task.number) for policy in policies}


def judged(table: Table, full: Sequence[Answer], cheap: Sequence[Answer]) -> dict[str, Any]:
    """Return what a policy costs and gets wrong, over sweeps of both."""
    truth = table.right.mean(axis=(2, 3))  # [arms, recipes]

    def true(arm: str, recipe: int) -> float:
        return float(truth[table.arms.index(arm), recipe])

    held = [
        own.champion == of_full.champion or true(*own.champion) >= true(*of_full.champion) - CLOSE
        for of_full, own in zip(full, cheap, strict=True)
    ]
    return {
        "passes": sum(own.passes for own in cheap) / sum(own.passes for own in full),
        "search": sum(own.searched for own in cheap) / sum(own.passes for own in full),
        "champion": float(np.mean(held)),
        **_contrasts(full, cheap),
        **_bias(table, full, cheap, true),
        "equal_trials": all(len(set(own.trials.values())) == 1 for own in cheap),
    }


def _contrasts(full: Sequence[Answer], cheap: Sequence[Answer]) -> dict[str, Any]:
    found = 0
    turned = 0
    lost = 0
    new = 0
    for of_full, own in zip(full, cheap, strict=True):
        for name, sign in of_full.found.items():
            found += sign != 0
            turned += sign != 0 and sign * own.estimates.get(name, 0.0) < 0
            lost += sign != 0 and own.found.get(name, 0) == 0
            new += sign == 0 and own.found.get(name, 0) != 0
    return {"found": found, "turned": turned, "lost": lost, "new": new}


def _bias(
    table: Table, full: Sequence[Answer], cheap: Sequence[Answer], true: Any
) -> dict[str, Any]:
    """Return what each arm's champion loses, in points."""
    lost: Mapping[str, list[float]] = {arm: [] for arm in table.arms}
    for of_full, own in zip(full, cheap, strict=True):
        for arm, recipe in of_full.champions.items():
            # An arm that has no champion left has lost all.
            mine = true(arm, own.champions[arm]) if arm in own.champions else 0.0
            lost[arm].append(100 * (true(arm, recipe) - mine))
    points = {arm: float(np.mean(values)) for arm, values in lost.items()}
    errors = {
        arm: float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
        for arm, values in lost.items()
    }
    worst = max(points, key=lambda arm: points[arm])
    return {
        "bias": points[worst],
        "bias_se": errors[worst],
        "bias_arm": worst,
        "loses": points,
    }


def show(path: Path, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table's policies."""
    runs = table.val.shape
    print(f"{path.name}: {runs[0]} arms x {runs[1]} recipes x {runs[2]} seeds, {table.about}")
    head = f"{'policy':38}{'passes':>8}{'search':>8}{'champion':>10}{'found':>7}{'turned':>8}"
    print(f"{head}{'lost':>6}{'new':>5}{'bias':>7}{'±':>6}  arm")
    for row in rows:
        shares = f"{100 * row['passes']:>8.1f}{100 * row['search']:>8.1f}"
        shares += f"{100 * row['champion']:>10.1f}"
        counts = f"{row['found']:>7}{row['turned']:>8}{row['lost']:>6}{row['new']:>5}"
        bias = f"{row['bias']:>7.2f}{row['bias_se']:>6.2f}  {row['bias_arm']}"
        print(f"{row['policy']:38}{shares}{counts}{bias}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sweeps", type=int, default=200)
    parser.add_argument("--trials", type=int, default=24, help="of an arm")
    parser.add_argument("--policies", nargs="+", choices=list(NAMED), default=list(NAMED))
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    for path in options.tables:
        if not path.is_file():
            parser.error(f"a table must be a file that replay_table.py wrote, but got {path}")
        recipes = load(path).val.shape[1]
        if options.trials > recipes:
            parser.error(
                f"--trials must be at most the {recipes} recipes an arm of {path}, "
                f"but got {options.trials}"
            )
    started = time.perf_counter()
    found: dict[str, Any] = {}
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        for path in options.tables:
            tasks = [
                Task(path, tuple(options.policies), options.trials, number)
                for number in range(options.sweeps)
            ]
            answers = list(pool.map(swept, tasks))
            table = load(path)
            full = [each[FULL.name] for each in answers]
            rows = []
            for name in options.policies:
                rows.append(
                    {"policy": name, **judged(table, full, [each[name] for each in answers])}
                )
            found[path.name] = rows
            if not options.json:
                show(path, table, rows)
    seconds = time.perf_counter() - started
    if options.json:
        about = {"sweeps": options.sweeps, "trials": options.trials, "seconds": round(seconds, 1)}
        print(json.dumps({**about, "machine": machine(), "tables": found}))
        return
    print(f"{options.sweeps} sweeps a policy, {options.trials} trials an arm, {seconds:.0f} s")


if __name__ == "__main__":
    main()
