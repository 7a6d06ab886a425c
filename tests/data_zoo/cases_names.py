"""Names of classes, and how many images they have."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from tests.data_zoo.build import fill, folder, mode
from tests.data_zoo.case import Case, Make, Mend, Reads, Refused, Right
from tests.data_zoo.pictures import picture, save

NFC = "café"
NFD = unicodedata.normalize("NFD", NFC)

NASTY = (
    "-rf",
    "; rm x",
    "$(id)",
    "a\nb",
    "tab\there",
    "\x1b[31mred",
    "日本",
    "😀",
    'it\'s "it"',
    "%s %d",
    "{data}",
    "<script>",
    "a,b;c",
    "nan",
    "None",
    "1e5",
    "CON",
    "[link](x)",
    "&amp;",
    "\u202etxt",
    "l" * 250,
)


def classes(*names: str, count: int = 10) -> Make:
    """A builder of a flat set with these names, which may hold any characters."""

    def make(place: Path) -> str:
        for name in names:
            for number in range(count):
                save(place / "set" / name / f"{number:03}.jpg", picture(name, number))
        return str(place / "set")

    return make


def many(place: Path) -> str:
    """1,200 classes of 9 images of 4 x 4 pixels."""
    for number in range(1200):
        path = place / "set" / f"c{number:04}"
        path.mkdir(parents=True)
        for image in range(9):
            (path / f"{image}.ppm").write_bytes(
                b"P6 4 4 255\n" + number.to_bytes(24, "big") + image.to_bytes(24, "big")
            )
    return str(place / "set")


def unprintable(place: Path) -> str:
    """A class whose name is not UTF-8."""
    fill(place / "set", {"{cat,dog}": 10})
    (place / "set" / "dog").rename(place / "set" / os.fsdecode(b"d\xf6g"))
    return str(place / "set")


def one_or_refused(first: str, second: str) -> tuple[Right, ...]:
    """Two spellings of one name beside `owl` are one class, or refused with both."""
    merged = tuple(
        Reads(classes=(name, "owl"), images={"train": 30}, says=(name,))
        for name in dict.fromkeys((first, second, first.strip()))
    )
    return (*merged, Refused(says=(repr(first), repr(second))))


def pair(name: str, first: str, second: str) -> Case:
    """Two spellings of one name side by side."""
    return Case(
        name=f"names_that_differ_in_{name}",
        make=classes(first, second, "owl"),
        right=one_or_refused(first, second),
    )


def across(name: str, first: str, second: str) -> Case:
    """A name that is spelled in train in one way and in test in another."""
    counts = {"train": 16, "test": 8}
    return Case(
        name=f"splits_that_differ_in_{name}",
        make=folder({f"train/{first}": 8, "train/owl": 8, f"test/{second}": 4, "test/owl": 4}),
        right=(
            Reads(classes=(first, "owl"), images=counts),
            Reads(classes=(second, "owl"), images=counts),
            Refused(says=(repr(first), repr(second)), never=("has 0",)),
        ),
    )


def flat(name: str, *names: str) -> Case:
    """Names that are classes, whatever they look like."""
    return Case(
        name=f"classes_called_{name}",
        make=classes(*names),
        right=Reads(classes=names, images={"train": 10 * len(names)}),
    )


CALLED = (
    flat("train_plane_car", "train", "plane", "car"),
    flat("train_and_bus", "train", "bus"),
    flat("test_and_control", "test", "control"),
    # Nobody knows whether val is a god or the validation images that somebody has not sorted yet:
    # both readings are said.
    Case(
        name="classes_called_val_and_thor",
        make=folder({"{val,thor,loki}": 10}),
        right=Refused(
            says=("val without class folders",),
            mends=(
                Mend(
                    printed="--layout classes",
                    flags={"layout": "classes"},
                    reads=Reads(classes=("val", "thor", "loki"), images={"train": 30}),
                ),
            ),
        ),
    ),
    flat("training_and_running", "training", "running", "resting"),
    flat("numbers", *map(str, range(11))),
    flat("true_and_false", "True", "False"),
    flat("images_and_text", "images", "text"),
    flat("left_and_right", "left", "right"),
    flat("clean_and_noisy", "clean", "noisy"),
    flat("with_spaces_inside", "red fox", "red  deer"),
    flat("with_dots", "v1.0", "v1.1", "a.jpg"),
    flat("nasty", *NASTY),
)

SPELLED = (
    pair("case", "Dog", "dog"),
    pair("outer_spaces", "dog", "dog "),
    pair("outer_no_break_space", "dog", "dog\u00a0"),
    pair("unicode_form", NFC, NFD),
    pair("sharp_s", "straße", "STRASSE"),
    across("unicode_form", NFC, NFD),
    across("case", "Dog", "dog"),
    across("outer_spaces", "dog", "dog "),
    Case(
        name="labels_of_a_table_that_differ_in_case",
        make=folder(
            {
                "train": 30,
                "labels.csv": "id,label\n"
                + "".join(f"{n:03},{('Dog', 'dog', 'owl')[n % 3]}\n" for n in range(30)),
            }
        ),
        right=one_or_refused("Dog", "dog"),
    ),
    Case(
        name="labels_of_a_table_that_differ_in_unicode_form",
        make=folder(
            {
                "train": 30,
                "labels.csv": "id,label\n"
                + "".join(f"{n:03},{(NFC, NFD, 'owl')[n % 3]}\n" for n in range(30)),
            }
        ),
        right=one_or_refused(NFC, NFD),
    ),
)

COUNTS = (
    Case(
        name="two_plain_classes",
        make=classes("cat", "dog"),
        right=Reads(classes=("cat", "dog"), images={"train": 20}),
    ),
    Case(
        name="two_classes_of_nine",
        make=classes("cat", "dog", count=9),
        right=Reads(classes=("cat", "dog"), images={"train": 18}),
    ),
    Case(
        name="two_classes_of_eight",
        make=classes("cat", "dog", count=8),
        right=Refused(says=("9", "'cat' has 8")),
    ),
    Case(
        name="one_class", make=classes("cat"), right=Refused(says=("at least 2 classes", "'cat'"))
    ),
    Case(
        name="a_class_of_one",
        make=folder({"{cat,dog}": 10, "owl": 1}),
        right=Refused(says=("'owl' has 1",)),
    ),
    Case(
        name="a_class_of_two",
        make=folder({"{cat,dog}": 10, "owl": 2}),
        right=Refused(says=("'owl' has 2",)),
    ),
    Case(
        name="an_empty_class",
        make=folder({"{cat,dog}": 10, "owl/.keep": ""}),
        right=Refused(says=("'owl' has 0",)),
    ),
    Case(
        name="a_class_of_one_to_a_thousand",
        make=folder({"cat": 40, "dog": 9}),
        right=Reads(classes=("cat", "dog"), images={"train": 49}),
    ),
    Case(
        name="many_classes_of_one",
        make=classes(*(f"p{n:02}" for n in range(40)), count=1),
        right=Refused(says=("40", "'p00'")),
    ),
    Case(
        name="many_classes",
        make=many,
        right=Reads(
            classes=tuple(f"c{n:04}" for n in range(1200)), images={"train": 10800}, says=("1,200",)
        ),
    ),
    Case(name="an_empty_folder", make=folder({".keep": ""}), right=Refused(says=("holds none",))),
    Case(name="images_without_classes", make=folder({".": 12}), right=Refused(says=("12",))),
    Case(
        name="classes_of_texts",
        make=folder({"{cat,dog}/{1,2,3}.txt": "x"}),
        right=Refused(says=(".txt",)),
    ),
    Case(
        name="a_name_that_is_not_utf8", make=unprintable, right=Refused(says=("UTF-8", "\\udcf6"))
    ),
    Case(
        name="a_hidden_class",
        make=folder({"{cat,dog}": 10, ".owl": 10}),
        right=Reads(classes=("cat", "dog"), images={"train": 20}),
    ),
    Case(
        name="a_read_only_folder",
        make=folder({"{cat,dog}": 10}, mode("cat", 0o555), mode("dog", 0o555), mode(".", 0o555)),
        right=Reads(classes=("cat", "dog"), images={"train": 20}),
        decode=True,
    ),
)

CASES = (*CALLED, *SPELLED, *COUNTS)
