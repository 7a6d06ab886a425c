"""The demo in what `docker run --user 1234` gives: no name, no home, little memory of both kinds.

No engine is needed: the namespaces and control groups that it would make are made here.
"""

from __future__ import annotations

import os
import shlex
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.surroundings.commands import ROOT, Ran, run, sweep
from tests.surroundings.test_environment import HOMELESS, NOBODY

MEMORY = Path("/sys/fs/cgroup/memory")
BYTES = 2 * 2**30  # as docker run --memory 2g

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.getuid() != 0, reason="only root can mount and limit memory"),
]


@pytest.fixture
def entered() -> Iterator[str]:
    """A line that enters a group of 2 GiB; nothing where none can be made."""
    folder = MEMORY / f"dvt-test-{uuid.uuid4().hex[:8]}"
    if not (MEMORY / "memory.limit_in_bytes").exists():
        yield ""
        return
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text(str(BYTES))
    yield f"echo $$ > {folder}/cgroup.procs"
    assert "oom_kill 0" in (folder / "memory.oom_control").read_text()
    folder.rmdir()


def contained(words: list[str | Path], place: Path, *before: str) -> Ran:
    """Run a command in a container's namespaces, in the working folder /mnt."""
    lines = [
        f"mount --bind {shlex.quote(str(place))} /mnt",
        "mount -t tmpfs -o size=64m tmpfs /dev/shm",
        *before,
        f"cd /mnt && exec {shlex.join(map(str, [*NOBODY, *words]))}",
    ]
    command = ["bash", "-ec", "\n".join(line for line in lines if line)]
    variables = {**HOMELESS, "HOME": "/", "TMPDIR": None, "RAY_AUTH_MODE": "token"}
    return run(command, place, under=("unshare", "-m"), within=110.0, **variables)


def test_a_sweep_runs_in_a_small_container(place: Path, entered: str) -> None:
    ran = contained(sweep("small.py"), place, entered)
    assert ran.code == 0, ran.said
    assert "Report: /mnt/mlruns/sweeps/" in ran.out


def test_a_sweep_runs_where_all_but_its_folders_is_read_only(place: Path, entered: str) -> None:
    read_only = "mount -o remount,bind,ro /\nmount -t tmpfs tmpfs /tmp"
    ran = contained(sweep("small.py"), place, entered, read_only)
    assert ran.code == 0, ran.said


def test_a_container_without_any_folder_for_temporary_files_is_refused(place: Path) -> None:
    read_only = "mount -o remount,bind,ro /\nmount -o remount,bind,ro /mnt"
    small = ROOT / "sweeps" / "depth_vs_tricks.py"
    ran = contained(sweep(small, "--storage", "/dev/shm/runs"), place, read_only)
    assert ran.code == 2, ran.said
    assert "TMPDIR" in ran.err
