"""Every command of the README runs.

What needs a GPU, a download or more than two minutes runs with --dry-run.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import readme_demo
from sweeps.report.verdicts import Kind
from sweeps.runner.study import PRESETS
from tests.integration.conftest import ROOT, Ran, environment, run
from tests.integration.test_demo_sweep import ARMS
from tests.integration.test_dvt import dvt
from tests.integration.test_refusals_input import photos

pytestmark = pytest.mark.timeout(1100)

README = (ROOT / "README.md").read_text()
MLFLOW = (ROOT / "docs" / "mlflow.md").read_text()
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.S)
    for line in block.splitlines()
]
PYTHON = re.findall(r"```python\n(.*?)```", README, re.S)
TARGETS = {"make demo", "make test", "make ui"}


def answer_in_the_readme() -> str:
    _, begun, rest = README.partition(readme_demo.BEGIN)
    block, ended, _ = rest.partition(readme_demo.END)
    assert begun, "the README has the markers of benchmarks/readme_demo.py"
    assert ended, "the README has the markers of benchmarks/readme_demo.py"
    return block.strip().removeprefix("```\n").removesuffix("```")


def shape(answer: str) -> set[str]:
    """Return what is the same on every machine: the columns, the arms, and what they had."""
    kept = set()
    for line in answer.splitlines():
        first = line.split()[0] if line.strip() else ""
        if first == "arm":
            kept.add(" ".join(line.split()))
        # A line of the table; in a sentence a trial's name may be the first word of a line.
        elif re.match(r"\S+/\S+ +\d", line):
            kept.add(first)
        elif line.startswith("Equal trials"):
            kept.add(line)
    return kept


def test_the_readme_shows_the_command_and_its_answer_first() -> None:
    top = "\n".join(README.splitlines()[:50])
    assert "`make demo`" in top
    assert answer_in_the_readme().strip() in top


def test_the_readme_shows_what_the_demo_answers(demo: Ran) -> None:
    """Numbers differ from machine to machine, and with them the verdict."""
    shown = answer_in_the_readme()
    now = readme_demo.answer(demo.cwd / "mlruns/sweeps/first")
    assert shape(shown) == shape(now)
    preset = PRESETS["demo"]
    assert {f"Equal trials: {preset.trials_per_arm} in each arm.", *ARMS} < shape(shown)
    kinds = "|".join(map(re.escape, Kind))
    assert re.search(rf"(?m)^Tricks: ({kinds})\b", shown)
    assert max(map(len, shown.splitlines())) <= 110


@pytest.mark.parametrize("command", sorted(TARGETS))
def test_make_knows_the_readmes_targets(command: str) -> None:
    assert command in COMMANDS
    done = subprocess.run(
        ["make", "-n", command.split()[1]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", sorted({c for c in COMMANDS if c} - TARGETS))
def test_a_command_of_the_readme_runs(
    command: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    # No browser is opened here.
    words = [word for word in shlex.split(command) if word != "--open"]
    for word in words[2:]:
        if word.endswith("photos/"):
            photos(tmp_path / word)
    if words[0] == "dvt":
        if words[1] in ("report", "predict"):
            demo = request.getfixturevalue("demo")
            words += ["--storage", str(demo.cwd / "mlruns")]
        if words[1] == "best":
            words.append("--dry-run")
        done = dvt(tmp_path, *words[1:])
        # 1: the imagenet weights are not here.
        assert done.code in ((0, 1) if words[1] == "doctor" else (0,)), done.err
        assert "Traceback" not in done.out + done.err
        return
    assert words[0] == "python", f"{command}: add how to test it"
    assert (ROOT / words[1]).is_file()
    photos(tmp_path / "dogs")
    done = run(
        tmp_path,
        *words[2:],
        *([] if "--dry-run" in words else ["--dry-run"]),
        study=ROOT / words[1],
    )
    assert done.code == 0, done.err
    assert "nothing is trained, nothing is written" in done.out
    assert [path.name for path in tmp_path.iterdir()] == ["dogs"], "a dry run leaves no trace"


def test_the_readmes_own_study_runs(tmp_path: Path) -> None:
    (code,) = [block for block in PYTHON if "SearchSpace" in block]
    study = tmp_path / "stages.py"
    study.write_text(code)
    assert len(code.splitlines()) < 40
    done = run(tmp_path, "--preset", "demo", "--dry-run", study=study)
    assert done.code == 0, done.err
    assert "mobilenet_v2/two" in done.out


def test_the_lines_on_mlflow_load_the_champion(demo: Ran) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", MLFLOW, re.S)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=demo.cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "['5', '6', '7', '8', '9']" in done.stdout
