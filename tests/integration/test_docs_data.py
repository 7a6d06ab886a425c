"""Every command of docs/data.md runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.data_zoo.pictures import picture, save
from tests.integration.conftest import ROOT, run
from tests.integration.test_dvt import dvt

TEXT = (ROOT / "docs" / "data.md").read_text()
COMMANDS = [
    line.partition("  #")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", TEXT, re.S)
    for line in block.splitlines()
]


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """The folders that the page speaks of."""
    for name in ("cat", "dog"):
        for at in range(12):
            save(tmp_path / "photos" / name / f"{at}.png", picture(name, at))
            save(tmp_path / "dogs" / f"{name}{at}.png", picture(name, at))
        for at in range(24):
            save(tmp_path / "scans" / name / f"patient{at // 2}_{at}.png", picture(name, at))
    for kind, names in (("pets", ("cat", "dog")), ("plants", ("rose", "oak"))):
        for name in names:
            for at in range(9):
                save(tmp_path / "animals" / kind / name / f"{at}.png", picture(name, at))
    rows = [f"{at},{name}{at}.png,{name}" for name in ("cat", "dog") for at in range(12)]
    (tmp_path / "dogs" / "labels.csv").write_text("\n".join(["number,file,breed", *rows]))
    return tmp_path


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_a_command_of_the_page_runs(command: str, folders: Path) -> None:
    program, *words = shlex.split(command)
    if program == "dvt":
        done = dvt(folders, *words)
        assert (done.code, done.err) == (0, "")
        return
    assert program == "python"
    done = run(
        folders,
        *words[1:],
        "--weights",
        "none",
        "--preset",
        "laptop",
        "--gpus",
        "0",
        "--dry-run",
        study=ROOT / words[0],
    )
    assert done.code == 0, done.err


def test_the_page_shows_commands() -> None:
    assert len(set(COMMANDS)) > 5
