"""Copies: of test and val in train, of one image in two classes, of a class, and near copies.

All are decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tests.data_zoo.build import Content, Pics, copied, folder
from tests.data_zoo.case import Case, Make, Reads, Refused, Right

CLASSES = ("cat", "dog")
SPLIT = {"train/{cat,dog}": 12, "test/{cat,dog}": 4}
THREE = {"train/{cat,dog}": 8, "val/{cat,dog}": 5, "test/{cat,dog}": 5}


def copies(name: str, make: Make, *rights: Right, **flags: object) -> Case:
    """A decoded case."""
    return Case(name=f"copies_{name}", make=make, right=rights, flags=flags, decode=True)


def reads(images: Mapping[str, int] | None, *says: str) -> Reads:
    """Two classes."""
    return Reads(classes=CLASSES, images=images, says=says)


def again(
    source: str, target: str, change: Callable[[Image.Image], Image.Image], quality: int = 70
) -> Callable[[Path], None]:
    """A step that saves some image again, changed a little: a near copy."""

    def step(root: Path) -> None:
        with Image.open(root / source) as image:
            change(image.convert("RGB")).save(root / target, quality=quality)

    return step


def same(image: Image.Image) -> Image.Image:
    """Nothing changed but the encoding."""
    return image


def brighter(image: Image.Image) -> Image.Image:
    """A tenth brighter."""
    return image.point(lambda value: min(255, round(1.1 * value)))


def larger(image: Image.Image) -> Image.Image:
    """Half as large again."""
    return image.resize((48, 48), Image.Resampling.BICUBIC)


def leaked(tree: Mapping[str, Content], *pairs: tuple[str, str]) -> Make:
    """A set in which some files are copied."""
    return folder(tree, *(copied(source, target) for source, target in pairs))


THREE_OF_TEST = [(f"test/cat/{n:03}.jpg", f"train/cat/x{n}.jpg") for n in range(3)]

EXACT = (
    copies(
        "of_test_in_train",
        leaked(SPLIT, *THREE_OF_TEST),
        reads({"train": 24, "test": 8}, "3", "test", "x0.jpg"),
    ),
    copies(
        "of_test_kept_in_train",
        leaked(SPLIT, *THREE_OF_TEST),
        reads({"train": 27, "test": 8}, "3"),
        keep_copies=True,
    ),
    copies(
        "of_val_in_train",
        leaked(
            THREE, ("val/cat/000.jpg", "train/cat/x.jpg"), ("val/dog/001.jpg", "train/dog/y.jpg")
        ),
        reads({"train": 16, "val": 10, "test": 10}, "2", "val"),
    ),
    copies(
        "of_train_between_val_and_test",
        leaked(
            THREE, ("train/cat/000.jpg", "val/cat/x.jpg"), ("train/cat/000.jpg", "test/cat/y.jpg")
        ),
        reads(None, "val", "test"),
    ),
    copies(
        "of_test_in_the_train_of_another_class",
        leaked(SPLIT, ("test/cat/000.jpg", "train/dog/x.jpg")),
        reads({"train": 24, "test": 8}, "x.jpg"),
    ),
    copies(
        "of_all_of_test",
        folder({"train/{cat,dog}": 12}, copied("train", "test")),
        Refused(says=("test", "train")),
    ),
    copies(
        "of_all_of_one_class_of_test",
        folder({"train/{cat,dog}": 9, "test/dog": 4}, copied("train/cat", "test/cat")),
        Refused(says=("cat",)),
    ),
    copies(
        "of_one_image_in_two_classes",
        leaked({"{cat,dog}": 12}, ("cat/000.jpg", "dog/x.jpg")),
        reads({"train": 25}, "cat", "dog", "x.jpg"),
        reads({"train": 24}, "cat", "dog", "x.jpg"),
        reads({"train": 23}, "cat", "dog", "x.jpg"),
    ),
    copies(
        "three_of_each_file",
        leaked(
            {"{cat,dog}": 5},
            *(
                (f"{c}/{n:03}.jpg", f"{c}/{n:03} ({k}).jpg")
                for c in CLASSES
                for n in range(5)
                for k in (1, 2)
            ),
        ),
        reads({"train": 30}, "20"),
        reads({"train": 10}, "20"),
    ),
    copies(
        "two_of_each_image_in_one_class",
        leaked({"{cat,dog}": 10}, ("cat", "cat/again")),
        reads({"train": 30}, "10"),
        reads({"train": 20}, "10"),
    ),
    copies(
        "a_class_that_is_another",
        folder({"{cat,dog}": 10}, copied("cat", "felines")),
        Refused(says=("'cat'", "'felines'")),
        Reads(classes=("cat", "dog", "felines"), images=None, says=("'cat'", "'felines'")),
    ),
    copies("none", folder(SPLIT), reads({"train": 24, "test": 8})),
    copies("none_in_a_flat_set", folder({"{cat,dog}": 12}), reads({"train": 24})),
)


def nearly(name: str, change: Callable[[Image.Image], Image.Image], quality: int = 70) -> Case:
    """Three near copies of test images in train: taken out and said, or said at least."""
    make = folder(
        SPLIT, *(again(source, target, change, quality) for source, target in THREE_OF_TEST)
    )
    return copies(
        f"near_{name}",
        make,
        reads({"train": 24, "test": 8}, "near", "3"),
        reads({"train": 27, "test": 8}, "near", "3"),
    )


def dark(number: int) -> Pics:
    """Pictures of their own, for classes that only look alike in color."""
    return Pics(count=12, name=f"{number}-{{:03}}.png")


NEAR = (
    nearly("of_another_quality", same),
    nearly("of_low_quality", same, quality=40),
    nearly("a_little_brighter", brighter, quality=90),
    nearly("of_another_size", larger, quality=90),
    copies(
        "near_in_a_flat_set_stay_on_one_side",
        folder(
            {"{cat,dog}": 10},
            *(again(f"cat/{n:03}.jpg", f"cat/{n:03}-small.jpg", larger, 90) for n in range(10)),
        ),
        reads({"train": 30}, "near", "10"),
        reads({"train": 20}, "near", "10"),
    ),
    copies(
        "near_are_not_pictures_of_one_hue",
        folder({"cat": dark(1), "dog": dark(2)}),
        reads({"train": 24}),
    ),
    copies(
        "png_in_train_and_jpeg_in_test",
        folder(
            SPLIT, *(again(f"test/cat/{n:03}.jpg", f"train/cat/x{n}.png", same) for n in range(3))
        ),
        reads({"train": 24, "test": 8}, "3"),
        reads({"train": 27, "test": 8}, "3"),
    ),
)


def blank(value: int) -> Callable[[Path], None]:
    """A step that writes five pictures of one color into a class."""

    def step(root: Path) -> None:
        for number in range(5):
            Image.fromarray(np.full((32, 32, 3), value, np.uint8)).save(
                root / "cat" / f"blank{value}-{number}.png"
            )

    return step


WHITE = folder({"{cat,dog}": 10}, blank(255))
BLANK = (
    copies(
        "five_white_pictures", WHITE, reads({"train": 25}, "copies"), reads({"train": 21}, "copies")
    ),
    copies(
        "white_and_black", folder({"{cat,dog}": 10}, blank(255), blank(0)), reads(None, "copies")
    ),
)


def pairs(count: int, distinct: int) -> Make:
    """Two classes with images of which only some are different."""
    return leaked(
        {"{cat,dog}": distinct},
        *((f"{c}/000.jpg", f"{c}/x{n}.jpg") for c in CLASSES for n in range(count - distinct)),
    )


def parts(name: str) -> Make:
    """Train, and another part whose images are all in train too."""
    files = [f"{c}/{n:03}.jpg" for c in CLASSES for n in range(4)]
    return leaked({"train/{cat,dog}": 12}, *((f"train/{file}", f"{name}/{file}") for file in files))


CHAIN = (
    ("test/cat/000.jpg", "val/cat/x.jpg", same, 70),
    ("val/cat/x.jpg", "train/cat/y.jpg", same, 50),
    ("train/cat/y.jpg", "train/dog/z.jpg", larger, 90),
)
THREE_LEFT = {"train": 16, "val": 10, "test": 10}
MANY = (
    copies(
        "in_a_chain_across_three_splits",
        folder(THREE, *(again(*step) for step in CHAIN)),
        reads(THREE_LEFT),
    ),
    copies(
        "of_some_of_train_are_all_of_val",
        parts("val"),
        reads({"train": 16, "val": 8}, "8", "left out of train"),
    ),
    copies(
        "of_some_of_train_are_all_of_test",
        parts("test"),
        reads({"train": 16, "test": 8}, "8", "left out of train"),
    ),
    copies(
        "of_all_of_test_are_val",
        folder({"train/{cat,dog}": 9, "test/{cat,dog}": 5}, copied("test", "val")),
        Refused(says=("val", "test", "all 10")),
    ),
    copies("are_eight_of_nine", pairs(9, 2), Refused(says=("copies", "000.jpg"))),
    copies("are_half_of_a_class", pairs(60, 31), reads({"train": 120}, "58")),
)

CASES = (*EXACT, *NEAR, *BLANK, *MANY)
