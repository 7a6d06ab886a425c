"""Other names of an .npz's arrays: MedMNIST's `train_images`, Keras's `X_train`, plain `images`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from trainables.data.listing import SPLITS

KEYS = (*(f"{axis}_{split}" for split in SPLITS for axis in "xy"), "classes")

_AXES = {
    "x": ("x", "image", "images", "img", "imgs", "data", "input", "inputs", "features", "pixels"),
    "y": ("y", "label", "labels", "target", "targets", "class", "output", "outputs"),
}
_SPLITS = {
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing", "te"),
}
_CLASSES = ("classes", "class_names", "names", "label_names")


def canonical(names: Sequence[str]) -> dict[str, str]:
    """Return the key in `KEYS` that each array's name means, of those that mean one.

    A name in `KEYS` is itself. Where two names mean one key and neither is it, neither does.
    """
    # Names in `KEYS` win over all others.
    exact = {name: name for name in names if name in KEYS}
    meant: dict[str, list[str]] = {}
    for name in names:
        key = _key(name)
        if key and key not in exact:
            meant.setdefault(key, []).append(name)
    certain = {several[0]: key for key, several in meant.items() if len(several) == 1}
    return exact | certain


def _key(name: str) -> str:
    """Return the key that a name means by its words; empty where it means none."""
    if name.lower() in _CLASSES:
        return "classes"
    axes: list[str] = []
    splits: list[str] = []
    # Each word must name an axis or a split: `train_images`, and no `train_masks`.
    for word in re.findall(r"[A-Za-z]+", name):
        axis = _meaning(word.lower(), _AXES)
        split = _meaning(word.lower(), _SPLITS)
        if axis:
            axes.append(axis)
        elif split:
            splits.append(split)
        else:
            return ""
    if len(axes) != 1 or len(splits) > 1:
        return ""
    splits = splits or ["train"]
    return f"{axes[0]}_{splits[0]}"


def _meaning(word: str, words_of: Mapping[str, Sequence[str]]) -> str:
    """Return what has a word among its words; empty where nothing has."""
    return next((meant for meant, words in words_of.items() if word in words), "")
