"""Limits around a sweep, of the system or a container: met, or refused first in one line."""

from __future__ import annotations

import os
import shlex
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.surroundings.commands import ROOT, run, sweep

NOBODY = ("unshare", "-U", "--map-user=1234", "--map-group=1234")
MEMORY = Path("/sys/fs/cgroup/memory")


def bash(before: str, words: list[str | Path]) -> list[str | Path]:
    """Return a command that runs after others in the same shell."""
    return ["bash", "-c", f"{before}; {shlex.join(map(str, words))}"]


# The folder for temporary files


@pytest.mark.parametrize("kind", ["long", "file"])
def test_a_folder_where_ray_cannot_be_is_refused_with_a_mend(
    kind: str, place: Path, cache: str
) -> None:
    there = place / ("x" * 70) if kind == "long" else place / "small.py"
    if kind == "long":
        there.mkdir()
    ran = run(sweep(place / "small.py"), place, DVT_CACHE_DIR=cache, TMPDIR=str(there))
    assert ran.code == 2, ran.said
    assert ran.err.startswith("error: TMPDIR must ")
    assert "as in RAY_TMPDIR=/tmp" in ran.err
    assert ran.err.count("\n") == 1
    assert not (place / "mlruns" / "sweeps").exists()


@pytest.mark.slow
def test_the_mend_of_a_folder_that_is_too_long_works(place: Path, cache: str) -> None:
    (place / ("x" * 70)).mkdir()
    variables = {"TMPDIR": str(place / ("x" * 70)), "RAY_TMPDIR": "/tmp"}
    ran = run(sweep(place / "small.py"), place, DVT_CACHE_DIR=cache, **variables)
    assert ran.code == 0, ran.said


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_a_ray_folder_of_another_user_is_refused_with_a_mend(place: Path) -> None:
    mounted = "mkdir -p /tmp/ray && mount -t tmpfs -o mode=755 tmpfs /tmp/ray && chown 999 /tmp/ray"
    words = [*NOBODY, *sweep(place / "small.py")]
    ran = run(bash(mounted, words), place, under=("unshare", "-m"), TMPDIR=None, HOME=str(place))
    assert ran.code == 2, ran.said
    assert "but /tmp/ray cannot (Permission denied)" in ran.err
    assert "as in RAY_TMPDIR=/tmp/ray-1234" in ran.err


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small file system")
def test_a_folder_for_temporary_files_that_is_full_is_refused(place: Path) -> None:
    filled = "mount -t tmpfs -o size=1m tmpfs /mnt; head -c 1048576 /dev/zero > /mnt/x"
    words = bash(filled, sweep(place / "small.py"))
    ran = run(words, place, under=("unshare", "-m"), RAY_TMPDIR="/mnt")
    assert ran.code == 2, ran.said
    assert "RAY_TMPDIR must have 20 MiB of free space, but /mnt has 0: make room" in ran.err


# What a process may have


def test_too_few_open_files_are_refused(place: Path) -> None:
    ran = run(bash("ulimit -n 100", sweep(place / "small.py")), place)
    assert ran.code == 2, ran.said
    assert "open 128 files, but may open 100: raise the limit" in ran.err


@pytest.mark.slow
@pytest.mark.parametrize("before", ["ulimit -S -n 40", "ulimit -n 256", "taskset -p -c 0 $$"])
def test_a_sweep_runs_with_what_it_is_given(before: str, place: Path, cache: str) -> None:
    ran = run(bash(f"{before} > /dev/null", sweep(place / "small.py")), place, DVT_CACHE_DIR=cache)
    assert ran.code == 0, ran.said


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small file system")
@pytest.mark.parametrize("options", ["size=64m", "ro"])
def test_a_sweep_runs_with_little_shared_memory(options: str, place: Path, cache: str) -> None:
    mounted = f"mount -t tmpfs -o {options} tmpfs /dev/shm"
    words = bash(mounted, sweep(place / "small.py"))
    ran = run(words, place, under=("unshare", "-m"), DVT_CACHE_DIR=cache)
    assert ran.code == 0, ran.said


# Memory


@pytest.fixture
def group() -> Iterator[Callable[[int], str]]:
    """A group of processes that may hold so many bytes: a line that enters it."""
    folder = MEMORY / f"dvt-test-{uuid.uuid4().hex[:8]}"
    if os.getuid() != 0 or not (MEMORY / "memory.limit_in_bytes").exists():
        pytest.skip("no control group of version 1 can be made here")
    folder.mkdir()

    def limited(bytes_: int) -> str:
        (folder / "memory.limit_in_bytes").write_text(str(bytes_))
        return f"echo $$ > {folder}/cgroup.procs"

    yield limited
    folder.rmdir()


def test_too_little_memory_is_refused(group: Callable[[int], str], place: Path) -> None:
    ran = run(bash(group(1_500_000_000), sweep(place / "small.py")), place)
    assert ran.code == 2, ran.said
    assert "a sweep needs 1.8 GB of memory, but may have 1.5 GB" in ran.err


def test_fewer_trials_run_at_once_where_memory_is_little(
    group: Callable[[int], str], place: Path
) -> None:
    words = sweep(ROOT / "sweeps" / "depth_vs_tricks.py", "--dry-run", "--arms", "resnet18/*")
    ran = run(bash(group(2 * 2**30), words), place)
    assert ran.code == 0, ran.said
    cpus = len(os.sched_getaffinity(0))
    if cpus > 1:
        assert f"1 trial at a time instead of {min(cpus, 8)}: 2.1 GB of memory" in ran.out
    assert "1 slot of" in ran.out


# Folders


@pytest.mark.slow
def test_a_working_folder_that_cannot_be_written_is_no_matter(place: Path, cache: str) -> None:
    (place / "results").mkdir()
    (place / "read").mkdir()
    (place / "read").chmod(0o555)
    words = sweep(place / "small.py", "--storage", place / "results")
    ran = run(words, place / "read", under=NOBODY, DVT_CACHE_DIR=cache, HOME=str(place))
    assert ran.code == 0, ran.said
