"""Sets of other people.

Some parts by folders and some by tables, splits of other names, sets beside each other.
"""

from __future__ import annotations

from tests.data_zoo.build import Content, Pics, folder
from tests.data_zoo.case import LEAVES, Case, Make, Mend, Reads, Refused, Right

AB = ("a", "b")
TRAIN_TEST = Reads(classes=AB, images={"train": 24, "test": 8})


def rows(count: int, name: str = "{:03}.jpg", header: str = "file,label") -> str:
    """A table in which labels alternate."""
    return "\n".join(
        [header, *(f"{name.format(number)},{AB[number % 2]}" for number in range(count))]
    )


def case(name: str, tree: dict[str, Content], *right: Right, **flags: object) -> Case:
    """A case of a tree."""
    return Case(name=f"strangers_{name}", make=folder(tree), right=right, flags=flags)


TEST = Pics(count=8, name="t{}.jpg")
TABLES = (
    case(
        "class_folders_and_a_table_of_test_beside_them",
        {"train/{a,b}": 12, "test": TEST, "test.csv": rows(8, "t{}.jpg")},
        Reads(classes=AB, images={"train": 24, "test": 8}, says=("test.csv",)),
    ),
    case(
        "class_folders_and_tables_of_all_beside_them",
        {
            "Train/{a,b}": 12,
            "Test": TEST,
            "Meta": Pics(count=2, name="{}.png"),
            "Train.csv": "Path,ClassId\n"
            + "\n".join(f"Train/{c}/{n:03}.jpg,{c}" for c in AB for n in range(12)),
            "Test.csv": rows(8, "Test/t{}.jpg", "Path,ClassId"),
            "Meta.csv": "Path,ClassId\nMeta/0.png,a\nMeta/1.png,b",
        },
        Reads(classes=AB, images={"train": 24, "test": 8}, says=("Test.csv", "Meta")),
    ),
    case(
        "a_table_in_train_and_one_in_test",
        {
            "train": 24,
            "test": TEST,
            "train/metadata.csv": rows(24),
            "test/metadata.csv": rows(8, "t{}.jpg"),
        },
        Reads(classes=AB, images={"train": 24, "test": 8}, says=("test/metadata.csv",)),
    ),
    case(
        "a_table_in_train_and_none_in_test",
        {"train": 24, "test": TEST, "train/metadata.csv": rows(24)},
        Reads(
            classes=AB, images={"train": 24}, says=("test has no labels", "8, such as test/t0.jpg")
        ),
    ),
    case(
        "a_table_of_some_of_val",
        {
            "train/{a,b}/images": 12,
            "val/images": Pics(count=6, name="val_{}.jpg"),
            "val/val_annotations.txt": "val_0.jpg\ta\n",
        },
        Reads(classes=AB, images={"train": 24}, says=("val has no class folders",)),
    ),
    case(
        "a_table_of_splits_in_numbers",
        {
            "images": 36,
            "partition.csv": "id,partition\n" + "\n".join(f"{n:03}.jpg,{n % 3}" for n in range(36)),
        },
        Refused(says=("partition", "--columns")),
        Refused(says=("partition", "class folders")),
        Refused(says=("partition", "labels.csv")),
    ),
    case(
        "the_group_is_the_label",
        {
            "images": 24,
            "labels.csv": "file,label,patient\n"
            + "\n".join(f"{n:03}.jpg,{AB[n % 2]},p{n // 2}" for n in range(24)),
        },
        Refused(says=("--group", "'label'")),
        group="label",
    ),
)

SPLITS = (
    case("trainval_and_test", {"trainval/{a,b}": 12, "test/{a,b}": 4}, TRAIN_TEST),
    case(
        "splits_of_another_language",
        {"Trainingsdaten/{a,b}": 12, "Testdaten/{a,b}": 9},
        Refused(says=("two readings", "must be called train, val and test")),
    ),
    case(
        "train_of_another_language",
        {"entrainement/{a,b}": 12, "validation/{a,b}": 9, "test/{a,b}": 9},
        Refused(says=("rename entrainement to train",)),
    ),
)

