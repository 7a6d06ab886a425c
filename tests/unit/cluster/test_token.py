"""The token's folder: private, gone with its process, and never another live one's."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cluster.token import PREFIX, token_file

HOLD = """from cluster.token import token_file
with token_file() as path:
    print(path, flush=True)
    input()"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, of this process and of those that it starts."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def other(place: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that holds a token, and its file."""
    root = str(Path(__file__).parents[3])
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    ) as process:
        assert process.stdout
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_a_token_is_its_users_alone_and_goes_at_the_end(place: Path) -> None:
    with token_file() as path:
        assert len(bytes.fromhex(path.read_text())) == 32
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not list(place.iterdir())


def test_what_a_killed_process_left_goes_at_the_next_start(
    place: Path, other: tuple[subprocess.Popen[str], Path]
) -> None:
    process, left = other
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert left.is_file()
    with token_file() as path:
        assert list(place.iterdir()) == [path.parent]


def test_what_a_live_process_holds_stays(
    place: Path, other: tuple[subprocess.Popen[str], Path]
) -> None:
    _, held = other
    with token_file() as one, token_file() as two:
        assert len({held.read_text(), one.read_text(), two.read_text()}) == 3
    assert list(place.iterdir()) == [held.parent]


def test_what_only_looks_like_one_stays(place: Path) -> None:
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "token").write_text("a secret")
    (place / f"{PREFIX}link").symlink_to(elsewhere)
    (place / f"{PREFIX}file").write_text("mine")
    (place / f"{PREFIX}full").mkdir()
    (place / f"{PREFIX}full" / "thesis.txt").write_text("mine")
    with token_file():
        pass
    assert {path.name for path in place.rglob("*")} >= {
        "thesis.txt",
        f"{PREFIX}file",
        f"{PREFIX}link",
        "token",
    }


def test_many_that_start_at_once_leave_each_other_alone(place: Path) -> None:
    barrier = threading.Barrier(8)

    def start(_: int) -> list[bool]:
        barrier.wait()
        found = []
        for _ in range(20):
            with token_file() as one, token_file() as two:
                found += [one.is_file(), two.is_file()]
        return found

    with ThreadPoolExecutor(8) as pool:
        assert all(all(found) for found in pool.map(start, range(8)))
    assert not list(place.iterdir())
