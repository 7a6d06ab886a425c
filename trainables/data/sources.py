"""From what the user calls his data to where it is."""

from __future__ import annotations

from pathlib import Path

from trainables.data.cifar10 import cifar10, cifar10_folder
from trainables.data.digits import digits
from trainables.data.folders import image_folder
from trainables.data.foreign import of_file, of_name
from trainables.data.listing import Source
from trainables.data.npz import npz
from trainables.data.problems import DataError, reason
from trainables.data.reading import ReadOptions


def find(data: str, cache: Path, how: ReadOptions) -> Source:
    """The source of a name or a path; a known name wins over a folder of that name (`./digits` is the folder).

    Raises:
        DataError: Neither a known name nor a path to something that is known.
    """
    if data == "cifar10":
        return cifar10(cache)
    if data in ("digits", "digits-source"):
        return digits(data)
    try:
        return _at(data, Path(data).expanduser(), how)
    except (OSError, RuntimeError) as error:  # RuntimeError: the home of a user that is none
        raise DataError([f"{data} must be readable, but {reason(error)}: mend its permissions or choose another."]) from error


def _at(data: str, path: Path, how: ReadOptions) -> Source:
    if data and path.is_dir():
        return cifar10_folder(path) or image_folder(path, how)
    if data and path.is_file():
        if path.suffix.lower() == ".npz":
            return npz(path)
        raise DataError([of_file(data, path)])
    raise DataError([of_name(data)])
