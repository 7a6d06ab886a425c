"""Data that people have in other forms, each with what to do with that very thing: archives, tables, one image, an address."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from trainables.data.file_kinds import is_image
from trainables.problems import unknown_name

NAMES = ("digits", "digits-source", "cifar10")
FORMS = "Or a path: an .npz, a folder of class folders, a folder of images with a table labels.csv (image,label)."

_WRITE = "write its images into class folders, and give the folder"
_SAVE = "save its arrays with numpy.savez as x_train and y_train, and give the .npz"
_BESIDE = "give the folder that holds the images"


def _unpack(command: str) -> str:
    return f"unpack it (mkdir -p {{new}} && {command}) and give {{new}}"


_KINDS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    ((".zip",), "an archive", _unpack("unzip -q {path} -d {new}")),
    (
        (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".txz", ".tar.zst"),
        "an archive",
        _unpack("tar -xf {path} -C {new}"),
    ),
    ((".7z",), "an archive", _unpack("7z x {path} -o{new}")),
    ((".rar",), "an archive", _unpack("unrar x {path} {new}/")),
    ((".parquet", ".arrow", ".feather"), "a table of a data set hub", _WRITE),
    ((".tfrecord", ".tfrecords", ".tfrec", ".record"), "TensorFlow's records", _WRITE),
    ((".mdb", ".lmdb"), "a database of images", _WRITE),
    ((".h5", ".hdf5", ".hdf", ".nc"), "an HDF5 file", _SAVE),
    (
        (".mat",),
        "a MATLAB file",
        "write a table labels.csv (image,label) of what it says, or " + _SAVE,
    ),
    ((".npy",), "a single array", _SAVE),
    ((".pkl", ".pickle", ".pt", ".pth", ".joblib"), "a pickle, which may run code", _SAVE),
    ((".csv", ".tsv"), "a table", "give the folder that holds it beside the images"),
    (
        (".xlsx", ".xls", ".ods"),
        "a workbook",
        "save it as labels.csv beside the images, and give their folder",
    ),
    ((".json", ".jsonl", ".yaml", ".yml", ".xml", ".txt", ".md", ".names"), "text", _BESIDE),
    (
        (".dcm", ".dicom", ".nii", ".nii.gz", ".mha"),
        "DICOM or another medical form",
        "convert it to PNG, in class folders",
    ),
    (
        (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg"),
        "a video",
        "write its frames as images into class folders",
    ),
    ((".pdf", ".pptx", ".docx"), "a document", "save its pictures as images into class folders"),
    ((".bin", ".idx", ".ubyte", ".raw", ".dat"), "raw numbers", _SAVE),
    ((".cr2", ".nef", ".arw", ".dng"), "a raw photograph", "convert it to JPEG or PNG"),
    (
        (".gz", ".bz2", ".xz", ".zst"),
        "a packed file",
        "unpack it, and give the folder of its images",
    ),
)
"""How names end, what such a file is, and what to do with it."""

_TEXTS = frozenset(
    (".csv", ".tsv", ".json", ".jsonl", ".yaml", ".yml", ".xml", ".txt", ".md", ".names")
)


def of_file(data: str, path: Path) -> str:
    """The line for a file that is no data set."""
    if path.stat().st_size == 0:
        return (
            f"--data {data} must be a folder or an .npz, but is an empty file: give another path."
        )
    if is_image(path):
        folder = shlex.quote(str(path.parent.parent))
        return f"--data must be a folder of images, but {data} is one image: give the folder of class folders, maybe {folder}."
    what, mend = _kind(path)
    return f"--data must be a folder or an .npz, but {data} is {what}: {mend}."


def of_name(data: str) -> str:
    """The line for what is neither a known name nor a path."""
    scheme = re.match(r"([a-z][a-z0-9+.-]*):/{1,3}", data, re.IGNORECASE)
    if scheme:
        mend = (
            "give the path without the scheme"
            if scheme[1] == "file"
            else "download and unpack it, and give the folder"
        )
        return f"--data must be a name or a path on this machine, but {data} is an address ({scheme[1]}:): {mend}."
    line = f"{unknown_name(data, NAMES, 'data name or existing path')} {FORMS}"
    if re.fullmatch(r"[\w.-]+/[\w.-]+", data):
        return f"{line} A set of a hub must be downloaded first."
    return line


def in_folder(paths: Iterable[Path], folder: Path) -> str:
    """What a folder without images holds in their place, with a mend; empty where it holds nothing that is known."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        if _known(path):
            found.setdefault(_kind(path)[0].partition(" (")[0], []).append(path)
    if not found:
        return ""
    kind = max(found, key=lambda kind: (kind not in ("text", "a table"), len(found[kind])))
    files = found[kind]
    what, mend = _kind(files[0])
    ending = "/".join(dict.fromkeys(map(_ending, files)))
    if ending in _TEXTS:
        mend = _BESIDE
    shown = files[0].relative_to(folder).as_posix()
    count = f"{len(files):,} {ending} files ({what})" if len(files) > 1 else f"{shown} ({what})"
    if ending == ".npz":
        return f"{count}: give {shlex.quote(str(files[0]))}."
    example = f", such as {shown}" if len(files) > 1 else ""
    return f"{count}{example}: {mend}."


def _kind(path: Path) -> tuple[str, str]:
    """What a file is, and what to do with it."""
    for endings, what, mend in _KINDS:
        if _matches(path, endings):
            new = path.parent / path.name.split(".")[0]
            words = {
                "path": shlex.quote(str(path)),
                "new": shlex.quote(str(new if new != path else path.with_suffix(".images"))),
            }
            ending = _ending(path)
            return f"{what} ({ending})", mend.format(**words)
    if path.suffix.lower() == ".npz":
        return "an .npz", ""
    named = _ending(path) or "no suffix"
    return f"of a form that is not read ({named})", "give a folder of images, or an .npz"


def _known(path: Path) -> bool:
    return path.suffix.lower() == ".npz" or any(_matches(path, endings) for endings, _, _ in _KINDS)


def _matches(path: Path, endings: tuple[str, ...]) -> bool:
    name = path.name.lower()
    inside = (".tfrecord" in name and ".tfrecord" in endings) or (
        "-ubyte" in name and ".ubyte" in endings
    )
    return name.endswith(endings) or inside


def _ending(path: Path) -> str:
    """How a name ends: `.tar.gz`, `.csv`."""
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if len(suffixes) == 2 and suffixes[0] in (".tar", ".nii"):
        return "".join(suffixes)
    return suffixes[-1] if suffixes else ""
