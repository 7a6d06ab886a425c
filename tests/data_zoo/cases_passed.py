"""What else people pass as --data.

Archives, tables, one image, addresses, names of hubs, misspelled paths.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.data_zoo.build import fill, folder
from tests.data_zoo.case import Case, Mend, Reads, Refused
from tests.data_zoo.pictures import encoded, picture

CAT_DOG = Reads(classes=("cat", "dog"), images={"train": 20})


def file(name: str, path: str, content: bytes, *says: str) -> Case:
    """A file that is no data set: what to do with that very thing."""

    def make(place: Path) -> str:
        (place / path).write_bytes(content)
        return str(place / path)

    return Case(name=f"passed_{name}", make=make, right=Refused(says=says, never=("savez",)))


def text(name: str, data: str, *says: str) -> Case:
    """An address or a name."""
    return Case(
        name=f"passed_{name}", make=lambda place: data, right=Refused(says=says, never=("savez",))
    )


def spelled(name: str, how: Callable[[Path], str], right: Reads | Refused) -> Case:
    """A path to a set of two classes, spelled in some way."""

    def make(place: Path) -> str:
        fill(place / "photos", {"{cat,dog}": 10})
        return how(place)

    return Case(name=f"passed_{name}", make=make, right=right)


FILES = (
    file("zip", "flowers.zip", b"PK\3\4" + bytes(60), "unzip"),
    file("zip_in_capitals", "FLOWERS.ZIP", b"PK\3\4" + bytes(60), "unzip"),
    file("tar_gz", "flowers.tar.gz", b"\x1f\x8b\x08", "tar -xf"),
    file("tgz", "102flowers.tgz", b"\x1f\x8b\x08", "tar -xf"),
    file("tar", "flowers.tar", bytes(512), "tar -xf"),
    file("seven_zip", "flowers.7z", b"7z\xbc\xaf\x27\x1c", "7z x"),
    file("rar", "flowers.rar", b"Rar!\x1a\7", "rar"),
    file("parquet", "train-00000-of-00001.parquet", b"PAR1", "parquet"),
    file("arrow", "data.arrow", b"ARROW1\0\0", "arrow"),
    file("one_image", "cat.jpg", encoded(picture("one", 0)), "folder", "image"),
    file("one_png_without_suffix", "cat", encoded(picture("one", 0), "PNG"), "image"),
    file("labels_csv", "labels.csv", b"id,label\n1,cat\n", "folder"),
    file("json", "annotations.json", b'{"images": []}', ".json"),
    file("yaml", "data.yaml", b"train: images/train\nnc: 2\n", ".yaml"),
    file("text_list", "train.txt", b"a.jpg 0\nb.jpg 1\n", ".txt"),
    file("tfrecord", "train.tfrecord", bytes(16), "tfrecord"),
    file("pdf", "photos.pdf", b"%PDF-1.7", "pdf"),
    file("video", "clip.mp4", b"\0\0\0\x18ftypmp42", ".mp4"),
    file("empty_file", "set", b"", "empty"),
    file("workbook", "labels.xlsx", b"PK\3\4", ".xlsx"),
)

TEXTS = (
    text("https", "https://example.org/flowers.zip", "download"),
    text("http_page", "http://www.vision.caltech.edu/Image_Datasets/Caltech101/", "download"),
    text("s3", "s3://bucket/flowers", "s3", "download"),
    text("gs", "gs://bucket/flowers", "gs", "download"),
    text("file_address", "file:///data/flowers", "file:"),
    text("hf_address", "hf://datasets/food101", "download"),
    text("hub_name", "ethz/food101", "ethz/food101", "download"),
    text("hub_name_short", "cats_vs_dogs", "cats_vs_dogs", "digits"),
    text("name_of_another_set", "cifar100", "cifar100", "cifar10"),
    text("name_of_imagenet", "imagenet", "imagenet", "cifar10"),
    text("name_in_capitals", "CIFAR10", "cifar10"),
    text("misspelled_name", "digit", "digits"),
    text("tfds_name", "tfds:mnist", "tfds:mnist", "digits"),
    text("no_such_path", "no/such/folder", "no/such/folder"),
    text("nothing", "", "path"),
    text("home_of_nobody", "~no-such-user/photos", "~no-such-user"),
    text("windows_path", "C:\\Users\\me\\photos", "Users"),
    text("a_glob", "photos/*.jpg", "*.jpg"),
)

SPELLED = (
    spelled("with_a_slash", lambda place: f"{place}/photos/", CAT_DOG),
    spelled("with_two_slashes_and_dots", lambda place: f"{place}//./photos/../photos", CAT_DOG),
    spelled("in_quotes", lambda place: f"'{place}/photos'", Refused(says=("'",))),
    spelled("with_a_space_behind", lambda place: f"{place}/photos ", Refused(says=("{data}",))),
    spelled("in_other_case", lambda place: f"{place}/Photos", Refused(says=("{data}",))),
    spelled("one_letter_off", lambda place: f"{place}/photo", Refused(says=("{data}",))),
    spelled("a_class_folder", lambda place: f"{place}/photos/cat", Refused(says=("images",))),
    spelled(
        "an_image_of_the_set",
        lambda place: f"{place}/photos/cat/000.jpg",
        Refused(says=("folder", "image")),
    ),
    Case(
        name="passed_the_train_folder",
        make=folder({"train/{cat,dog}": 10, "test/{cat,dog}": 4}, data="train"),
        right=CAT_DOG,
    ),
    Case(
        name="passed_the_folder_of_the_table",
        make=folder({"train": 10, "labels.csv": "id,label\n"}, data="train"),
        right=Refused(says=("10",), mends=(Mend(printed="labels.csv"),)),
    ),
)

CASES = (*FILES, *TEXTS, *SPELLED)
