"""Ctrl-C during imports is one word, wherever Python was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Stands for the module that a command is importing when Ctrl-C comes.
IMPORTED = {
    "a module": "raise KeyboardInterrupt",
    "a class body": """
class Field:
    def __set_name__(self, owner: type, name: str) -> None:
        raise KeyboardInterrupt

class Int:
    when = Field()
""",
}


def ran(program: Path, body: str) -> subprocess.CompletedProcess[str]:
    program.write_text(f"import cluster.early_interrupt\n{body}\n")
    return subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("body", IMPORTED.values(), ids=IMPORTED)
def test_ctrl_c_is_a_word_in_a_command_of_ours(tmp_path: Path, body: str) -> None:
    done = ran(tmp_path / "dvt", body)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


def test_another_program_keeps_its_traceback(tmp_path: Path) -> None:
    assert "KeyboardInterrupt" in ran(tmp_path / "theirs", IMPORTED["a module"]).stderr


def test_an_error_keeps_its_traceback(tmp_path: Path) -> None:
    assert "ZeroDivisionError" in ran(tmp_path / "dvt", "1 / 0").stderr
