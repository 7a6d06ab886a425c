"""What the machine around a sweep can lack.

A real process refuses it with status 2, line by line, and leaves nothing behind.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from sweeps.depth_vs_tricks import STUDY
from sweeps.runner import cli
from tests.integration.conftest import run

SMALL = ("--preset", "demo", "--arms", "resnet18/*", "--weights", "none")
Mount = Callable[..., Path]
Refused = Callable[..., str]


def refused_process(cwd: Path, *arguments: str, lines: int = 1) -> str:
    """What a command says that is refused. It leaves its folder as it was."""
    before = sorted(cwd.rglob("*"))
    done = run(cwd, *arguments, timeout=100)
    said = done.err.splitlines()
    assert (done.code, len(said)) == (2, lines), done
    assert all(line.startswith("error: ") for line in said)
    # On a machine that is busy, it says every half minute what it does.
    assert re.sub(r"(?m)^\[\d+s\] Preparing: .*\n", "", done.out) == ""
    assert sorted(cwd.rglob("*")) == before
    return done.err


@pytest.fixture
def refused(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Refused]:
    """The same in this process, which has torch loaded already."""

    def check(cwd: Path, *arguments: str, lines: int = 1) -> str:
        monkeypatch.chdir(cwd)
        before = sorted(cwd.rglob("*"))
        code, said = cli.run(STUDY, arguments), capfd.readouterr()
        assert (code, said.out, len(said.err.splitlines())) == (2, "", lines), said
        assert all(line.startswith("error: ") for line in said.err.splitlines())
        assert sorted(cwd.rglob("*")) == before
        return said.err

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    yield check
    logging.disable(logging.NOTSET)


@pytest.fixture
def mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    """A file system of one megabyte in memory, with the options given."""
    place = tmp_path_factory.mktemp("mounted")

    def make(options: str) -> Path:
        if os.geteuid() != 0 or not shutil.which("mount"):
            pytest.skip("only root can mount a small file system")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size=1m,{options}", "tmpfs", str(place)],
            capture_output=True,
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
        return place

    yield make
    if place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)


# Where things are kept


@pytest.mark.parametrize("storage", ["/proc/runs", "/dev/null/runs", "file/runs", "x" * 300])
def test_a_storage_that_cannot_be_one_is_refused(
    storage: str, refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert storage.split("/")[-2:][0] in refused(tmp_path, *SMALL, "--storage", storage)


def test_a_storage_that_is_read_only_is_refused(
    refused: Refused, mount: Mount, tmp_path: Path
) -> None:
    place = mount("ro")
    line = refused(tmp_path, *SMALL, "--storage", str(place / "runs"))
    assert (
        f"--storage must be a folder that can be written to, but {place} cannot (Read-only file "
        "system)" in line
    )


def test_a_storage_on_a_full_disk_is_refused(
    refused: Refused, mount: Mount, tmp_path: Path
) -> None:
    place = mount("mode=755")
    with pytest.raises(OSError, match="No space left"):
        (place / "full").write_bytes(bytes(2**21))
    line = refused(tmp_path, *SMALL, "--storage", str(place / "runs"))
    assert f"--storage must have 20 MiB of free space, but {place} has 0: make room" in line
    assert [path.name for path in place.rglob("*")] == ["full"]


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", "/tmp/x", "..", "a\\b", "a\nb"])
def test_a_name_is_no_path(name: str, refused: Refused, tmp_path: Path) -> None:
    assert (
        "--name must be at most 80 letters, digits, '.', '_' and '-', beginning with a letter or "
        f"a digit, but got {name!r}" in (refused(tmp_path, *SMALL, "--name", name))
    )


# What it talks to


@pytest.mark.parametrize(
    "uri",
    ["no uri", "mlruns", "{here}", "file://{here}", "ftp://host/x", "sqlite:///", "://", "http://"],
)
def test_a_tracking_uri_that_is_none_is_refused(uri: str, refused: Refused, tmp_path: Path) -> None:
    uri = uri.format(here=tmp_path)
    line = refused(tmp_path, *SMALL, "--tracking-uri", uri)
    assert f"--tracking-uri must name a database or a server, but got {uri!r}" in line


@pytest.mark.parametrize(
    "uri", ["http://[::1", "http://127.0.0.1:no", "http://no-such-host.invalid", "http://a b/"]
)
def test_a_server_that_cannot_be_is_refused(uri: str, refused: Refused, tmp_path: Path) -> None:
    assert uri in refused(tmp_path, *SMALL, "--tracking-uri", uri)


def test_a_database_in_a_folder_that_cannot_be_written_is_refused(
    refused: Refused, tmp_path: Path
) -> None:
    line = refused(tmp_path, *SMALL, "--tracking-uri", "sqlite:////proc/none/mlflow.db")
    assert "folder that can be written, but /proc/none" in line


def test_a_store_that_opens_only_once_data_are_decoded_is_refused_and_leaves_the_cache_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "no.db").write_text(
        "no database, but a text that is long enough to be read as one" * 20
    )
    done = run(tmp_path, *SMALL, "--tracking-uri", "sqlite:///no.db", timeout=100)
    assert (done.code, done.err.count("\n")) == (2, 1), done
    assert "MLflow's database must open, but " in done.err
    left = {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*") if path.is_file()}
    assert {place for place in left if place[:2] != ("mlruns", "cache")} <= {
        ("no.db",),
        ("no.db.lock",),
    }


@pytest.fixture
def free_port() -> Iterator[int]:
    """Of this machine, where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield free.getsockname()[1]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:{port}",
        "127.0.0.1",
        "no-such-host.invalid:6379",
        "127.0.0.1:99999",
        "ray://h:1",
        ":",
        "h:٣",
    ],
)
def test_an_address_where_no_ray_can_be_is_refused_within_ten_seconds(
    address: str, refused: Refused, free_port: int, tmp_path: Path
) -> None:
    address, started = address.format(port=free_port), time.monotonic()
    assert repr(address) in refused(tmp_path, *SMALL, "--address", address)
    assert time.monotonic() - started < 10


