"""Downloading imagenet weights, from a server of the test's own."""

import hashlib
import shlex
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import torchvision
from torch import Tensor

from trainables import weights
from trainables.weights import WeightsError, check_cached, locate

State = dict[str, Tensor]


# Download


@dataclass
class Host:
    """A web server on this machine, its answer, and the requests it got."""

    content: bytes
    status: int = 200
    sent: int | None = None  # bytes before the connection breaks
    raw: bytes | None = None  # instead of an answer in HTTP
    requests: int = 0


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """torchvision's resnet18 is there under a name with the right hash.

    Torch's cache is the test's own.
    """
    host = Host(content=b"tiny weights")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host.requests += 1
            if host.raw is not None:
                self.wfile.write(host.raw)
                return
            self.send_response(host.status)
            self.send_header("Content-Length", str(len(host.content)))
            self.end_headers()
            self.wfile.write(host.content[: host.sent])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    name = f"resnet18-{hashlib.sha256(host.content).hexdigest()[:8]}.pth"
    _point_torchvision_to(f"http://127.0.0.1:{server.server_port}/models/{name}", monkeypatch)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "*")
    yield host
    server.shutdown()
    server.server_close()


def _point_torchvision_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = SimpleNamespace(IMAGENET1K_V1=SimpleNamespace(url=url))
    monkeypatch.setattr(
        torchvision.models, "get_model_weights", lambda name: {"resnet18": entry}[name]
    )


def _left(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "torch").rglob("*") if path.is_file()]


def test_imagenet_weights_are_downloaded_once_into_torchs_cache(host: Host, tmp_path: Path) -> None:
    path = locate("imagenet", "resnet18")
    assert path
    assert path.parent == tmp_path / "torch/hub/checkpoints"
    assert path.read_bytes() == host.content
    assert locate("imagenet", "resnet18") == path
    assert host.requests == 1
    assert _left(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"content": b"other bytes"}, "invalid hash"),
        ({"sent": 5}, ""),
        ({"status": 404}, "404"),
        ({"status": 503}, "503"),
        ({"raw": b"no web server\r\n"}, "no web server"),
        ({"raw": b""}, ""),
    ],
    ids=["other content", "broken off", "404", "503", "not http", "hung up"],
)
def test_a_failed_download_says_what_to_do_and_leaves_nothing(
    changes: dict[str, object], word: str, host: Host, tmp_path: Path
) -> None:
    for name, value in changes.items():
        setattr(host, name, value)
    before = socket.getdefaulttimeout()
    with pytest.raises(WeightsError) as refusal:
        locate("imagenet", "resnet18")
    message = str(refusal.value)
    assert "\n" not in message
    assert word in message
    for part in (
        "imagenet weights for resnet18",
        f"into {tmp_path / 'torch/hub/checkpoints'}",
        "--weights",
        "resnet18.pt",
    ):
        assert part in message
    assert _left(tmp_path) == []
    assert host.requests == 1
    assert socket.getdefaulttimeout() == before


def test_a_host_that_nobody_answers_at_is_refused_likewise(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        _point_torchvision_to(
            f"http://127.0.0.1:{unused.getsockname()[1]}/resnet18-0123abcd.pth", monkeypatch
        )
        with pytest.raises(
            WeightsError, match=r"cannot be downloaded.*refused.*put resnet18-0123abcd\.pth into"
        ):
            locate("imagenet", "resnet18")
    assert _left(tmp_path) == []


def test_a_host_that_never_answers_is_given_up(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainables.download.TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        _point_torchvision_to(
            f"http://127.0.0.1:{silent.getsockname()[1]}/resnet18-0123abcd.pth", monkeypatch
        )
        with pytest.raises(WeightsError, match="timed out"):
            locate("imagenet", "resnet18")
    assert _left(tmp_path) == []


def test_a_cache_that_cannot_be_made_is_refused_likewise(host: Host, tmp_path: Path) -> None:
    (tmp_path / "torch").write_text("a file where a folder should be")
    with pytest.raises(WeightsError, match="cannot be downloaded"):
        locate("imagenet", "resnet18")
    assert host.requests == 0


def _place(content: bytes, tmp_path: Path) -> Path:
    """Put content into torch's cache under the name of resnet18's weights."""
    name = Path(torchvision.models.get_model_weights("resnet18").IMAGENET1K_V1.url).name
    path = tmp_path / "torch/hub/checkpoints" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_weights_that_lie_in_torchs_cache_need_no_network(host: Host, tmp_path: Path) -> None:
    path = _place(host.content, tmp_path)
    check_cached("resnet18")
    assert locate("imagenet", "resnet18") == path
    assert host.requests == 0


@pytest.mark.parametrize(
    "content", [b"", b"tiny", b"other bytes"], ids=["empty", "cut off", "another file"]
)
def test_weights_in_torchs_cache_that_are_not_what_their_name_says_are_refused_until_deleted(
    content: bytes, host: Host, tmp_path: Path
) -> None:
    path = _place(content, tmp_path)
    for look in (lambda: check_cached("resnet18"), lambda: locate("imagenet", "resnet18")):
        with pytest.raises(WeightsError) as refused:
            look()
        line = str(refused.value)
        assert f"delete {path} and it is downloaded again" in line
        assert f"must have the SHA-256 in its name, {path.stem[-8:]}" in line
        assert f"({len(content)} bytes" in line
    assert host.requests == 0
    path.unlink()
    check_cached("resnet18")
    assert locate("imagenet", "resnet18") == path
    assert host.requests == 1


def test_a_file_in_torchs_cache_is_hashed_once_until_it_changes(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _place(host.content, tmp_path)
    hashed: list[Path] = []
    real = weights._sha256
    monkeypatch.setattr(weights, "_sha256", lambda path: hashed.append(path) or real(path))
    for _ in range(3):
        check_cached("resnet18")
    assert len(hashed) == 1
    _place(host.content[:5], tmp_path)
    with pytest.raises(WeightsError, match="delete"):
        check_cached("resnet18")
    assert len(hashed) == 2


def test_the_path_to_delete_can_be_typed_where_it_has_blanks(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "my cache" / "torch"))
    path = _place(b"torn", tmp_path / "my cache")
    with pytest.raises(WeightsError) as refused:
        check_cached("resnet18")
    typed = str(refused.value).partition(": delete ")[2].partition(" and it is")[0]
    assert shlex.split(typed) == [str(path)]
