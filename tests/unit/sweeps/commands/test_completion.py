"""What a shell is told when somebody presses Tab."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.commands import dvt, run
from tests.unit.sweeps.journals import ALL, write_sweep

ROOT = Path(__file__).parents[4]


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the storage of the working folder, with two sweeps."""
    monkeypatch.chdir(tmp_path)
    write_sweep(tmp_path / "mlruns", "night-1", ALL)
    write_sweep(tmp_path / "mlruns", "night-2", ALL)
    write_sweep(tmp_path / "elsewhere", "day", ALL)
    return tmp_path / "mlruns"


@pytest.fixture
def completed(storage: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Return a function that gives what bash is told for a line; nothing goes to stderr."""

    def complete(line: str) -> list[str]:
        words = line.split(" ")
        monkeypatch.setenv("_DVT_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        assert dvt.run([]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out.split()

    return complete


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("dvt re", ["plain,resume", "plain,report"]),
        ("dvt --v", ["plain,--version"]),
        ("dvt run dep", ["plain,depth_on_dogs", "plain,depth_vs_tricks"]),
        ("dvt run two_stage --arm", ["plain,--arms"]),
        ("dvt run two_stage --preset ", ["plain,demo", "plain,laptop", "plain,full"]),
        ("dvt run two_stage --trials none --layout cl", ["plain,classes", "plain,class-first"]),
        ("dvt run two_stage --data ph", ["file,ph"]),
        ("dvt run two_stage --resume night-", ["plain,night-1", "plain,night-2"]),
        ("dvt report ", ["plain,night-1", "plain,night-2"]),
        ("dvt report night-1 ", ["plain,night-1", "plain,night-2"]),
        ("dvt report --storage elsewhere ", ["plain,day"]),
        ("dvt sync --no-such ", []),
        ("dvt sync n", ["plain,night-1", "plain,night-2"]),
        ("dvt predict --sweep ", ["plain,night-1", "plain,night-2"]),
        ("dvt clean n", ["plain,night-1", "plain,night-2"]),
        ("dvt clean pre", ["plain,prefix"]),
        ("dvt list --storage x", ["dir,x"]),
        ("dvt service ", ["plain,up", "plain,status", "plain,down"]),
        ("dvt completion z", ["plain,zsh"]),
    ],
)
def test_what_can_come_next_is_completed(line: str, told: list[str], completed) -> None:  # type: ignore[no-untyped-def]
    assert completed(line) == told


def test_all_commands_and_studies_are_completed(completed) -> None:  # type: ignore[no-untyped-def]
    assert completed("dvt ") == [f"plain,{name}" for name in dvt.COMMANDS]
    assert completed("dvt run ") == [f"plain,{name}" for name in run.studies()]


def test_commands_are_completed_without_importing_them(storage: Path) -> None:
    code = (
        "import sys; from sweeps.commands import dvt; dvt.run([]); "
        "print([name for name in sys.modules if name.startswith('sweeps.commands.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=storage,
        env={
            **{"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            **{"_DVT_COMPLETE": "bash_complete", "COMP_WORDS": "dvt s", "COMP_CWORD": "1"},
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "['sweeps.commands.kit', 'sweeps.commands.dvt']"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dvt.run(["completion", shell]) == 0
    assert f"_DVT_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert dvt.run(["completion", "tcsh"]) == 2
    assert capsys.readouterr().err == (
        "error: SHELL must be one of bash, zsh, fish, but got 'tcsh'.\n"
    )


def test_bash_completes_a_line(storage: Path) -> None:
    """The script itself, in a bash."""
    dvt_script = Path(sys.executable).parent / "dvt"
    script = (
        f'PATH={dvt_script.parent}:$PATH; eval "$(dvt completion bash)"; '
        "COMP_WORDS=(dvt report night-); COMP_CWORD=2; _dvt_completion dvt; "
        'echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=storage.parent,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("night-1 night-2\n", "")
