from __future__ import annotations

import io
import os
import pickle
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainables.data.dataset import Caps, DataError, ReadOptions, inspect, prepare, read

ALL = Caps(train=10**6, val=10**6, test=10**6)
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (20, 12, 10, 3), np.uint8)
Y = np.arange(20) % 2


class Bomb:
    """Fails the test where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("it was unpickled",)


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def member(path: Path, name: str, content: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    """Add to an .npz what numpy would not write."""
    with zipfile.ZipFile(path, "a", compression) as archive:
        archive.writestr(name, content)


def forged(header: str, content: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content


def problems(path: Path) -> tuple[str, ...]:
    """What both `inspect` and `prepare` refuse with, each line naming the file.

    Nothing is left in the cache.
    """
    with pytest.raises(DataError) as looked:
        inspect(str(path), caps=ALL, seed=0, cache=path.parent / "cache")
    with pytest.raises(DataError) as prepared:
        prepare(str(path), image_size=8, caps=ALL, seed=0, cache=path.parent / "cache")
    assert looked.value.problems == prepared.value.problems
    assert all(path.name in line and "\n" not in line for line in looked.value.problems)
    assert not (path.parent / "cache").exists()
    return looked.value.problems


def test_only_train_is_split_and_its_images_keep_their_labels(tmp_path: Path) -> None:
    path = save(tmp_path / "tiny set.npz", x_train=X, y_train=Y, extra=np.zeros(3))
    data = prepare(str(path), image_size=8, caps=ALL, seed=0, cache=tmp_path / "cache")
    assert data.name == "tiny-set"
    assert data.classes == ("0", "1")
    assert data.notes[0] == f"arrays of other names are left out of {path}: extra"
    assert data.counts == {
        "train": {"0": 4, "1": 4},
        "val": {"0": 3, "1": 3},
        "test": {"0": 3, "1": 3},
    }
    # 12x10 to 10x10.
    centres = {image.tobytes(): label for image, label in zip(X[:, 1:11], Y, strict=True)}
    whole = read(data.path, test=True)
    seen = [centres.pop(i.tobytes()) == n for s in ("train", "val", "test")
            for i, n in zip(whole.split(s).images, whole.split(s).labels, strict=True)]  # fmt: skip
    assert all(seen)
    assert len(seen) == 20
    assert not centres


def test_greyscale_of_other_sizes_and_three_parts(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.npz",
        x_train=X[..., 0],
        y_train=Y,
        x_val=X[:8, :9, :9],
        y_val=Y[:8],
        x_test=X[:6],
        y_test=Y[:6],
    )
    data = prepare(str(path), image_size=32, caps=ALL, seed=0, cache=tmp_path / "cache")
    whole = read(data.path, test=True)
    assert [len(whole.split(name).images) for name in ("train", "val", "test")] == [20, 8, 6]
    # 9x9 enlarged to the largest shorter side.
    assert data.split("val").images.shape == (
        8,
        10,
        10,
        3,
    )
    train = data.split("train").images
    assert (train[..., 0] == train[..., 2]).all()


@pytest.mark.parametrize("dtype", ["U", "S"])
def test_names_as_labels_are_sorted(tmp_path: Path, dtype: str) -> None:
    path = save(
        tmp_path / "a.npz",
        x_train=X,
        y_train=np.array(["Ünder", "apple"])[Y] if dtype == "U" else np.array([b"u", b"a"])[Y],
    )
    summary = inspect(str(path), caps=ALL, seed=0, cache=tmp_path)
    assert summary.classes == (("apple", "Ünder") if dtype == "U" else ("a", "u"))


def test_numbers_as_labels_are_sorted_as_numbers_and_named_by_classes(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x_train=X, y_train=np.where(Y, 10, 9).astype(np.uint8))
    assert inspect(str(path), caps=ALL, seed=0, cache=tmp_path).classes == ("9", "10")
    path = save(tmp_path / "b.npz", x_train=X, y_train=Y, classes=np.array(["zebra", "ant"]))
    assert inspect(str(path), caps=ALL, seed=0, cache=tmp_path).classes == ("zebra", "ant")
    path = save(
        tmp_path / "c.npz",
        x_train=X,
        y_train=np.array(["ant", "zebra"])[Y],
        classes=np.array(["zebra", "ant"]),
    )
    assert inspect(str(path), caps=ALL, seed=0, cache=tmp_path).classes == ("zebra", "ant")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, ["lacks x_train and y_train (found: nothing)"]),
        ({"a": X, "b": Y}, ["lacks x_train and y_train (found: a, b)"]),
        (
            {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y},
            ["x_test must hold other images than x_train"],
        ),
        ({"x_train": X}, ["lacks y_train"]),
        ({"x_train": X, "y_train": Y, "x_test": X}, ["lacks y_test"]),
        ({"x_train": X, "y_train": Y, "y_val": Y}, ["lacks x_val"]),
        ({"x_train": X / 255, "y_train": Y}, ["x_train must be uint8, but is float64"]),
        ({"x_train": X.astype(np.int64), "y_train": Y}, ["x_train must be uint8, but is int64"]),
        (
            {"x_train": X.transpose(0, 3, 1, 2), "y_train": Y},
            ["x_train must be [N, H, W, 3]", "x.transpose(0, 2, 3, 1)"],
        ),
        ({"x_train": X[..., :1], "y_train": Y}, ["x_train must be [N, H, W, 3]"]),
        (
            {"x_train": X.reshape(20, -1), "y_train": Y},
            ["x_train must be [N, H, W, 3] or [N, H, W], but has shape [20, 360]"],
        ),
        ({"x_train": X[:0], "y_train": Y[:0]}, ["x_train must not be empty"]),
        (
            {"x_train": X, "y_train": Y[:7]},
            ["x_train and y_train must have the same length, but have 20 and 7"],
        ),
        (
            {"x_train": X, "y_train": np.eye(2)[Y].astype(int)},
            ["y_train must be [N], but has shape [20, 2]: save y.argmax(1)"],
        ),
        (
            {"x_train": X, "y_train": Y.astype(float)},
            ["y_train must hold whole numbers or names, but is float64"],
        ),
        (
            {"x_train": X, "y_train": Y.astype(bool)},
            ["y_train must hold whole numbers or names, but is bool"],
        ),
        ({"x_train": X, "y_train": Y, "classes": np.arange(2)}, ["classes must be names [C]"]),
        (
            {"x_train": X, "y_train": Y + 1, "classes": np.array(["a", "b"])},
            ["y_train must hold 0 to 1, but has 2"],
        ),
        (
            {"x_train": X, "y_train": Y, "classes": np.array(["a", "a"])},
            ["classes must be different names, but 'a'"],
        ),
        (
            {"x_train": X, "y_train": Y, "classes": np.array(["a", "b", "c"])},
            ["a.npz: y_train", "'c' has 0"],
        ),
        ({"x_train": X, "y_train": Y * 0}, ["at least 2 classes"]),
        (
            {"x_train": X, "y_train": Y, "x_test": X + 1, "y_test": Y * 2},
            ["a.npz: y_train", "'2' has 0"],
        ),
        (
            {"x_train": X, "y_train": np.array([Bomb()] * 20, object)},
            ["y_train must be a plain array", "pickled object array"],
        ),
        (
            {"x_train": np.array([Bomb()] * 20, object), "y_train": Y},
            ["x_train must be a plain array", "pickled object array"],
        ),
    ],
)
def test_a_wrong_array_is_refused_by_name(
    tmp_path: Path, arrays: dict[str, Any], said: list[str]
) -> None:
    assert all(words in problems(save(tmp_path / "a.npz", **arrays))[0] for words in said)


def test_all_wrong_arrays_are_told_at_once(tmp_path: Path) -> None:
    lines = problems(save(tmp_path / "a.npz", x_train=X / 255, y_train=Y[:3] / 2, x_test=X))
    assert len(lines) == 4


@pytest.mark.parametrize("content", [b"", b"no zip", pickle.dumps(Bomb())])
def test_a_file_that_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    assert "must be an .npz as numpy.savez writes it" in problems(tmp_path / "a.npz")[0]


@pytest.mark.parametrize(
    ("place", "byte"),
    [
        pytest.param(6, 99, id="a version from the future"),
        pytest.param(46, 255, id="a name that is no UTF-8"),
        pytest.param(0, 0, id="no entry where one should be"),
    ],
)
def test_a_damaged_table_of_contents_is_refused(tmp_path: Path, place: int, byte: int) -> None:
    path = save(tmp_path / "a.npz", x_train=X, y_train=Y)
    member(path, "ü.npy", b"")  # the flag for UTF-8
    damaged = bytearray(path.read_bytes())
    damaged[damaged.rindex(b"PK\x01\x02") + place] = byte
    path.write_bytes(damaged)
    assert "must be an .npz as numpy.savez writes it, but" in problems(path)[0]


def test_a_member_that_is_no_array_is_refused_and_never_unpickled(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x_train.npy", pickle.dumps(Bomb()))
    assert "x_train must be a plain array" in problems(tmp_path / "a.npz")[0]


def test_a_header_that_promises_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x_train=X, y_train=Y)
    whole = path.read_bytes()
    # Sizes stay, CRC and shape do not fit.
    path.write_bytes(whole.replace(b"(20, 12, 10, 3)", b"(90, 12, 10, 3)"))
    assert "x_train must be a plain array" in problems(path)[0]


def test_damaged_pixels_are_found_when_they_are_read(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x_train=X, y_train=Y)
    damaged = bytearray(path.read_bytes())
    damaged[3000:3010] = bytes(10)
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"a\.npz must be an undamaged \.npz"):
        prepare(str(path), image_size=8, caps=ALL, seed=0, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


# Files that were made to do harm


@pytest.mark.timeout(20)
def test_a_header_of_items_without_bytes_takes_no_memory(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x_train=X, y_train=Y)
    member(
        path,
        "classes.npy",
        forged("{'descr': '<U0', 'fortran_order': False, 'shape': (999999999999,)}"),
    )
    assert "classes must be a plain array, but has items without bytes" in problems(path)[0]


@pytest.mark.timeout(20)
def test_an_array_larger_than_the_memory_is_refused(tmp_path: Path) -> None:
    size = 10**15
    header = forged(
        f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size // 300}, 10, 10, 3)}}"
    )
    path = save(tmp_path / "a.npz", x_val=X, y_val=Y)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(
            "y_train.npy",
            forged(f"{{'descr': '|i1', 'fortran_order': False, 'shape': ({size // 300},)}}"),
        )
        archive.writestr("x_train.npy", header)
        for name, claimed in (("x_train.npy", size // 300 * 300), ("y_train.npy", size // 300)):
            archive.getinfo(name).file_size += claimed
    assert "a.npz must be an undamaged .npz, but" in problems(path)[0]


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': (",
        "-" * 9000 + "1",
        "(" * 9000,
        "{'descr': '(1(,)f', 'fortran_order': False, 'shape': ()}",
    ],
)
def test_a_header_that_no_parser_takes_is_refused(header: str, tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", y_train=Y)
    member(path, "x_train.npy", forged(header))
    assert "x_train must be a plain array" in problems(path)[0]


def test_a_zip_behind_another_file_is_read_as_a_zip(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x_train=X, y_train=Y)
    array = io.BytesIO()
    np.save(array, X)
    path.write_bytes(array.getvalue() + path.read_bytes())  # numpy.load would give that array
    assert prepare(str(path), image_size=8, caps=ALL, seed=0, cache=tmp_path / "cache").classes == (
        "0",
        "1",
    )


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_array_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    for number, name in enumerate(("x_train.npy", "x_train")):
        path = save(tmp_path / f"a{number}.npz", x_train=X, y_train=Y)
        array = io.BytesIO()
        np.save(array, X / 2)
        member(path, name, array.getvalue())
        assert "x_train must be a plain array, but occurs twice" in problems(path)[0]


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_is_found_in_any_compression(compression: int, tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", y_train=Y)
    array = io.BytesIO()
    np.save(array, X)
    member(path, "x_train.npy", array.getvalue(), compression)
    whole = path.read_bytes()
    for start in range(1500, 5000, 250):
        path.write_bytes(whole[:start] + bytes(60) + whole[start + 60 :])
        with pytest.raises(DataError, match=r"a\.npz"):
            prepare(str(path), image_size=8, caps=ALL, seed=0, cache=tmp_path / "cache")


@pytest.mark.parametrize("characters", [0xD800, 0x110000, 2**32 - 1])
def test_names_that_are_no_text_are_refused(characters: int, tmp_path: Path) -> None:
    names = np.array([characters, ord("a")] * 10, "<u4").view("<U1")
    assert (
        "a.npz must be an undamaged .npz"
        in problems(save(tmp_path / "a.npz", x_train=X, y_train=names))[0]
    )


@pytest.mark.timeout(20)
def test_many_names_of_classes_are_compared_in_no_time(tmp_path: Path) -> None:
    names = np.array([*map(str, range(300_000)), "0"])
    path, started = save(tmp_path / "a.npz", x_train=X, y_train=Y, classes=names), time.monotonic()
    assert "classes must be different names, but '0'" in problems(path)[0]
    assert time.monotonic() - started < 10


def test_many_other_arrays_of_odd_names_are_one_short_line(tmp_path: Path) -> None:
    path = save(
        tmp_path / "a.npz", x_train=X, y_train=Y, **{f"a\n{number}": Y for number in range(99)}
    )
    (note,) = (
        note
        for note in inspect(str(path), caps=ALL, seed=0, cache=tmp_path).notes
        if "other names" in note
    )
    assert note.endswith("and 89 more")
    assert note.isprintable()


def test_a_file_of_python_2_gives_no_warning(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    path = save(tmp_path / "a.npz", y_train=Y)
    member(
        path,
        "x_train.npy",
        forged("{'descr': '|u1', 'fortran_order': False, 'shape': (20L, 2L, 2L), }\n", bytes(80)),
    )
    how = ReadOptions(keep_copies=True)  # all images are black
    prepare(str(path), image_size=8, caps=ALL, seed=0, cache=tmp_path / "cache", how=how)
    assert not recwarn.list


def test_a_pipe_is_no_npz(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.npz")
    assert "a.npz" in problems(tmp_path / "a.npz")[0]
