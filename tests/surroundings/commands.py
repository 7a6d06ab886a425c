"""Real commands in surroundings of a test's own: environment, limits, terminal, user, disk.

What each of them must do, whatever is around it: end within a minute, without a traceback.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DVT = (str(Path(sys.executable).parent / "dvt"),)
WITHIN_S = 60.0
# A sweep of two trials and no finalist, some 15 s where nothing else runs.
SMALL = ("--preset", "demo", "--data", "digits", "--weights", "none", "--trials", "2")
STUDY = """
from dataclasses import replace

import trainables.cpus
from search_spaces.space import Float, SearchSpace
from sweeps.runner import PRESETS, Study, main

SPACE = SearchSpace(
    arms={"backbone": ("resnet18",)},
    tuned={"stage2_lr": Float(low=1e-4, high=1e-2, log=True, default=1e-3)},
    fixed={"trainable_layers": 1, "stage1_epochs": 1, "augmentation": "none", "epochs": EPOCHS},
)
DEMO = replace(PRESETS["demo"], finalist_seeds=SEEDS, epochs=EPOCHS, image_size=32)
STUDY = Study(
    name="small",
    question="What is around it?",
    space=SPACE,
    trials_per_arm=2,
    asha=False,
    presets={"demo": DEMO},
)

if __name__ == "__main__":
    trainables.cpus.available_cpus = lambda: 1  # a slot: Ray starts faster
    main(STUDY)
"""


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def said(self) -> str:
        return self.out + self.err


def study(folder: Path, *, epochs: int = 2, seeds: int = 0) -> Path:
    """Write the small study; more epochs keep it running for longer."""
    path = folder / "small.py"
    path.write_text(STUDY.replace("EPOCHS", str(epochs)).replace("SEEDS", str(seeds)))
    return path


def environment(**changes: str | None) -> dict[str, str]:
    """Return the environment of a command; None takes a variable out."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MLFLOW_", "RAY_"))
    }
    ours |= {"RAY_AUTH_MODE": "disabled", "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "140"}
    ours |= {"PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE"}
    for name, value in changes.items():
        if value is None:
            ours.pop(name, None)
        else:
            ours[name] = value
    return ours


def run(
    words: Sequence[str | Path],
    folder: Path,
    *,
    under: Sequence[str] = (),
    stdout: int | None = subprocess.PIPE,
    within: float = WITHIN_S,
    env: Mapping[str, str] | None = None,
    **changes: str | None,
) -> Ran:
    """Run a command in a folder, and check what holds for each of them.

    Args:
        words: The command.
        folder: Its working folder.
        under: What it runs under, such as `unshare` with its flags.
        stdout: Where its output goes; by default it is captured.
        within: Seconds.
        env: Its whole environment, instead of `environment(**changes)`.
        changes: To its environment.
    """
    started = time.monotonic()
    done = subprocess.run(
        [*under, *map(str, words)],
        cwd=folder,
        env=env or environment(**changes),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=within,
        check=False,
    )
    out = (done.stdout or b"").decode(errors="replace")
    ran = Ran(
        done.returncode, out, done.stderr.decode(errors="replace"), time.monotonic() - started
    )
    assert "Traceback" not in ran.said, ran.said
    return ran


def sweep(path: Path, *arguments: str | Path) -> list[str | Path]:
    """Return the command of a small sweep."""
    return [sys.executable, path, *SMALL, *arguments]


def dvt(*arguments: str | Path) -> list[str | Path]:
    """Return a `dvt` command."""
    return [*DVT, *arguments]
