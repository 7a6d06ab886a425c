"""Folders too many, sets inside themselves, superclasses."""

from __future__ import annotations

from tests.data_zoo.build import Content, Pics, copied, folder
from tests.data_zoo.case import LEAVES, Case, Mend, Reads, Refused, Right

CAT_DOG = Reads(classes=("cat", "dog"), images={"train": 20})
SPLIT = Reads(classes=("cat", "dog"), images={"train": 16, "test": 8})


def wrapped(inner: str, reads: Reads) -> tuple[Right, ...]:
    """A set in a folder too many is refused with the folder to give, or read with it named."""
    said = Reads(classes=reads.classes, images=reads.images, says=(inner, *reads.says))
    return Refused(mends=(Mend(printed=f"{{data}}/{inner}", data=inner, reads=reads),)), said


WRAPPED = (
    Case(
        name="wrapper_of_splits",
        make=folder({"data/train/{cat,dog}": 8, "data/test/{cat,dog}": 4}),
        right=wrapped("data", SPLIT),
    ),
    Case(
        name="wrapper_of_Training_and_Testing",
        make=folder({"data/Training/{cat,dog}": 8, "data/Testing/{cat,dog}": 4, "LICENSE": "x"}),
        right=wrapped("data", SPLIT),
    ),
    Case(
        name="wrapper_of_classes",
        make=folder(
            {"PetImages/{cat,dog}": 10, "readme[1].txt": "x", "MSR-LA - 3467.docx": b"PK\3\4"}
        ),
        right=wrapped("PetImages", CAT_DOG),
    ),
    Case(
        name="wrapper_with_readme",
        make=folder({"photos/{cat,dog}": 10, "README.md": "x", ".git/HEAD": "x"}),
        right=wrapped("photos", CAT_DOG),
    ),
    Case(
        name="wrapper_beside_code_without_images",
        make=folder(
            {
                "images/{cat,dog}": 10,
                "src/train.py": "x",
                "notebooks/a.ipynb": "{}",
                "models/.gitkeep": "",
            }
        ),
        right=wrapped("images", CAT_DOG),
    ),
    Case(
        name="wrapper_called_images_over_splits",
        make=folder({"images/train/{cat,dog}": 8, "images/val/{cat,dog}": 4}),
        right=wrapped("images", Reads(classes=("cat", "dog"), images={"train": 16, "val": 8})),
    ),
    Case(
        name="two_wrappers",
        make=folder({"archive/animals/{cat,dog}": 10, "archive/README.txt": "x"}),
        right=wrapped("archive/animals", CAT_DOG),
    ),
    Case(
        name="two_wrappers_of_one_name",
        make=folder({"data/data/train/{cat,dog}": 8, "data/data/test/{cat,dog}": 4}),
        right=wrapped("data/data", SPLIT),
    ),
    Case(
        name="three_wrappers",
        make=folder({"a/b/c/{cat,dog}": 10}),
        right=wrapped("a/b/c", CAT_DOG),
    ),
    Case(
        name="wrapper_over_a_class_first_set",
        make=folder({"animals/{cat,dog}/train": 8, "animals/{cat,dog}/test": 4}),
        right=wrapped("animals", SPLIT),
    ),
    Case(
        name="wrapper_beside_litter_of_other_systems",
        make=folder(
            {
                "photos/{cat,dog}": 10,
                "__MACOSX/photos/cat/._000.jpg": b"\0\5\26\7",
                "@eaDir/photos": 2,
            }
        ),
        right=wrapped("photos", CAT_DOG),
    ),
    Case(
        name="wrapper_beside_a_logo",
        make=folder({"photos/{cat,dog}": 10, "docs": Pics(count=1, name="logo{}.png")}),
        right=Refused(
            says=("docs",), mends=(Mend(printed="{data}/photos", data="photos", reads=CAT_DOG),)
        ),
    ),
    Case(
        name="wrapper_beside_an_archive_of_itself",
        make=folder({"photos/{cat,dog}": 10, "photos.zip": b"PK\3\4" + bytes(50)}),
        right=wrapped("photos", CAT_DOG),
    ),
)

FLOWERS = ("daisy", "rose", "tulip")

TWICE = (
    Case(
        name="set_inside_itself",
        make=folder(
            {"flowers/{daisy,rose,tulip}": 9}, copied("flowers", "flowers/flowers"), data="flowers"
        ),
        right=(
            Reads(classes=FLOWERS, images={"train": 27}, says=("flowers", "27")),
            Refused(says=("flowers", "daisy")),
        ),
    ),
    Case(
        name="set_inside_itself_with_splits",
        make=folder(
            {
                "chest/train/{normal,ill}": 8,
                "chest/test/{normal,ill}": 4,
                "chest/__MACOSX/chest/._train": b"\0\5\26\7",
            },
            copied("chest", "chest/chest"),
            data="chest",
        ),
        right=(
            Reads(classes=("ill", "normal"), images={"train": 16, "test": 8}, says=("chest",)),
            Refused(says=("chest",)),
        ),
    ),
    Case(
        name="set_inside_itself_by_another_name",
        make=folder({"set/{daisy,rose,tulip}": 9}, copied("set", "set/backup"), data="set"),
        right=(
            Reads(classes=FLOWERS, images={"train": 27}, says=("backup", "27")),
            Refused(says=("backup", "daisy")),
        ),
    ),
    Case(
        name="other_images_of_the_same_classes_inside",
        make=folder({"{daisy,rose,tulip}": 9, "more/{daisy,rose,tulip}": 9}),
        right=Refused(says=("more", "daisy")),
    ),
    Case(
        name="set_inside_one_of_its_splits",
        make=folder({"train/{cat,dog}": 8, "test/{cat,dog}": 4}, copied("train", "train/train")),
        right=(
            Reads(classes=("cat", "dog"), images={"train": 16, "test": 8}, says=("train/train",)),
            Refused(says=("train/train",)),
        ),
    ),
)

