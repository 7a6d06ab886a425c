"""Data in forms that are not read, each with what to do about it.

Such are archives, tables, one image, an address.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from trainables.data.file_kinds import is_image
from trainables.problems import unknown_name

NAMES = ("digits", "digits-source", "cifar10")
FORMS = (
    "Or a path: an .npz, a folder of class folders, "
    "a folder of images with a table labels.csv (image,label)."
)

_TEXT = "text"
_TABLE = "a table"
_WRITE = "write its images into class folders, and give the folder"
_SAVE = "save its arrays with numpy.savez as x_train and y_train, and give the .npz"
_BESIDE = "give the folder that holds the images"
_FROM_MATLAB = "write a table labels.csv (image,label) of what it says, or " + _SAVE
_FROM_SHEET = "save it as labels.csv beside the images, and give their folder"
_FROM_SCANS = "convert it to PNG, in class folders"
_FROM_VIDEO = "write its frames as images into class folders"
_FROM_DOCUMENT = "save its pictures as images into class folders"
_FROM_GZIP = "unpack it, and give the folder of its images"


def _unpack(command: str) -> str:
    """Return how to unpack an archive with a command."""
    return f"unpack it (mkdir -p {{new}} && {command}) and give {{new}}"


_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".txz", ".tar.zst")
_TEXTS = (".json", ".jsonl", ".yaml", ".yml", ".xml", ".txt", ".md", ".names")
_TABLES = (".csv", ".tsv")

_KINDS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    ((".zip",), "an archive", _unpack("unzip -q {path} -d {new}")),
    (_TARS, "an archive", _unpack("tar -xf {path} -C {new}")),
    ((".7z",), "an archive", _unpack("7z x {path} -o{new}")),
    ((".rar",), "an archive", _unpack("unrar x {path} {new}/")),
    ((".parquet", ".arrow", ".feather"), "a table from a data set hub", _WRITE),
    ((".tfrecord", ".tfrecords", ".tfrec", ".record"), "TensorFlow records", _WRITE),
    ((".mdb", ".lmdb"), "a database of images", _WRITE),
    ((".h5", ".hdf5", ".hdf", ".nc"), "an HDF5 file", _SAVE),
    ((".mat",), "a MATLAB file", _FROM_MATLAB),
    ((".npy",), "a single array", _SAVE),
    ((".pkl", ".pickle", ".pt", ".pth", ".joblib"), "a pickle, which may run code", _SAVE),
    (_TABLES, _TABLE, "give the folder that holds it beside the images"),
    ((".xlsx", ".xls", ".ods"), "a spreadsheet", _FROM_SHEET),
    (_TEXTS, _TEXT, _BESIDE),
    ((".dcm", ".dicom", ".nii", ".nii.gz", ".mha"), "a DICOM or other medical scan", _FROM_SCANS),
    ((".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg"), "a video", _FROM_VIDEO),
    ((".pdf", ".pptx", ".docx"), "a document", _FROM_DOCUMENT),
    ((".bin", ".idx", ".ubyte", ".raw", ".dat"), "raw numbers", _SAVE),
    ((".cr2", ".nef", ".arw", ".dng"), "a raw photograph", "convert it to JPEG or PNG"),
    ((".gz", ".bz2", ".xz", ".zst"), "a compressed file", _FROM_GZIP),
)
"""How names end, what such a file is, and what to do with it."""


def of_file(data: str, path: Path) -> str:
    """Return the line for a file that is no data set."""
    if path.stat().st_size == 0:
        return (
            f"--data {data} must be a folder or an .npz, but is an empty file: give another path."
        )
    if is_image(path):
        folder = shlex.quote(str(path.parent.parent))
        return (
            f"--data must be a folder of images, but {data} is one image: "
            f"give the folder of class folders, maybe {folder}."
        )
    what, mend = _kind(path)
    return f"--data must be a folder or an .npz, but {data} is {what}: {mend}."


def of_name(data: str) -> str:
    """Return the line for what is neither a known name nor a path."""
    scheme = re.match(r"([a-z][a-z0-9+.-]*):/{1,3}", data, re.IGNORECASE)
    if scheme:
        mend = "download and unpack it, and give the folder"
        if scheme[1] == "file":
            mend = "give the path without the scheme"
        return (
            f"--data must be a name or a path on this machine, "
            f"but {data} is an address ({scheme[1]}:): {mend}."
        )
    # A name such as `owner/set` is likely one of a hub.
    line = f"{unknown_name(data, NAMES, 'data set or path')} {FORMS}"
    if re.fullmatch(r"[\w.-]+/[\w.-]+", data):
        return f"{line} A data set of a hub must be downloaded first."
    return line


def in_folder(paths: Iterable[Path], folder: Path) -> str:
    """Return what a folder without images holds in their place, with a mend.

    It is empty where the folder holds nothing that is known.
    """
    by_kind: dict[str, list[Path]] = {}
    for path in paths:
        if _known(path):
            by_kind.setdefault(_kind(path)[0].partition(" (")[0], []).append(path)
    if not by_kind:
        return ""

    # The most frequent kind; texts and tables come with data in any form.
    kind = max(by_kind, key=lambda kind: (kind not in (_TEXT, _TABLE), len(by_kind[kind])))
    files = by_kind[kind]
    what, mend = _kind(files[0])
    ending = "/".join(dict.fromkeys(map(_ending, files)))
    if ending in (*_TABLES, *_TEXTS):
        mend = _BESIDE

    shown = files[0].relative_to(folder).as_posix()
    several = len(files) > 1
    count = f"{len(files):,} {ending} files ({what})" if several else f"{shown} ({what})"
    if ending == ".npz":
        return f"{count}: give {shlex.quote(str(files[0]))}."
    example = f", such as {shown}" if several else ""
    return f"{count}{example}: {mend}."


def _kind(path: Path) -> tuple[str, str]:
    """Return what a file is, and what to do with it."""
    for endings, what, mend in _KINDS:
        if _matches(path, endings):
            # A folder beside it, with another name than its own.
            new = path.parent / path.name.split(".")[0]
            if new == path:
                new = path.with_suffix(".images")
            mend = mend.format(path=shlex.quote(str(path)), new=shlex.quote(str(new)))
            return f"{what} ({_ending(path)})", mend
    if path.suffix.lower() == ".npz":
        return "an .npz", ""
    ending = _ending(path) or "no suffix"
    return f"in a format that is not read ({ending})", "give a folder of images, or an .npz"


def _known(path: Path) -> bool:
    """Return whether a file has a form that holds data."""
    if path.suffix.lower() == ".npz":
        return True
    return any(_matches(path, endings) for endings, _, _ in _KINDS)


def _matches(path: Path, endings: tuple[str, ...]) -> bool:
    """Return whether a name has one of these endings, or one of two parts that mean the same."""
    name = path.name.lower()
    if name.endswith(endings):
        return True
    # train.tfrecord-00001-of-00010, t10k-images-idx3-ubyte
    is_record = ".tfrecord" in name and ".tfrecord" in endings
    return is_record or ("-ubyte" in name and ".ubyte" in endings)


def _ending(path: Path) -> str:
    """Return how a name ends: `.tar.gz`, `.csv`."""
    name = path.with_name(path.name.lower())
    if len(name.suffixes) > 1 and name.suffixes[-2] in (".tar", ".nii"):
        return "".join(name.suffixes[-2:])
    return name.suffix