def test_an_address_where_nothing_listens_is_refused_by_a_process(
    free_port: int, tmp_path: Path
) -> None:
    assert f"'127.0.0.1:{free_port}'" in refused_process(
        tmp_path, *SMALL, "--address", f"127.0.0.1:{free_port}"
    )


# Several at once


def test_flags_that_contradict_each_other_are_all_named(refused: Refused, tmp_path: Path) -> None:
    new = (
        "--name",
        "x",
        "--arms",
        "*",
        "--data",
        "digits",
        "--weights",
        "none",
        "--preset",
        "demo",
        "--seed",
        "1",
        "--dry-run",
    )
    lines = refused(
        tmp_path, "--resume", "x", *new, "--gpus", "0", "--gpus-per-trial", "0.5", lines=8
    )
    for flag in (*(word for word in new if word.startswith("--")), "--gpus-per-trial"):
        assert f"error: {flag} " in lines
    lines = refused(tmp_path, "--accept-changes", "--preset", "demo", "--data", "cifar10", lines=2)
    assert "--accept-changes belongs to --resume" in lines
    assert "--data with --preset demo needs --weights" in lines


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    for name in ("cat", "a\nb"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name / "1.png")
    (tmp_path / "evil.pt").write_bytes(b"no weights")
    lines = refused_process(
        tmp_path,
        *(
            "--storage",
            "/proc/runs",
            "--tracking-uri",
            "file:///x",
            "--gpus",
            "99",
            "--weights",
            "evil.pt",
        ),
        *("--data", "photos", "--arms", "resnet18/*", "--preset", "laptop"),
        lines=5,
    )
    for said in (
        "--storage must",
        "--tracking-uri must",
        "--gpus must",
        "evil.pt cannot be read",
        "'cat' has 1",
        r"'a\nb' has 1",
    ):
        assert said in lines


def test_bytes_that_are_no_text_are_refused_and_shown(tmp_path: Path) -> None:
    assert r"--data must be text in UTF-8, but got 'caf\udce9'" in refused_process(
        tmp_path, *SMALL, "--data", os.fsdecode(b"caf\xe9")
    )
