"""Split folders under any common name and case."""

from __future__ import annotations

from tests.data_zoo.build import Pics, copied, folder, linked, moved
from tests.data_zoo.case import LEAVES, Case, Mend, Reads, Refused

ABF = ("ant", "bee", "fly")
ALL = "{ant,bee,fly}"


def named(*names: str) -> Case:
    """A set whose split folders have some names: train, test or val, or all three."""
    parts = {2: ("train", _role(names[-1])), 3: ("train", "val", "test")}[len(names)]
    counts = {"train": 8, "val": 5, "test": 4}
    return Case(
        name="split_" + "_".join(names),
        make=folder(
            {f"{name}/{ALL}": counts[part] for name, part in zip(names, parts, strict=True)}
        ),
        right=Reads(classes=ABF, images={part: 3 * counts[part] for part in parts}, says=names),
    )


def _role(name: str) -> str:
    return "test" if name.lower().startswith(("te", "holdout")) else "val"


NAMED = (
    named("train", "test"),
    named("Train", "Test"),
    named("TRAIN", "TEST"),
    named("Training", "Testing"),
    named("training_set", "test_set"),
    named("train_set", "val_set"),
    named("train-set", "test-set"),
    named("train_data", "test_data"),
    named("TrainingSet", "TestSet"),
    named("train", "valid"),
    named("train", "val"),
    named("train", "validation"),
    named("train", "dev"),
    named("train", "eval"),
    named("Train", "Valid"),
    named("train", "valid", "test"),
    named("Train", "Val", "Test"),
    named("train", "dev", "test"),
    named("TRAIN", "VALIDATION", "TEST"),
    named("training", "validation", "testing"),
    named("training_data", "validation_data", "testing_data"),
)

TRAIN_TEST = Reads(classes=ABF, images={"train": 24, "test": 12})

UNLABELLED = (
    Case(
        name="flat_test_beside_train",
        make=folder({f"train/{ALL}": 10, "test": 7}),
        right=Reads(classes=ABF, images={"train": 30}, says=("test", "dvt predict", "7")),
    ),
    Case(
        name="flat_test_beside_train_and_val",
        make=folder({f"train/{ALL}": 8, f"val/{ALL}": 5, "test": 7}),
        right=Reads(classes=ABF, images={"train": 24, "val": 15}, says=("test", "dvt predict")),
    ),
    Case(
        name="flat_Testing_beside_Training",
        make=folder({f"Training/{ALL}": 10, "Testing": 7}),
        right=Reads(classes=ABF, images={"train": 30}, says=("Testing", "dvt predict")),
    ),
    Case(
        name="test_unknown_one_folder",
        make=folder({f"train/{ALL}": 10, "test/unknown": 7}),
        right=Reads(classes=ABF, images={"train": 30}, says=("unknown", "dvt predict")),
    ),
    Case(
        name="test_images_one_folder",
        make=folder({f"train/{ALL}": 10, "test/images": 7}),
        right=Reads(classes=ABF, images={"train": 30}, says=("test", "dvt predict")),
    ),
    Case(
        name="train_test_and_unlabeled",
        make=folder({f"train/{ALL}": 8, f"test/{ALL}": 4, "unlabeled": 9}),
        right=Reads(classes=ABF, images=TRAIN_TEST.images, says=("unlabeled", "9")),
    ),
    Case(
        name="empty_test_beside_train",
        make=folder({f"train/{ALL}": 10, "test/.gitkeep": ""}),
        right=Reads(classes=ABF, images={"train": 30}, says=("test",)),
    ),
    Case(
        name="empty_class_folders_in_test",
        make=folder({f"train/{ALL}": 10, f"test/{ALL}/.gitkeep": ""}),
        right=(
            Reads(classes=ABF, images={"train": 30}, says=("test",)),
            Refused(says=("test", "'ant' has 0")),
        ),
    ),
)

