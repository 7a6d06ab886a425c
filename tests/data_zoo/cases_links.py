"""Links: followed once, loops end, dead ones are named."""

from __future__ import annotations

from tests.data_zoo.build import Pics, copied, folder, linked
from tests.data_zoo.case import Case, Reads, Refused

CAT_DOG = Reads(classes=("cat", "dog"), images={"train": 20})
BLOBS = Pics(count=20, name="{:064x}")

CASES = (
    Case(
        name="link_class_is_elsewhere",
        make=folder(
            {"store/felines": 10, "set/dog": 10}, linked("set/cat", "../store/felines"), data="set"
        ),
        right=CAT_DOG,
        decode=True,
    ),
    Case(
        name="link_is_the_set",
        make=folder({"store/{cat,dog}": 10}, linked("set", "store"), data="set"),
        right=CAT_DOG,
    ),
    Case(
        name="link_every_image_is_a_link",
        make=folder(
            {"blobs": BLOBS, "set/README.md": "x"},
            *(
                linked(f"set/{('cat', 'dog')[n % 2]}/{n}.jpg", f"../../blobs/{n:064x}")
                for n in range(20)
            ),
            data="set",
        ),
        right=CAT_DOG,
        decode=True,
    ),
    Case(
        name="link_loop_in_a_class",
        make=folder({"{cat,dog}": 10}, linked("cat/self", ".")),
        right=CAT_DOG,
    ),
    Case(
        name="link_loop_to_the_root",
        make=folder({"{cat,dog}": 10}, linked("cat/up", "..")),
        right=CAT_DOG,
    ),
    Case(
        name="link_loop_beside_the_classes",
        make=folder({"{cat,dog}": 10}, linked("all", ".")),
        right=(CAT_DOG, Refused(says=("all",))),
    ),
    Case(
        name="link_of_two_folders_to_each_other",
        make=folder(
            {"{cat,dog}": 10, "cat/a/.keep": "", "cat/b/.keep": ""},
            linked("cat/a/b", "../b"),
            linked("cat/b/a", "../a"),
        ),
        right=CAT_DOG,
    ),
    Case(
        name="link_to_itself",
        make=folder({"{cat,dog}": 10}, linked("cat/x.jpg", "x.jpg")),
        right=Refused(says=("x.jpg",)),
    ),
    Case(
        name="link_to_a_file_that_is_gone",
        make=folder({"{cat,dog}": 10}, linked("cat/x.jpg", "/no/such.jpg")),
        right=Refused(says=("cat/x.jpg", "dead link")),
    ),
    Case(
        name="link_to_a_folder_that_is_gone",
        make=folder({"{cat,dog}": 10}, linked("owl", "/no/such/folder")),
        right=(
            Refused(says=("owl",)),
            Reads(classes=("cat", "dog"), images={"train": 20}, says=("owl",)),
        ),
    ),
    Case(
        name="link_twice_to_one_folder_of_a_class",
        make=folder(
            {"store/more": 5, "set/{cat,dog}": 10},
            linked("set/cat/one", "../../store/more"),
            linked("set/cat/two", "one"),
            data="set",
        ),
        right=Reads(classes=("cat", "dog"), images={"train": 25}),
        decode=True,
    ),
    Case(
        name="link_class_to_another_class",
        make=folder({"{ant,cat,dog}": 10}, linked("bee", "ant")),
        right=Reads(classes=("ant", "bee", "cat", "dog"), images=None, says=("'bee'", "'ant'")),
        decode=True,
    ),
    Case(
        name="link_test_to_train",
        make=folder({"train/{cat,dog}": 10}, linked("test", "train")),
        right=Refused(says=("test", "train")),
    ),
    Case(
        name="link_latest_beside_versions",
        make=folder({"v1/{cat,dog}": 10}, copied("v1", "v2"), linked("latest", "v2")),
        right=Refused(says=("v1", "v2")),
    ),
)
