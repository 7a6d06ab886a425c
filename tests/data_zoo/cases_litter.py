"""Litter of other systems and programs: passed over and counted, wherever it lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.data_zoo.build import Content, Pics, copied, folder, mode
from tests.data_zoo.case import Case, Reads, Refused

CAT_DOG = Reads(classes=("cat", "dog"), images={"train": 20})
APPLE_DOUBLE = b"\0\5\26\7\0\2\0\0Mac OS X        " + bytes(80)


def littered(
    name: str,
    litter: Mapping[str, Content],
    *steps: Callable[[Path], None],
    says: tuple[str, ...] = (),
) -> Case:
    """Two classes of 10 images, and litter."""
    return Case(
        name=f"litter_{name}",
        make=folder({"{cat,dog}": 10, **litter}, *steps),
        right=Reads(classes=CAT_DOG.classes, images=CAT_DOG.images, says=says),
    )


FOLDERS = (
    littered(
        "synology_thumbnails_in_a_class",
        {"cat/@eaDir/{000,001,002}.jpg": Pics(count=2, name="SYNOPHOTO_THUMB_{}.jpg")},
        says=("@eaDir", "6"),
    ),
    littered("synology_thumbnails_at_the_root", {"@eaDir/cat": 9}, says=("@eaDir", "9")),
    littered("synology_bin", {"#recycle/old": 11}, says=("#recycle", "11")),
    littered("windows_bin", {"$RECYCLE.BIN/S-1-5-21-1": 12}, says=("$RECYCLE.BIN", "12")),
    littered("windows_bin_in_other_case", {"$Recycle.Bin/S-1-5-21-1": 12}, says=("$Recycle.Bin",)),
    littered("windows_volume_information", {"System Volume Information/IndexerVolumeGuid": "x"}),
    littered(
        "qnap_bin_and_thumbnails", {"@Recycle/cat": 9, "cat/.@__thumb": 10}, says=("@Recycle", "9")
    ),
    littered("linux_bin", {".Trash-1000/files": 9}),
    littered(
        "macosx_of_hidden_files",
        {"__MACOSX/{cat,dog}/._{000,001}.jpg": APPLE_DOUBLE},
        says=("__MACOSX",),
    ),
    littered("macosx_of_pictures", {"__MACOSX/cat": 9}, says=("__MACOSX", "9")),
    littered(
        "macos_hidden_twins",
        {"{cat,dog}/._{000,001,002}.jpg": APPLE_DOUBLE, "cat/.DS_Store": b"\0\0\0\1Bud1"},
    ),
    littered("lost_and_found", {"lost+found/.keep": ""}, mode("lost+found", 0o700)),
    littered("lost_and_found_with_images", {"lost+found/#1234": 9}, says=("lost+found",)),
    littered(
        "notebook_checkpoints_at_the_root",
        {".ipynb_checkpoints": Pics(count=9, name="{:03}-checkpoint.jpg")},
    ),
    littered(
        "notebook_checkpoints_in_a_class",
        {"cat/.ipynb_checkpoints": Pics(count=3, name="{:03}-checkpoint.jpg")},
    ),
    littered("thumbs_in_classes", {"{cat,dog}/thumbs": 10}, says=("thumbs", "20")),
    littered("thumbnails_in_classes", {"{cat,dog}/thumbnails": 10}, says=("thumbnails", "20")),
    littered("hidden_thumbnails", {"cat/.thumbnails": 10, "dog/.picasaoriginals": 4}),
    littered("python_cache", {"__pycache__/load.cpython-311.pyc": b"\0"}),
    littered(
        "code_without_images", {"src/main.py": "x", "notebooks/look.ipynb": "{}"}, says=("src",)
    ),
    littered("empty_git_and_models", {".git/HEAD": "x", "models/best.pt": b"x"}, says=("models",)),
    littered(
        "a_bin_in_a_split_of_its_own",
        {"cat/#recycle": 3, "dog/@eaDir/000.jpg": 2},
        says=("#recycle", "@eaDir"),
    ),
)

FILES = (
    littered(
        "windows_files",
        {"{cat,dog}/Thumbs.db": b"\xd0\xcf\x11\xe0", "cat/desktop.ini": "[x]"},
        says=("Thumbs.db",),
    ),
    littered("windows_files_at_the_root", {"Thumbs.db": b"\xd0\xcf\x11\xe0", "desktop.ini": "[x]"}),
    littered(
        "picasa_and_icon", {"cat/Picasa.ini": "[x]", "cat/.picasa.ini": "[x]", "cat/Icon\r": ""}
    ),
    littered(
        "half_downloads",
        {"cat/010.jpg.part": b"\xff\xd8\xff", "dog/010.jpg.crdownload": b"\xff\xd8\xff"},
        says=("2",),
    ),
    littered(
        "texts_in_a_class",
        {"cat/LICENSE": "x", "cat/notes.txt": "x", "cat/urls.json": "[]"},
        says=(".txt",),
    ),
    littered(
        "a_sidecar_per_image",
        {"cat/{000,001,002}.xmp": "<x/>", "cat/{000,001}.json": "{}"},
        says=(".xmp", "3"),
    ),
    littered(
        "checksums_and_lists",
        {"cat/index.html": "<html>", "SHA256SUMS": "x", "classes.txt": "cat\ndog\n"},
    ),
    littered(
        "a_video_and_a_sound",
        {"cat/clip.mp4": b"\0\0\0\x18ftypmp42", "dog/bark.wav": b"RIFF"},
        says=(".mp4",),
    ),
    littered(
        "a_text_without_suffix",
        {"cat/README": "these are cats", "dog/labels": "dog"},
        says=("README",),
    ),
    littered(
        "locks_and_swaps",
        {"cat/~$notes.docx": "x", "cat/.~lock.notes#": "x", "cat/.nfs0001": b"\xff\xd8\xff"},
    ),
    littered("an_archive_in_a_class", {"cat/cats.zip": b"PK\3\4" + bytes(30)}, says=(".zip",)),
    littered(
        "edited_files_of_paint_programs",
        {"cat/000.psd": b"8BPS\0\1", "cat/001.xcf": b"gimp xcf "},
        says=(".psd",),
    ),
    littered(
        "camera_raw_beside_jpeg",
        {"cat/{000,001}.CR2": b"II*\0\x10\0\0\0CR\2\0" + bytes(64)},
        says=(".cr2", "2"),
    ),
    littered(
        "cat_in_a_text_with_the_suffix_of_none",
        {"cat/MANIFEST.in": "x", "Makefile": "all:", "dvc.lock": "x"},
    ),
)

SPLIT = Reads(classes=("cat", "dog"), images={"train": 16, "test": 8})

MORE = (
    Case(
        name="litter_beside_splits",
        make=folder(
            {
                "train/{cat,dog}": 8,
                "test/{cat,dog}": 4,
                "@eaDir/x": 4,
                "__MACOSX/._x": "x",
                "#recycle": 5,
            }
        ),
        right=Reads(classes=SPLIT.classes, images=SPLIT.images, says=("@eaDir", "#recycle")),
    ),
    Case(
        name="litter_in_splits",
        make=folder(
            {
                "{train,test}/@eaDir/cat": 5,
                "train/{cat,dog}": 8,
                "test/{cat,dog}": 4,
                "test/.ipynb_checkpoints": 3,
            }
        ),
        right=Reads(classes=SPLIT.classes, images=SPLIT.images, says=("@eaDir",)),
    ),
    Case(
        name="litter_is_all_there_is_of_a_class",
        make=folder({"{cat,dog}": 10, "owl/@eaDir/000.jpg": 9}),
        right=Refused(says=("'owl' has 0",)),
    ),
    Case(
        name="litter_is_all_there_is",
        make=folder({"@eaDir": 9, "#recycle": 9}),
        right=Refused(says=("@eaDir",)),
    ),
    Case(
        name="litter_of_thumbnails_beside_other_suffixes",
        make=folder(
            {
                "{cat,dog}": Pics(count=10, name="{:03}.png"),
                "cat/thumbs": Pics(count=10, name="{:03}.png", side=8),
            }
        ),
        right=Reads(classes=CAT_DOG.classes, images=CAT_DOG.images, says=("thumbs", "10")),
    ),
    Case(
        name="thumbs_is_a_class_of_gestures",
        make=folder({"{fist,palm,thumbs}": 10}),
        right=Reads(classes=("fist", "palm", "thumbs"), images={"train": 30}),
    ),
    Case(
        name="recycle_is_a_class_of_waste",
        make=folder({"{compost,recycle,trash}": 10}),
        right=Reads(classes=("compost", "recycle", "trash"), images={"train": 30}),
    ),
    Case(
        name="models_and_docs_are_classes_when_they_hold_images",
        make=folder({"{docs,models,src}": 10}),
        right=Reads(classes=("docs", "models", "src"), images={"train": 30}),
    ),
    Case(
        name="litter_copies_of_pictures_do_not_count",
        make=folder(
            {"{cat,dog}": 10}, copied("cat", "__MACOSX/cat"), copied("dog", "$RECYCLE.BIN/dog")
        ),
        right=CAT_DOG,
        decode=True,
    ),
)

CASES = (*FOLDERS, *FILES, *MORE)
