"""What arrays of an .npz are called elsewhere: MedMNIST's `train_images`, Keras's `X_train`, plain `images` and `labels`."""

from __future__ import annotations

import re
from collections.abc import Sequence

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
    """The key in `KEYS` that each array's name means, of those that mean one; a name in `KEYS` is itself.

    Where two names mean one key and neither is it, neither does.
    """
    found = {name: name for name in names if name in KEYS}
    meant: dict[str, list[str]] = {}
    for name in names:
        key = _key(name)
        if key and key not in found:
            meant.setdefault(key, []).append(name)
    return found | {several[0]: key for key, several in meant.items() if len(several) == 1}


def _key(name: str) -> str:
    """The key that a name means by its words; empty where it means none."""
    if name.lower() in _CLASSES:
        return "classes"
    words = [word.lower() for word in re.findall(r"[A-Za-z]+", name)]
    axes = [axis for axis, known in _AXES.items() for word in words if word in known]
    splits = [split for split, known in _SPLITS.items() for word in words if word in known]
    rest = len(words) - len(axes) - len(splits)
    if len(axes) != 1 or len(splits) > 1 or rest:
        return ""
    return f"{axes[0]}_{splits[0] if splits else 'train'}"
