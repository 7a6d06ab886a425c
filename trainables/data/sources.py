"""The source that the user means by `--data`."""

from __future__ import annotations

from pathlib import Path

from trainables.data.cifar10 import cifar10, cifar10_folder
from trainables.data.digits import digits
from trainables.data.folders import image_folder
from trainables.data.foreign import of_file, of_name
from trainables.data.listing import Source
from trainables.data.npz import npz
from trainables.data.problems import DataError
from trainables.data.reading import ReadOptions
from trainables.problems import reason


def find(data: str, cache: Path, how: ReadOptions) -> Source:
    """Return the source of a name or a path.

    A known name wins over a folder of that name (`./digits` is the folder).

    Raises:
        DataError: Neither a known name nor a path to something that is known.
    """
    if data == "cifar10":
        return _as_it_is(cifar10(cache), data, how)
    if data in ("digits", "digits-source"):
        return _as_it_is(digits(data), data, how)
    try:
        return _at(data, Path(data).expanduser(), how)
    # The home of an unknown user is a RuntimeError.
    except (OSError, RuntimeError) as error:
        mend = "fix its permissions or choose another"
        raise DataError([f"{data} must be readable, but {reason(error)}: {mend}."]) from error


def _at(data: str, path: Path, how: ReadOptions) -> Source:
    if data and path.is_dir():
        published = cifar10_folder(path)
        if published:
            return _as_it_is(published, data, how)
        return image_folder(path, how)
    if data and path.is_file():
        if path.suffix.lower() == ".npz":
            return _as_it_is(npz(path), data, how)
        raise DataError([of_file(data, path)])
    raise DataError([of_name(data)])


def _as_it_is(source: Source, data: str, how: ReadOptions) -> Source:
    """Return a source that is no folder of images, and cannot be read in other ways.

    Raises:
        DataError: It is to be read in one.
    """
    flags = []
    if how.layout != "auto":
        flags.append("--layout")
    if how.columns is not None:
        flags.append("--columns")
    if how.group is not None:
        flags.append("--group")
    if flags:
        rule = f"{' and '.join(flags)} must go with a folder of images"
        raise DataError([f"{rule}, but {data} is not one: leave out {' and '.join(flags)}."])
    return source
