"""Files of arrays: keys of other libraries, shapes, types, and splits that are one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.data_zoo.case import Case, Make, Mend, Reads, Refused, Right
from tests.data_zoo.pictures import Pixels, picture

Array = npt.NDArray[Any]


def images(series: str, count: int, side: int = 16) -> Pixels:
    """Pictures, uint8 [N, side, side, 3]."""
    return np.stack([picture(series, number, side) for number in range(count)])


def labels(count: int) -> Array:
    """Labels 0, 1, 0, 1 …"""
    return np.arange(count) % 2


X, Y = images("train", 24), labels(24)
XV, YV = images("val", 10), labels(10)
XT, YT = images("test", 8), labels(8)

FLAT = Reads(classes=("0", "1"), images={"train": 24})
PAIR = Reads(classes=("0", "1"), images={"train": 24, "test": 8})
ALL = Reads(classes=("0", "1"), images={"train": 24, "val": 10, "test": 8})


def saved(arrays: dict[str, Array], name: str = "set.npz") -> Make:
    """A builder of an .npz."""

    def make(place: Path) -> str:
        np.savez(place / name, **arrays)
        return str(place / name)

    return make


def array(name: str, arrays: dict[str, Array], *rights: Right, decode: bool = False) -> Case:
    """An .npz and its right readings."""
    return Case(name=f"npz_{name}", make=saved(arrays), right=rights, decode=decode)


def rename(reads: Reads, *found: str) -> tuple[Right, ...]:
    """Other keys are read, or refused with those that are there and the one that is expected."""
    return reads, Refused(says=(*found, "x_train"))


MEDMNIST = {
    f"{split}_{kind}": values
    for split, x, y in (("train", X, Y), ("val", XV, YV), ("test", XT, YT))
    for kind, values in (("images", x), ("labels", y[:, None].astype(np.uint8)))
}

KEYS = (
    array("plain", {"x_train": X, "y_train": Y}, FLAT),
    array("of_keras", {"x_train": X, "y_train": Y, "x_test": XT, "y_test": YT}, PAIR),
    array(
        "of_three_splits",
        {"x_train": X, "y_train": Y, "x_val": XV, "y_val": YV, "x_test": XT, "y_test": YT},
        ALL,
        decode=True,
    ),
    array("medmnist", MEDMNIST, *rename(ALL, "train_images")),
    array(
        "capital_x",
        {"X_train": X, "y_train": Y, "X_test": XT, "y_test": YT},
        *rename(PAIR, "X_train"),
    ),
    array(
        "valid",
        {"x_train": X, "y_train": Y, "x_valid": XV, "y_valid": YV},
        *rename(Reads(classes=("0", "1"), images={"train": 24, "val": 10}), "x_valid"),
    ),
    array("without_names", {"arr_0": X, "arr_1": Y}, *rename(FLAT, "arr_0")),
    array("images_labels", {"images": X, "labels": Y}, *rename(FLAT, "images")),
    array("data_target", {"data": X, "target": Y}, *rename(FLAT, "data")),
    array("x_y", {"x": X, "y": Y}, *rename(FLAT, "x")),
    array("images_alone", {"x_train": X}, Refused(says=("y_train",))),
    array("test_alone", {"x_test": XT, "y_test": YT}, Refused(says=("x_train",))),
    array("nothing_of_images", {"weights": np.ones((3, 3))}, Refused(says=("x_train", "weights"))),
)

NAMES = np.array(["cat", "dog"])

LABELS = (
    array(
        "names_as_labels",
        {"x_train": X, "y_train": NAMES[Y]},
        Reads(classes=("cat", "dog"), images={"train": 24}),
    ),
    array(
        "classes_given",
        {"x_train": X, "y_train": Y, "classes": NAMES},
        Reads(classes=("cat", "dog"), images={"train": 24}),
    ),
    array(
        "labels_in_a_column", {"x_train": X, "y_train": Y[:, None]}, FLAT, Refused(says=("ravel",))
    ),
    array(
        "labels_one_hot", {"x_train": X, "y_train": np.eye(2)[Y]}, FLAT, Refused(says=("argmax",))
    ),
    array(
        "labels_as_floats",
        {"x_train": X, "y_train": Y.astype(float)},
        FLAT,
        Refused(says=("astype(int)",)),
    ),
    array(
        "labels_from_minus_one",
        {"x_train": X, "y_train": Y - 1},
        Reads(classes=("-1", "0"), images={"train": 24}),
    ),
    array(
        "labels_of_objects",
        {"x_train": X, "y_train": NAMES[Y].astype(object)},
        Refused(says=("y_train", "pickle")),
    ),
    array("labels_of_other_length", {"x_train": X, "y_train": Y[:20]}, Refused(says=("24", "20"))),
    array(
        "names_that_differ_in_case",
        {"x_train": X, "y_train": np.array(["Dog", "dog"])[Y]},
        Refused(says=("'Dog'", "'dog'")),
    ),
)

SHAPES = (
    array("grey", {"x_train": X[..., 0], "y_train": Y}, FLAT, decode=True),
    array(
        "grey_with_an_axis",
        {"x_train": X[..., :1], "y_train": Y},
        FLAT,
        Refused(says=("[24, 16, 16, 1]",)),
    ),
    array(
        "channels_first",
        {"x_train": X.transpose(0, 3, 1, 2), "y_train": Y},
        FLAT,
        Refused(says=("transpose(0, 2, 3, 1)",)),
    ),
    array(
        "with_alpha",
        {"x_train": np.concatenate([X, X[..., :1]], 3), "y_train": Y},
        Refused(says=("[24, 16, 16, 4]",)),
    ),
    array(
        "flattened",
        {"x_train": X.reshape(24, -1), "y_train": Y},
        Refused(says=("[24, 768]", "reshape")),
    ),
    array(
        "floats_to_1", {"x_train": X / 255, "y_train": Y}, FLAT, Refused(says=("float64", "uint8"))
    ),
    array(
        "floats_to_255",
        {"x_train": X.astype(np.float32), "y_train": Y},
        FLAT,
        Refused(says=("float32", "astype('uint8')")),
    ),
    array(
        "int64",
        {"x_train": X.astype(np.int64), "y_train": Y},
        FLAT,
        Refused(says=("int64", "astype('uint8')")),
    ),
    array("empty", {"x_train": X[:0], "y_train": Y[:0]}, Refused(says=("empty",))),
    array("one_class", {"x_train": X, "y_train": 0 * Y}, Refused(says=("2 classes",))),
    array(
        "zeros_and_ones",
        {"x_train": (X > 99).astype(np.uint8), "y_train": Y},
        Refused(says=("1",)),
        Reads(classes=("0", "1"), images={"train": 24}, says=("nearly black",)),
        decode=True,
    ),
)

COPIES = (
    array(
        "test_equal_to_train",
        {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y},
        Refused(says=("x_test", "x_train")),
    ),
    array(
        "test_equal_to_train_shuffled",
        {"x_train": X, "y_train": Y, "x_test": X[::-1], "y_test": Y[::-1]},
        Refused(says=("y_test",)),
        decode=True,
    ),
    array(
        "val_equal_to_train",
        {"x_train": X, "y_train": Y, "x_val": X, "y_val": Y},
        Refused(says=("x_val", "x_train")),
    ),
    array(
        "some_of_test_in_train",
        {
            "x_train": X,
            "y_train": Y,
            "x_test": np.concatenate([XT, X[:4]]),
            "y_test": np.concatenate([YT, Y[:4]]),
        },
        Reads(classes=("0", "1"), images={"train": 20, "test": 12}, says=("4",)),
        decode=True,
    ),
)


def wrong_file(name: str, file: str, content: bytes, *says: str) -> Case:
    """A file of data that is no .npz."""

    def make(place: Path) -> str:
        (place / file).write_bytes(content)
        return str(place / file)

    return Case(name=f"data_file_{name}", make=make, right=Refused(says=says))


def one_array(place: Path) -> str:
    """An .npy."""
    np.save(place / "x_train.npy", X)
    return str(place / "x_train.npy")


def beside(place: Path) -> str:
    """An .npz alone in a folder that is passed."""
    (place / "set").mkdir()
    np.savez(place / "set" / "data.npz", x_train=X, y_train=Y)
    return str(place / "set")


OTHER_FILES = (
    Case(name="data_file_npy", make=one_array, right=Refused(says=("npy", "savez"))),
    wrong_file("torch", "set.pt", b"PK\3\4" + bytes(40), ".pt", "numpy.savez"),
    wrong_file("pickle", "train.pkl", b"\x80\4\x95", ".pkl", "numpy.savez"),
    wrong_file("matlab", "train_32x32.mat", b"MATLAB 5.0 MAT-file", ".mat", "numpy.savez"),
    wrong_file("hdf5", "train.h5", b"\x89HDF\r\n\x1a\n", ".h5", "numpy.savez"),
    wrong_file("npz_that_is_text", "set.npz", b"hello", "npz"),
    wrong_file(
        "npz_that_is_a_pointer",
        "set.npz",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "git lfs",
    ),
    Case(
        name="data_folder_of_an_npz",
        make=beside,
        right=Refused(mends=(Mend(printed="{data}/data.npz", data="data.npz", reads=FLAT),)),
    ),
)

CASES = (*KEYS, *LABELS, *SHAPES, *COPIES, *OTHER_FILES)