BOTH = Reads(classes=("bad", "good"), images={"train": 24, "test": 8})
SETS = (
    case(
        "two_copies_of_a_set_with_and_without_splits",
        {
            "parts_512/parts_512/{good,bad}": 16,
            "parts/parts/train/{good,bad}": 12,
            "parts/parts/test/{good,bad}": 4,
        },
        Refused(
            says=("parts_512",),
            mends=(Mend(printed="--data {data}/parts", data="parts", reads=BOTH),),
        ),
    ),
    case(
        "some_samples_of_each_class",
        {"{a,b}": 12, "samples/{a,b}": 1},
        Refused(says=("move samples away",)),
    ),
    case(
        "patients_hold_classes",
        {"patient_{1,2,3,4,5,6}/{0,1}": 6},
        Refused(
            says=("two readings",),
            mends=(
                Mend(
                    printed="leaves",
                    flags={"layout": LEAVES},
                    reads=Reads(classes=("0", "1"), images={"train": 72}),
                ),
            ),
        ),
    ),
    case(
        "programs_beside_classes",
        {
            "{a,b}": 12,
            "venv/lib/site-packages/mpl/images": 12,
            "venv/pyvenv.cfg": "x",
            "Previews.lrdata/0": 12,
        },
        Reads(classes=AB, images={"train": 24}, says=("site-packages", "lrdata")),
    ),
)


def twins(one: str, other: str) -> Make:
    """Two classes whose names look the same."""
    return folder({one: 12, other: 12, "dog": 12})


NAMES = (
    Case(
        name="strangers_a_space_of_no_width",
        make=twins("cat", "cat\u200b"),
        right=Refused(says=("'cat'",)),
    ),
    Case(
        name="strangers_letters_of_full_width",
        make=twins("cat", "\uff43\uff41\uff54"),
        right=Refused(says=("'cat'",)),
    ),
)


def other(*files: str) -> str:
    """A table whose classes are not those of the folders."""
    return "\n".join(
        ["file,label", *(f"{file}/{n:03}.jpg,{'xy'[n % 2]}" for file in files for n in range(12))]
    )


def mended(printed: str, data: str, layout: str, images: dict[str, int]) -> Mend:
    """The mend that reads the folders."""
    return Mend(
        printed=printed, data=data, flags={"layout": layout}, reads=Reads(classes=AB, images=images)
    )


CONTRADICTIONS = (
    case(
        "a_table_contradicts_split_folders",
        {"{train,test}/{a,b}": 12, "labels.csv": other("train/a", "train/b", "test/a", "test/b")},
        Refused(
            mends=(
                mended("--data {data} --layout splits", "", "splits", {"train": 24, "test": 24}),
            )
        ),
    ),
    case(
        "a_table_contradicts_split_folders_in_one_folder_more",
        {
            "w/{train,test}/{a,b}": 12,
            "w/labels.csv": other("train/a", "train/b", "test/a", "test/b"),
        },
        Refused(
            mends=(
                mended("--data {data}/w --layout splits", "w", "splits", {"train": 24, "test": 24}),
            )
        ),
    ),
    case(
        "a_table_contradicts_classes_with_splits",
        {"{a,b}/{train,test}": 12, "labels.csv": other("a/train", "a/test", "b/train", "b/test")},
        Refused(
            mends=(mended("--layout class-first", "", "class-first", {"train": 24, "test": 24}),)
        ),
    ),
    case(
        "a_table_contradicts_classes_beside_test",
        {"{a,b}": 12, "test/{a,b}": 9, "labels.csv": other("a", "b")},
        Refused(says=("move labels.csv away",), never=("--layout classes",)),
    ),
)
FEW = (
    case(
        "parts_of_few", {"{x,y}/{Bed,Chair}": 2}, Refused(says=("9 images",), never=("--layout",))
    ),
    case(
        "more_beside_few",
        {"train/{a,b}": 9, "{test,more}/{a,b}": 3},
        Refused(says=("move away",), never=("--layout",)),
    ),
    case(
        "splits_in_names_of_few",
        {"{a,b}_{train,test}": 4},
        Refused(says=("train/",), never=("--layout",)),
    ),
    case(
        "sets_of_few_and_of_many",
        {"f1/{train,test}/{a,b}": 2, "f2/{train,test}/{a,b}": 9},
        Refused(says=("give --data {data}/f2",)),
    ),
)

CASES = (*TABLES, *SPLITS, *SETS, *NAMES, *CONTRADICTIONS, *FEW)