OTHERS = (
    Case(
        name="only_train",
        make=folder({f"train/{ALL}": 10}),
        right=Reads(classes=ABF, images={"train": 30}),
    ),
    Case(
        name="class_first_train_test",
        make=folder({"{cat,dog}/train": 8, "{cat,dog}/test": 4}),
        right=Reads(classes=("cat", "dog"), images={"train": 16, "test": 8}, says=("cat/train",)),
    ),
    Case(
        name="class_first_three_splits_of_other_names",
        make=folder({"{cat,dog}/Training": 8, "{cat,dog}/Validation": 5, "{cat,dog}/Testing": 4}),
        right=Reads(classes=("cat", "dog"), images={"train": 16, "val": 10, "test": 8}),
    ),
    Case(
        name="class_first_one_class_without_splits",
        make=folder({"cat/train": 8, "cat/test": 4, "dog": 12}),
        right=(
            Refused(says=("cat", "dog", "train")),
            Reads(classes=("cat", "dog"), images={"train": 24}, says=("train",)),
        ),
    ),
    Case(
        name="split_folders_twice_inside",
        make=folder({f"seg_train/seg_train/{ALL}": 8, f"seg_test/seg_test/{ALL}": 4}),
        right=Reads(classes=ABF, images=TRAIN_TEST.images, says=("seg_train", "seg_test")),
    ),
    Case(
        name="splits_with_scripts_beside",
        make=folder(
            {
                f"train/{ALL}": 8,
                f"test/{ALL}": 4,
                "src/main.py": "x",
                "models/best.pt": b"x",
                "README.md": "x",
            }
        ),
        right=TRAIN_TEST,
    ),
    Case(
        name="split_train_is_a_link",
        make=folder(
            {f"elsewhere/{ALL}": 8, f"set/test/{ALL}": 4},
            linked("set/train", "../elsewhere"),
            data="set",
        ),
        right=TRAIN_TEST,
    ),
    Case(
        name="labelled_extra_beside_train_and_test",
        make=folder({f"train/{ALL}": 8, f"test/{ALL}": 4, f"extra/{ALL}": 5}),
        right=Refused(says=("extra",)),
    ),
    Case(
        name="two_names_of_val",
        make=folder({f"train/{ALL}": 8, f"val/{ALL}": 5, f"valid/{ALL}": 4}),
        right=Refused(says=("val", "valid")),
    ),
    Case(
        name="two_cases_of_train",
        make=folder({f"train/{ALL}": 8, f"Train/{ALL}": 8, f"test/{ALL}": 4}),
        right=Refused(says=("'train'", "'Train'")),
    ),
    Case(
        name="val_and_test_without_train",
        make=folder({f"val/{ALL}": 5, f"test/{ALL}": 4}),
        right=Refused(says=("train",)),
    ),
    Case(
        name="a_class_that_test_lacks",
        make=folder({f"train/{ALL}": 8, "test/{ant,bee}": 4}),
        right=Refused(says=("test", "'fly' has 0")),
    ),
    Case(
        name="a_class_that_train_lacks",
        make=folder({f"train/{ALL}": 8, f"test/{ALL}": 4, "test/wasp": 4}),
        right=Refused(says=("train", "'wasp' has 0")),
    ),
    Case(
        name="too_few_to_split_val_from",
        make=folder({f"train/{ALL}": 5, f"test/{ALL}": 4}),
        right=Refused(says=("6", "'ant' has 5")),
    ),
    Case(
        name="classes_of_test_in_other_case",
        make=folder({"train/{Ant,Bee}": 8, "test/{ant,bee}": 4}),
        right=(
            Reads(classes=("Ant", "Bee"), images={"train": 16, "test": 8}),
            Refused(says=("'Ant'", "'ant'")),
        ),
    ),
    Case(
        name="split_in_the_names_of_class_folders",
        make=folder({"train_{cat,dog}": 12, "test_{cat,dog}": 12}),
        right=Refused(says=("train_cat", "test_cat")),
    ),
    Case(
        name="class_then_split_in_one_name",
        make=folder({"{cat,dog}_train": 12, "{cat,dog}_test": 12}),
        right=Refused(says=("cat_train", "cat_test")),
    ),
    Case(
        name="unpaired_domains_trainA_testB",
        make=folder({"train{A,B}": 12, "test{A,B}": 12}),
        right=Refused(says=("trainA", "testA")),
    ),
    Case(
        name="flat_train_and_flat_test_without_labels",
        make=folder({"train": Pics(count=12, name="{:04}.jpg"), "test": 12}),
        right=Refused(says=("train", "labels.csv")),
    ),
    Case(
        name="flat_train_flat_val_flat_test",
        make=folder({"train": 12, "val": 12, "test": 12}),
        right=Refused(says=("train",)),
    ),
    Case(
        name="train_holds_train",
        make=folder(
            {f"train/{ALL}": 8, f"test/{ALL}": 4},
            moved("train", "outer"),
            moved("outer", "train/train"),
        ),
        right=TRAIN_TEST,
    ),
    Case(
        name="test_is_a_copy_of_train_in_one_folder_more",
        make=folder({f"data/train/{ALL}": 8, f"data/test/{ALL}": 4}, copied("data", "data_copy")),
        right=Refused(
            says=("data", "data_copy"),
            mends=(Mend(printed="{data}/data", data="data", reads=TRAIN_TEST),),
        ),
    ),
)

FOLDS = tuple(
    Case(
        name=f"parts_with_the_same_classes_{first}",
        make=folder({f"{{{first},{second}}}/{{cat,dog}}": 6}),
        right=Refused(
            says=(first, "cat"),
            mends=(
                Mend(
                    printed=f"--layout {LEAVES}",
                    flags={"layout": LEAVES},
                    reads=Reads(classes=("cat", "dog"), images={"train": 24}),
                ),
            ),
        ),
    )
    for first, second in (
        ("fold_1", "fold_2"),
        ("batch1", "batch2"),
        ("part_1", "part_2"),
        ("2021", "2022"),
    )
)

CASES = (*NAMED, *UNLABELLED, *OTHERS, *FOLDS)
