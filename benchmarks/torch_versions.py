"""Is one version of torch slower than another on this CPU?

    python benchmarks/torch_versions.py PYTHON PYTHON [PYTHON ...] [--rounds 9] [--json]

Each PYTHON is the interpreter of an environment, for example of

    python -m venv /tmp/older
    /tmp/older/bin/pip install torch==2.11.0 torchvision filelock pillow safetensors scikit-learn

The steps of a ResNet-18 at 96 px from stored activations, batch 64, one thread, in the precision of
this CPU: layer4 and fc, and layer3 too; with torch's own convolutions alone and with those that a
sweep chooses. All processes are started first and take turns, since the machine's speed drifts.
Medians, and the ratio to the first interpreter of each turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LAYERS = {"layer4": 2, "layer3": 3}
BATCH = 64
STEPS = 3
"""Of a turn, of which the fastest counts."""


def worker() -> None:
    """Say what torch this is, then time a case for each line on stdin."""
    import torch

    from trainables.backbones import build
    from trainables.compute import Compute, choose
    from trainables.network import Tail
    from trainables.recipe import Recipe
    from trainables.stages import stages, start_stage
    from trainables.step import train_batch

    torch.set_num_threads(1)
    cases: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as cache:
        for name, layers in LAYERS.items():
            recipe = Recipe(image_size=96, batch_size=BATCH, trainable_layers=layers)
            chosen = choose([recipe], 10, "cpu", threads=1, cache=Path(cache), say=lambda _: None)
            plain = Compute(precision=chosen.precision)
            for kind, compute in (("torch's", plain), ("chosen", chosen)):
                network = build(recipe, 10).to(memory_format=torch.channels_last)
                compute.install(network)
                optimizer = start_stage(recipe, network, stages(recipe)[-1])
                network.train_groups(layers, batch_stats=False)
                inputs = network.activations(torch.rand(BATCH, 3, 96, 96))
                targets = torch.full((BATCH, 10), 0.1)
                cases[f"{name}, {kind}"] = (Tail(network), optimizer, inputs, targets)
    for case in cases.values():
        train_batch(*case)
    capability = torch.backends.cpu.get_cpu_capability()
    about = {"torch": torch.__version__, "capability": capability, "precision": chosen.precision}
    print(json.dumps(about | {"cases": list(cases)}), flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(STEPS):
            started = time.perf_counter()
            train_batch(*cases[line.strip()])
            seconds.append(time.perf_counter() - started)
        print(min(seconds), flush=True)


class Torch:
    """A process with one of the versions."""

    def __init__(self, python: str) -> None:
        self._process = subprocess.Popen(
            [python, __file__, "worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.about = json.loads(self._answer())

    def step(self, case: str) -> float:
        """Return the seconds of a step."""
        assert self._process.stdin
        self._process.stdin.write(f"{case}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("A version's process ended: what it said is above.")
        return line


def main() -> None:
    """Time all versions in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    versions = [Torch(python) for python in asked.pythons]
    cases = versions[0].about["cases"]
    turns: dict[str, list[list[float]]] = {case: [] for case in cases}
    for _ in range(asked.rounds):
        for case in cases:
            turns[case].append([version.step(case) for version in versions])
    for version in versions:
        version.close()

    rows = []
    for case, rounds in turns.items():
        for number, version in enumerate(versions):
            ratios = sorted(seconds[number] / seconds[0] for seconds in rounds)
            median = statistics.median(seconds[number] for seconds in rounds)
            row = {"step": case, "torch": version.about["torch"], "ms": 1e3 * median}
            row |= {"ratio": statistics.median(ratios), "low": ratios[0], "high": ratios[-1]}
            rows.append(row)
    about = {name: versions[0].about[name] for name in ("capability", "precision")}
    if asked.json:
        print(json.dumps({**about, "rounds": asked.rounds, "rows": rows}, indent=1))
        return
    print(f"{about['capability']}, {about['precision']}, one thread; {asked.rounds} rounds")
    print(f"{'step':<17} {'torch':<14} {'ms':>7} {'of the first':>13}  lowest to highest")
    for row in rows:
        between = f"{row['low']:.2f} to {row['high']:.2f}"
        print(
            f"{row['step']:<17} {row['torch']:<14} {row['ms']:7.1f} {row['ratio']:13.2f}  {between}"
        )


if __name__ == "__main__":
    worker() if sys.argv[1:] == ["worker"] else main()
