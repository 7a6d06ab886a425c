"""Tables of labels.

Headers, separators, ids, one-hot columns, split columns, and what nearly fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from tests.data_zoo.build import Content, Pics, folder
from tests.data_zoo.case import Case, Mend, Reads, Refused, Right

IDS = [f"{number:04}" for number in range(24)]
BREEDS = ("lab", "pug")
READ = Reads(classes=BREEDS, images={"train": 24})
PNG = Pics(count=24, name="{:04}.png")


def breed(number: int) -> str:
    """The breed of a dog: every other one is a pug."""
    return BREEDS[number % 2]


def rows(line: Callable[[int, str], str], header: str = "id,breed", end: str = "\n") -> str:
    """A table, each of its lines from a number and an id."""
    return end.join([header, *(line(number, name) for number, name in enumerate(IDS))]) + end


def table(
    name: str, text: str | bytes, right: Right | tuple[Right, ...] = READ, **flags: object
) -> Case:
    """A folder with labels.csv and train/0000.png to 0023.png."""
    return Case(
        name=f"table_{name}",
        make=folder({"train": PNG, "labels.csv": text}),
        right=right,
        flags=flags,
    )


def refused(*says: str) -> Refused:
    """A refusal with some words that does not ask to fill lines or to add files one by one."""
    return Refused(says=says, never=("and 20 more",))


PLAIN = rows(lambda n, name: f"{name},{breed(n)}")

READS = (
    table("id_label", PLAIN),
    table(
        "header_in_capitals_and_spaces",
        rows(lambda n, name: f"{name} , {breed(n)}", header=" ID , Label "),
    ),
    table("image_class", rows(lambda n, name: f"{name},{breed(n)}", header="image,class")),
    table(
        "filename_category",
        rows(lambda n, name: f"{name}.png,{breed(n)}", header="filename,category"),
    ),
    table("file_target", rows(lambda n, name: f"{name}.png,{breed(n)}", header="file,target")),
    table("path_label", rows(lambda n, name: f"train/{name}.png,{breed(n)}", header="path,label")),
    table("image_id_label", rows(lambda n, name: f"{name},{breed(n)}", header="image_id,label")),
    table(
        "file_name_label_of_the_hub",
        rows(lambda n, name: f"{name}.png,{breed(n)}", header="file_name,label"),
    ),
    table("label_first", rows(lambda n, name: f"{breed(n)},{name}", header="breed,id")),
    table(
        "index_column_without_name",
        rows(lambda n, name: f"{n},{name},{breed(n)}", header=",id,breed"),
    ),
    table(
        "index_column_unnamed",
        rows(lambda n, name: f"{n},{name},{breed(n)}", header="Unnamed: 0,id,breed"),
    ),
    table(
        "running_number_called_id",
        rows(lambda n, name: f"{n + 5},{name}.png,{breed(n)}", header="id,filename,label"),
    ),
    table("semicolons", rows(lambda n, name: f"{name};{breed(n)}", header="id;breed")),
    table("tabs", rows(lambda n, name: f"{name}\t{breed(n)}", header="id\tbreed")),
    table("quotes", rows(lambda n, name: f'"{name}","{breed(n)}"', header='"id","breed"')),
    table("byte_order_mark", b"\xef\xbb\xbf" + PLAIN.encode()),
    table("windows_line_ends", PLAIN.replace("\n", "\r\n")),
    table("old_mac_line_ends", PLAIN.replace("\n", "\r")),
    table("blank_lines", PLAIN.replace("\n", "\n\n")),
    table("comments", "# labels of 2024\n" + PLAIN),
    table("spaces_around_cells", rows(lambda n, name: f" {name} , {breed(n)} ")),
    table("ids_with_suffix", rows(lambda n, name: f"{name}.png,{breed(n)}")),
    table("ids_with_folder", rows(lambda n, name: f"train/{name}.png,{breed(n)}")),
    table("ids_with_a_dot_folder", rows(lambda n, name: f"./train/{name}.png,{breed(n)}")),
    table("ids_with_backslashes", rows(lambda n, name: f"train\\{name}.png,{breed(n)}")),
    table("ids_without_zeros", rows(lambda n, name: f"{n},{breed(n)}")),
    table(
        "harmless_third_column",
        rows(lambda n, name: f"{name},{breed(n)},{n % 7}", header="id,breed,age"),
    ),
    table(
        "boxes_between", rows(lambda n, name: f"{name},1,2,{breed(n)}", header="id,xmin,ymin,breed")
    ),
    table(
        "boxes_of_one_breed_per_image",
        PLAIN + "".join(f"{name},{breed(n)}\n" for n, name in enumerate(IDS[:5])),
    ),
    table("one_hot", rows(lambda n, name: f"{name},{n % 2},{1 - n % 2}", header="id,pug,lab")),
    table(
        "one_hot_of_floats",
        rows(lambda n, name: f"{name},{n % 2}.0,{1 - n % 2}.0", header="image,pug,lab"),
    ),
    table(
        "columns_given",
        rows(lambda n, name: f"{name},{n},{breed(n)}", header="key,a,b"),
        columns=("key", "b"),
    ),
    table(
        "columns_given_of_two_labels",
        rows(lambda n, name: f"{name},{n % 4 // 2},{breed(n)}", header="id,label,breed_name"),
        columns=("id", "breed_name"),
    ),
    table(
        "numbers_as_labels",
        rows(lambda n, name: f"{name},{n % 2}", header="id,label"),
        Reads(classes=("0", "1"), images={"train": 24}),
    ),
    table(
        "quoted_commas",
        rows(lambda n, name: f'{name},"dog, {breed(n)}"'),
        Reads(classes=("dog, lab", "dog, pug"), images={"train": 24}),
    ),
)


def split(name: str, column: str, first: str, second: str, right: Right | None = None) -> Case:
    """A table whose third column gives two thirds of each breed to one split."""
    text = rows(lambda n, x: f"{x},{breed(n)},{(first, second)[n % 6 // 4]}", f"id,breed,{column}")
    halves = Reads(classes=BREEDS, images={"train": 16, "test": 8}, says=(column,))
    return table(name, text, right or halves)


SPLITS = (
    split("split_column", "split", "train", "test"),
    split("split_column_in_capitals", "Split", "TRAIN", "TEST"),
    split("split_column_called_set", "set", "Training", "Testing"),
    split("split_column_called_subset", "subset", "train", "test"),
    split("split_column_of_other_values", "split", "A", "B", refused("split", "'A'")),
    split(
        "fold_column", "fold", "1", "2", Reads(classes=BREEDS, images={"train": 24}, says=("fold",))
    ),
)

REFUSES = (
    table(
        "without_header",
        "".join(f"{name},{breed(n)}\n" for n, name in enumerate(IDS)),
        (refused("header"), READ),
    ),
    table(
        "of_other_suffix",
        rows(lambda n, name: f"{name}.jpg,{breed(n)}"),
        (refused(".jpg", ".png"), READ),
    ),
    table("of_ids_as_floats", rows(lambda n, name: f"{n}.0,{breed(n)}"), (refused("1.0"), READ)),
    table(
        "of_ids_with_a_prefix",
        rows(lambda n, name: f"img_{name},{breed(n)}"),
        refused("'img_0000'", "0000.png"),
    ),
    table(
        "of_ids_that_all_differ", rows(lambda n, name: f"x{n}y,{breed(n)}"), refused("24", "'x0y'")
    ),
    table("three_files_missing", PLAIN + "a,pug\nb,lab\nc,pug\n", refused("3", "'a'")),
    table(
        "labels_missing", rows(lambda n, name: f"{name},{breed(n) if n < 4 else ''}"), refused("20")
    ),
    table(
        "one_cell_per_line",
        rows(lambda n, name: name, header="id"),
        refused("labels.csv", "column"),
    ),
    table(
        "unknown_header",
        rows(lambda n, name: f"{name},{breed(n)}", header="key,dx"),
        (refused("--columns", "'key'", "'dx'"), READ),
    ),
    table(
        "two_label_columns",
        rows(lambda n, x: f"{x},{n % 4 // 2},{breed(n)}", "id,label,class"),
        (refused("--columns"),),
    ),
    table("wrong_columns_given", PLAIN, refused("'breeed'", "'breed'"), columns=("id", "breeed")),
    table(
        "of_several_labels_per_image",
        PLAIN + "".join(f"{x},{breed(n + 1)}\n" for n, x in enumerate(IDS)),
        refused("24"),
    ),
    table(
        "one_hot_with_empty_lines", rows(lambda n, x: f"{x},{n % 2},0", "id,pug,lab"), refused("12")
    ),
    table("many_hot", rows(lambda n, x: f"{x},1,{n % 2}", "id,pug,lab"), refused("12")),
    table(
        "tags", rows(lambda n, x: f"{x},clear {breed(n)}", "image_name,tags"), refused("--columns")
    ),
    table("header_alone", "id,breed\n", refused("labels.csv")),
    table("empty", "", refused("labels.csv")),
    table("utf16", PLAIN.encode("utf-16"), (refused("UTF-8"), READ)),
    table("latin1", PLAIN.replace("pug", "café").encode("latin-1"), refused("UTF-8")),
    table(
        "html_of_a_login_page",
        "<!DOCTYPE html><html>\n<body>Sign in</body>\n</html>\n",
        (refused("labels.csv", "HTML"), refused("labels.csv", "web page")),
    ),
    table(
        "lfs_pointer",
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        refused("LFS"),
    ),
    table("one_class", rows(lambda n, name: f"{name},pug"), refused("2 classes")),
)


def beside(name: str, tree: dict[str, Content], right: Right | tuple[Right, ...]) -> Case:
    """Tables and image folders of other names."""
    return Case(name=f"table_{name}", make=folder(tree), right=right)


def other_table(name: str, tree: dict[str, Content], *says: str) -> Case:
    """A table of another name: refused with the name that is expected, or read and said."""
    found = Reads(classes=BREEDS, images={"train": 24}, says=says)
    return beside(name, tree, (Refused(says=(*says, "labels.csv"), never=("add images",)), found))


NUMBERED = {f"{breed}/{number:03}.jpg" for breed in BREEDS for number in range(10)}
CLASSES = {"{lab,pug}": 10}
FOLDERS = Reads(classes=BREEDS, images={"train": 20}, says=("labels.csv",))


def listed(prefix: str, names: Iterable[str] = NUMBERED) -> str:
    """A table of the images in class folders, by their paths."""
    return "path,label\n" + "".join(
        f"{prefix}{name},{Path(name).parts[0]}\n" for name in sorted(names)
    )


OTHERS = (
    beside("trainLabels_of_kaggle", {"train": PNG, "trainLabels.csv": PLAIN}, READ),
    beside(
        "test_and_sample_submission_beside",
        {
            "train": PNG,
            "labels.csv": PLAIN,
            "test": 9,
            "sample_submission.csv": "id,lab,pug\n0,0.5,0.5\n",
        },
        Reads(classes=BREEDS, images={"train": 24}, says=("test", "dvt predict")),
    ),
    other_table("train_csv_and_train", {"train": PNG, "train.csv": PLAIN}, "train.csv"),
    other_table("labels_and_images", {"images": PNG, "labels.csv": PLAIN}, "images"),
    other_table(
        "train_csv_and_train_images",
        {"train_images": PNG, "train.csv": PLAIN},
        "train.csv",
        "train_images",
    ),
    other_table("labels_tsv", {"train": PNG, "labels.tsv": PLAIN.replace(",", "\t")}, "labels.tsv"),
    other_table("Labels_in_capitals", {"train": PNG, "Labels.CSV": PLAIN}, "Labels.CSV"),
    other_table("images_beside_the_table", {".": PNG, "labels.csv": PLAIN}, "labels.csv"),
    other_table(
        "metadata_inside_train", {"train": PNG, "train/metadata.csv": PLAIN}, "metadata.csv"
    ),
    beside(
        "workbook",
        {"train": PNG, "labels.xlsx": b"PK\3\4"},
        Refused(says=("labels.xlsx", "labels.csv")),
    ),
    beside(
        "json",
        {"train": PNG, "labels.json": '{"0000": "pug"}'},
        Refused(says=("labels.json", "labels.csv")),
    ),
    beside(
        "packed", {"train": PNG, "labels.csv.zip": b"PK\3\4"}, Refused(says=("labels.csv.zip",))
    ),
    beside(
        "text_list",
        {"train": PNG, "train.txt": "0000.png 1\n"},
        Refused(says=("train.txt", "labels.csv")),
    ),
    beside("without_images", {"labels.csv": PLAIN}, Refused(says=("labels.csv", "train"))),
    beside("beside_class_folders_by_path", {**CLASSES, "labels.csv": listed("")}, FOLDERS),
    beside(
        "beside_class_folders_in_train",
        {"train/{lab,pug}": 10, "labels.csv": listed("train/")},
        Reads(classes=BREEDS, images={"train": 20}, says=("labels.csv",)),
    ),
    beside(
        "of_class_names_beside_class_folders",
        {**CLASSES, "labels.csv": "id,name\n0,lab\n1,pug\n"},
        FOLDERS,
    ),
    Case(
        name="table_by_the_columns_mend",
        make=folder(
            {
                "train": PNG,
                "labels.csv": rows(lambda n, x: f"{x},{n % 4 // 2},{breed(n)}", "id,grade,dx"),
            }
        ),
        right=Refused(
            says=("'dx'",),
            mends=(Mend(printed="--columns", flags={"columns": ("id", "dx")}, reads=READ),),
        ),
    ),
)

CASES = (*READS, *SPLITS, *REFUSES, *OTHERS)
