from __future__ import annotations

import hashlib
import io
import pickle
import socket
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest

import trainables.data.cifar10
from trainables.data.dataset import Caps, DataError, inspect, prepare, read

CAPS = Caps(train=4, val=3, test=3)
BATCHES = (("data_batch_1", 80), ("data_batch_2", 80), ("test_batch", 40))


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def tiny() -> dict[str, bytes]:
    """CIFAR-10's files with a few grey images; an image's first pixel is its class."""
    files = {"batches.meta": pickle.dumps({"label_names": list(trainables.data.cifar10.CLASSES)})}
    for name, count in BATCHES:
        labels = [number % 10 for number in range(count)]
        data = np.zeros((count, 3072), np.uint8)
        data[:, 0], data[:, 5] = labels, range(count)
        files[name] = pickle.dumps({"data": data, "labels": labels})
    return files


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder served as the site that torchvision downloads from."""
    from torchvision.datasets import CIFAR10

    folder, files = tmp_path / "site", tiny()
    folder.mkdir()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    (folder / "cifar-10-python.tar.gz").write_bytes(packed.getvalue())
    with HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        monkeypatch.setattr(
            CIFAR10, "url", f"http://127.0.0.1:{server.server_port}/cifar-10-python.tar.gz"
        )
        monkeypatch.setattr(CIFAR10, "tgz_md5", md5(packed.getvalue()))
        monkeypatch.setattr(
            CIFAR10,
            "train_list",
            [[name, md5(files[name])] for name in ("data_batch_1", "data_batch_2")],
        )
        monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5(files["test_batch"])]])
        monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5(files["batches.meta"])})
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield folder
        server.shutdown()
        thread.join()


def files_below(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_it_is_downloaded_once_and_its_test_part_is_the_test_split(
    site: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    data = prepare("cifar10", image_size=32, caps=CAPS, seed=0, cache=cache)
    (site / "cifar-10-python.tar.gz").unlink()
    again = prepare(
        "cifar10", image_size=32, caps=Caps(train=2, val=1, test=1), seed=0, cache=cache
    )
    assert (data.name, again.counts["train"]["cat"]) == ("cifar10", 2)
    assert (cache / "datasets" / "cifar-10-batches-py").is_dir()
    assert data.counts == {
        split: dict.fromkeys(data.classes, cap)
        for split, cap in (("train", 4), ("val", 3), ("test", 3))
    }
    test = read(data.path, test=True).split("test")
    assert test.images.shape == (30, 32, 32, 3)
    assert (test.images[:, 0, 0, 0] == test.labels).all()
    assert test.images[:, 0, 5, 0].max() < 40
    assert socket.getdefaulttimeout() is None


@pytest.mark.parametrize("place", [".", "cifar-10-batches-py"])
def test_a_folder_that_is_or_holds_the_batches_works_too(
    site: Path, tmp_path: Path, place: str
) -> None:
    with tarfile.open(site / "cifar-10-python.tar.gz") as archive:
        archive.extractall(tmp_path / "mine", filter="data")
    data = prepare(
        str(tmp_path / "mine" / place), image_size=32, caps=CAPS, seed=0, cache=tmp_path / "cache"
    )
    assert data.name == "cifar10"
    assert not (tmp_path / "cache" / "datasets").exists()


def test_a_folder_with_other_content_is_refused_unread(site: Path, tmp_path: Path) -> None:
    with tarfile.open(site / "cifar-10-python.tar.gz") as archive:
        archive.extractall(tmp_path / "mine", filter="data")
    (tmp_path / "mine" / "cifar-10-batches-py" / "test_batch").write_bytes(b"another pickle")
    with pytest.raises(DataError, match="mine/cifar-10-batches-py must hold CIFAR-10 as published"):
        prepare(str(tmp_path / "mine"), image_size=32, caps=CAPS, seed=0, cache=tmp_path / "cache")
    (tmp_path / "mine" / "cifar-10-batches-py" / "test_batch").unlink()
    with pytest.raises(DataError, match=r"lacks .*test_batch"):
        inspect(str(tmp_path / "mine"), caps=CAPS, seed=0, cache=tmp_path / "cache")


def refused(cache: Path) -> str:
    with pytest.raises(DataError) as error:
        prepare("cifar10", image_size=32, caps=CAPS, seed=0, cache=cache)
    (line,) = error.value.problems
    assert "put cifar-10-batches-py/ or cifar-10-python.tar.gz into" in line
    assert "--data digits" in line
    assert files_below(cache) == []
    return line


def test_a_missing_page_is_refused(site: Path, tmp_path: Path) -> None:
    (site / "cifar-10-python.tar.gz").unlink()
    assert "404" in refused(tmp_path / "cache")


def test_a_damaged_archive_is_refused(site: Path, tmp_path: Path) -> None:
    (site / "cifar-10-python.tar.gz").write_bytes(b"half of it")
    assert "corrupted" in refused(tmp_path / "cache")


def test_an_archive_that_the_user_put_there_is_used_and_never_removed(
    site: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "cache" / "datasets" / "cifar-10-python.tar.gz"
    archive.parent.mkdir(parents=True)
    (site / archive.name).rename(archive)
    assert (
        prepare("cifar10", image_size=32, caps=CAPS, seed=0, cache=tmp_path / "cache").name
        == "cifar10"
    )
    assert archive.is_file()


def test_a_server_that_says_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr("trainables.download.TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(
            CIFAR10, "url", f"http://127.0.0.1:{silent.getsockname()[1]}/cifar-10-python.tar.gz"
        )
        assert "timed out" in refused(tmp_path / "cache")


def test_its_classes_and_counts_are_known_without_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("it used the network"))
    summary = inspect(
        "cifar10", caps=Caps(train=4000, val=10**6, test=100), seed=0, cache=tmp_path / "cache"
    )
    assert summary.classes == trainables.data.cifar10.CLASSES
    assert [summary.counts[split]["dog"] for split in ("train", "val", "test")] == [3750, 1250, 100]
    assert not (tmp_path / "cache").exists()