KINGDOMS = {"animals/{cat,dog}": 6, "plants/{rose,oak}": 6}
SPECIES = ("cat", "dog", "oak", "rose")
SUPER = Reads(
    classes=("animals", "plants"), images={"train": 24}, says=(f"--layout {LEAVES}", "cat")
)

SUPERCLASSES = (
    Case(name="superclasses_stay_with_a_note", make=folder(KINGDOMS), right=SUPER),
    Case(
        name="superclasses_by_their_leaves",
        make=folder({"animals/{cat,dog}": 9, "plants/{rose,oak}": 9}),
        flags={"layout": LEAVES},
        right=Reads(classes=SPECIES, images={"train": 36}),
    ),
    Case(
        name="superclasses_in_splits_stay_with_a_note",
        make=folder(
            {f"train/{name}": 8 for name in KINGDOMS} | {f"test/{name}": 4 for name in KINGDOMS}
        ),
        right=Reads(
            classes=("animals", "plants"),
            images={"train": 32, "test": 16},
            says=(f"--layout {LEAVES}",),
        ),
    ),
    Case(
        name="superclasses_in_splits_by_their_leaves",
        make=folder(
            {f"train/{name}": 8 for name in KINGDOMS} | {f"test/{name}": 4 for name in KINGDOMS}
        ),
        flags={"layout": LEAVES},
        right=Reads(classes=SPECIES, images={"train": 32, "test": 16}),
    ),
    Case(
        name="superclasses_in_splits_beside_another_folder_by_their_leaves",
        make=folder({f"{{train,test,more}}/{name}": 8 for name in KINGDOMS}),
        flags={"layout": LEAVES},
        right=Refused(says=("two readings", "more")),
    ),
    Case(
        name="superclasses_in_two_folders_of_one_split_by_their_leaves",
        make=folder({f"{{train,val,valid}}/{name}": 8 for name in KINGDOMS}),
        flags={"layout": LEAVES},
        right=Refused(says=("one folder for val", "valid")),
    ),
    Case(
        name="superclasses_in_a_test_folder_beside_them_by_their_leaves",
        make=folder({**KINGDOMS, **{f"test/{name}": 4 for name in KINGDOMS}}),
        flags={"layout": LEAVES},
        right=Refused(says=("train",)),
    ),
    Case(
        name="deepest_of_a_plain_flat_set_is_the_set",
        make=folder({"{cat,dog}": 10}),
        flags={"layout": LEAVES},
        right=CAT_DOG,
    ),
    Case(
        name="a_layout_that_is_unknown",
        make=folder({"{cat,dog}": 10}),
        flags={"layout": "deepest"},
        right=Refused(says=("'deepest'", LEAVES)),
    ),
    Case(
        name="one_class_has_folders_inside",
        make=folder({"cat/{indoor,outdoor}": 5, "dog": 10}),
        right=CAT_DOG,
    ),
    Case(
        name="classes_hold_folders_of_dates",
        make=folder({"{cat,dog}/2024/{01,02}": 5}),
        right=CAT_DOG,
    ),
    Case(
        name="classes_hold_one_folder_images",
        make=folder({"{cat,dog}/images": 10}),
        right=CAT_DOG,
    ),
    Case(
        name="images_directly_beside_class_folders",
        make=folder({"{cat,dog}": 10, ".": Pics(count=3, name="overview_{}.png")}),
        right=Reads(classes=("cat", "dog"), images={"train": 20}, says=("3", "overview_")),
    ),
    Case(
        name="images_in_a_class_and_in_its_folders",
        make=folder({"cat": 6, "cat/night": 4, "dog": 10}),
        right=CAT_DOG,
    ),
)


def laid(name: str, layout: str, tree: dict[str, Content], *right: Right) -> Case:
    """A layout that the user names."""
    return Case(name=f"layout_{name}", make=folder(tree), flags={"layout": layout}, right=right)


TRAIN_TEST = {"train/{cat,dog}": 8, "test/{cat,dog}": 4}

LAYOUTS = (
    laid(
        "classes_of_split_folders",
        "classes",
        TRAIN_TEST | {"test/{cat,dog}": 5},
        Reads(classes=("test", "train"), images={"train": 26}),
    ),
    laid("splits_of_split_folders", "splits", TRAIN_TEST, SPLIT),
    laid("splits_of_a_flat_set", "splits", {"{cat,dog}": 10}, Refused(says=("train",))),
    laid("class_first", "class-first", {"{cat,dog}/train": 8, "{cat,dog}/test": 4}, SPLIT),
    laid("class_first_of_a_flat_set", "class-first", {"{cat,dog}": 10}, Refused(says=("train",))),
    laid(
        "classes_of_a_class_first_set",
        "classes",
        {"{cat,dog}/train": 8, "{cat,dog}/test": 4},
        Reads(classes=("cat", "dog"), images={"train": 24}),
    ),
    laid("table_without_a_table", "table", {"{cat,dog}": 10}, Refused(says=("table",))),
    laid(
        "classes_beside_a_table",
        "classes",
        {"{cat,dog}": 10, "labels.csv": "id,label\n000,cat\n"},
        CAT_DOG,
    ),
)

CASES = (*WRAPPED, *TWICE, *SUPERCLASSES, *LAYOUTS)
