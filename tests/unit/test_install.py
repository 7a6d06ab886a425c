"""`make`'s installation: with uv, with pip where that cannot, and never into another clone's."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / ".ci" / "install.py"
PINS = ROOT / "constraints.txt"
STAND_IN = """#!/bin/sh
# Stands for a program: says what it was asked for, and what pip's settings became.
echo "$(basename "$0") $* ${UV_DEFAULT_INDEX} ${UV_FIND_LINKS} ${UV_INDEX_STRATEGY}" >> "$LOG"
case "$*" in
  "-m pip config list") cat "$(dirname "$0")/settings" ;;
esac
exit $(cat "$(dirname "$0")/status-$(basename "$0")")
"""


class Machine:
    """An environment and a PATH whose programs only write down how they are called."""

    def __init__(self, folder: Path) -> None:
        self.venv = folder / "the venv"
        self.path = folder / "path"
        self.log = folder / "log"
        self.program(self.venv / "bin" / "python")
        (self.venv / "bin" / "settings").touch()

    def program(self, path: Path, status: int = 0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STAND_IN)
        path.chmod(0o755)
        path.with_name(f"status-{path.name}").write_text(str(status))

    def editable(self, clone: str) -> None:
        """Write down that this clone's project is installed in editable form."""
        record = self.venv / "lib/python3.11/site-packages/depth_vs_tricks-0.1.0.dist-info"
        record.mkdir(parents=True)
        (record / "direct_url.json").write_text(json.dumps({"url": f"file://{clone}"}))

    def install(self, *flags: str) -> tuple[int, str, list[str]]:
        """Return the exit status, what is shown, and the commands."""
        self.log.unlink(missing_ok=True)
        plain = {name: text for name, text in os.environ.items() if not name.startswith("UV_")}
        done = subprocess.run(
            [sys.executable, INSTALL, "--venv", self.venv, *flags],
            env={**plain, "PATH": f"{self.path}:/usr/bin:/bin", "LOG": str(self.log)},
            capture_output=True,
            text=True,
            check=False,
        )
        called = self.log.read_text().splitlines() if self.log.exists() else []
        asked = [line.strip() for line in called if "pip config" not in line]
        return done.returncode, done.stdout + done.stderr, asked


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_uv_installs_the_pinned_versions_once_and_again_when_they_change(machine: Machine) -> None:
    machine.program(machine.path / "uv")
    code, said, called = machine.install()
    assert (code, called) == (
        0,
        [f"uv pip install --python {machine.venv}/bin/python -c {PINS} -e {ROOT}[dev]"],
    )
    assert "[  0 s] Installing with uv\n" in said
    assert machine.install() == (0, "", [])
    os.utime(machine.venv / ".depth-vs-tricks-installed", (1, 1))
    assert machine.install()[2] == called


def test_without_cuda_uv_takes_torchs_cpu_wheels(machine: Machine) -> None:
    machine.program(machine.path / "uv")
    code, said, (called,) = machine.install("--cpu")
    assert code == 0
    assert f"bin/python --torch-backend cpu -c {PINS}" in called
    assert "torch without CUDA" in said


def test_uv_comes_into_the_environment_where_path_has_none(machine: Machine) -> None:
    machine.program(machine.venv / "bin" / "uv")
    _, said, called = machine.install()
    assert called[0].startswith("uv pip install")
    assert "Getting uv" not in said
    (machine.venv / "bin" / "uv").unlink()
    (machine.venv / ".depth-vs-tricks-installed").unlink()
    _, said, called = machine.install()
    assert called[0] == f"python -m pip install -q -c {PINS} uv"
    assert "[  0 s] Getting uv\n" in said


def test_pip_installs_where_uv_cannot_and_one_line_says_so(machine: Machine) -> None:
    machine.program(machine.path / "uv", status=1)
    code, said, called = machine.install()
    assert code == 0
    assert called[1] == f"python -m pip install -q -c {PINS} -e {ROOT}[dev]"
    assert said.count("uv cannot install here, so pip does") == 1


def test_what_nothing_can_install_is_an_error_and_tried_again(machine: Machine) -> None:
    machine.program(machine.venv / "bin" / "python", status=1)
    code, said, _ = machine.install()
    assert code == 2
    assert said.endswith("error: pip could not install: what it says is above.\n")
    assert machine.install()[0] == 2


def test_cuda_is_not_fetched_by_pip_against_what_was_asked(machine: Machine) -> None:
    code, said, called = machine.install("--cpu")
    assert code == 2
    assert said.endswith(
        "CPU=1 needs uv, which could not install PyTorch without CUDA: leave CPU=1 out.\n"
    )
    assert len(called) == 1


def test_uv_asks_where_pip_is_set_to_ask(machine: Machine) -> None:
    machine.program(machine.path / "uv")
    settings = "global.index-url='ours'\nglobal.find-links='/a'\n:env:.find-links='/b /c'\n"
    (machine.venv / "bin" / "settings").write_text(settings)
    _, _, (called,) = machine.install()
    assert called.endswith("[dev] ours /b,/c unsafe-best-match")


def test_an_environment_of_another_clone_is_refused(machine: Machine, tmp_path: Path) -> None:
    machine.program(machine.path / "uv")
    other = tmp_path / "other clone"
    other.mkdir()
    machine.editable(str(other).replace(" ", "%20"))
    code, said, called = machine.install()
    assert (code, called) == (2, [])
    assert said == (
        f"error: VENV must be an environment of this clone, but the commands in {machine.venv} "
        f"run {other}: pass another VENV, or none.\n"
    )
    other.rmdir()
    assert machine.install()[0] == 0, "a clone that is gone needs it no more"


def test_an_environment_of_this_clone_is_taken(machine: Machine) -> None:
    machine.program(machine.path / "uv")
    machine.editable(str(ROOT))
    assert machine.install()[0] == 0


def test_what_takes_long_moves_on_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("install", INSTALL)
    assert spec
    assert spec.loader
    install = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(install)
    assert install.MOVES_EVERY_S < 5
    install.MOVES_EVERY_S = 0.01
    assert install.run(["sleep", "0.1"])
    assert set(capfd.readouterr().out) == {".", "\n"}


def test_pip_and_uv_have_the_same_pins_and_no_index_is_named() -> None:
    pins = [line for line in PINS.read_text().splitlines() if not line.startswith("#")]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]
    assert settings == {"constraint-dependencies": pins}
    for pin in pins:
        assert re.fullmatch(r"[\w.-]+==[\w.]+( ; .+)?", pin)
        assert "://" not in pin


def test_what_make_names_after_the_demo_exists() -> None:
    words = ["make", "-n", "demo", "VENV=x"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    _, _, after = done.stdout.partition("Next:")
    commands = re.findall(r"x/bin/dvt (\w+)", after)
    assert commands == ["report", "best"]
    for command in commands:
        assert (ROOT / "sweeps" / "commands" / f"{command}.py").is_file()
    assert "make ui" in after
