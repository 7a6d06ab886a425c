"""What a process gives itself and its children: a way past proxies, a home, open files."""

from __future__ import annotations

import getpass
import os
import resource
import urllib.request
from pathlib import Path

import pytest
from requests.utils import should_bypass_proxies

from cluster import process

ALL = [name for proxy in process.PROXIES for name in (proxy, proxy.upper())]


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*ALL, "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost", "[::1]:5000", "127.0.0.1"])
def test_nothing_on_this_machine_is_behind_a_proxy(
    name: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://proxy.example.com:3128")
    process.past_proxies()
    assert urllib.request.proxy_bypass_environment(host)
    assert should_bypass_proxies(f"http://{host}/health", no_proxy=None)
    assert not should_bypass_proxies("http://example.com/", no_proxy=None)


def test_what_was_exempt_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    monkeypatch.setenv("NO_PROXY", "example.org, 10.0.0.0/8")
    process.past_proxies()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"]
    assert os.environ["no_proxy"].startswith("example.org,10.0.0.0/8,localhost,")
    monkeypatch.setenv("no_proxy", "*")
    process.past_proxies()
    assert os.environ["no_proxy"] == "*"


def test_without_a_proxy_nothing_is_set() -> None:
    process.past_proxies()
    assert "no_proxy" not in os.environ


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user whom the system does not know."""

    def unknown(_: int) -> None:
        raise KeyError("no such user")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return tmp_path


def test_an_unknown_user_gets_a_name_and_a_home_that_stays(nobody: Path) -> None:
    process.give_home()
    assert getpass.getuser() == f"user{os.getuid()}"
    assert Path.home() == nobody / f"dvt-home-{os.getuid()}"
    assert Path.home().stat().st_mode & 0o777 == 0o700
    first = Path.home()
    del os.environ["HOME"]
    process.give_home()
    assert Path.home() == first


def test_a_home_that_others_can_write_to_is_left_alone(nobody: Path) -> None:
    (nobody / f"dvt-home-{os.getuid()}").mkdir()
    (nobody / f"dvt-home-{os.getuid()}").chmod(0o777)
    process.give_home()
    assert Path.home().parent == nobody
    assert Path.home().name != f"dvt-home-{os.getuid()}"


def test_a_home_that_is_given_is_kept(nobody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    process.give_home()
    assert os.environ["HOME"] == "/somewhere"


def test_as_many_files_may_be_open_as_the_system_lets_us(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: set_to.append(both))
    process.open_many_files()
    assert set_to == [(4096, 4096)]
