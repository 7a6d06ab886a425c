"""Reading a file of weights: torch's or safetensors, or else named for what it is.

Its code never runs.
"""

from __future__ import annotations

import pickle
import re
import reprlib
import subprocess
import sys
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from trainables.problems import one_line
from trainables.state_dicts import flatten, listed

SUFFIXES = (".pt", ".pth", ".safetensors")
READ_WITHIN_S = 3  # of processor time; 100 MB take 0.1
MOST_STRANGERS = 12  # classes of objects beside the weights; each costs one more reading

_SAVE = "save model.state_dict() with torch.save"
_UNPACK = "unpack it and pass the weights that are in it"
_OTHER_FILES = {  # first bytes: what has them, and the mend
    b"version https://git-lfs": ("it is a Git LFS pointer", "fetch the weights with git lfs pull"),
    b"\x89HDF": ("it is an HDF5 file, as Keras writes them", _SAVE),
    b"\x93NUMPY": ("it is a NumPy array", _SAVE),
    b"GGUF": ("it is a GGUF file", _SAVE),
    b"%PDF": ("it is a PDF", _SAVE),
    b"\x89PNG": ("it is an image", _SAVE),
    b"\xff\xd8\xff": ("it is an image", _SAVE),
    b"\x1f\x8b": ("it is a gzip archive", _UNPACK),
    b"BZh": ("it is a bzip2 archive", _UNPACK),
    b"\xfd7zXZ": ("it is an xz archive", _UNPACK),
    b"7z\xbc\xaf": ("it is a 7z archive", _UNPACK),
    b"Rar!": ("it is a RAR archive", _UNPACK),
}


class WeightsError(ValueError):
    """Weights that cannot be had or do not fit: one line."""

    def __init__(self, problem: str) -> None:
        super().__init__(one_line(problem))


class _HoldsError(Exception):
    """A file whose objects of other classes cannot be passed over."""

    def __init__(self, stranger: str) -> None:
        super().__init__(stranger)
        self.stranger = stranger


def read(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a file by their dotted names, mapped where the format allows it.

    Objects beside them, such as options and counts of epochs, are passed over.

    Raises:
        WeightsError: The file cannot be read as weights, or holds no tensors under names.
    """
    # By its bytes, whatever its name is.
    stranger = ""
    try:
        if other := _other_kind(path):
            raise _unreadable(path, *other)
        if _is_safetensors(path):
            content: object = load_file(path)
        else:
            content, stranger = _load_torch(path)
    except WeightsError:
        raise
    # Damaged bytes lead the readers to IndexError, struct.error, AssertionError …
    except Exception as error:
        raise _unreadable(path, *_damage(path, error)) from error
    # Its tensors, or why there are none.
    tensors = flatten(content)
    if tensors:
        return tensors
    if stranger:
        raise _unreadable(path, _holds(stranger), _SAVE)
    raise WeightsError(
        f"{path} must hold a state dict of plain tensors, but holds {_described(content)}: {_SAVE}."
    )


def check(path: Path) -> None:
    """Read a file in a process of its own first.

    1 KB of nested tuples can keep torch's reader busy for ever, or crash it. For pickles of
    strangers: 2 s, most of which imports torch; other files cost nothing. Whatever else is wrong
    with a file, `read` says.

    Raises:
        WeightsError: Reading takes more than 3 s of a processor's time, or ends the process.
    """
    try:
        if _other_kind(path) or _is_safetensors(path):
            return
    except Exception:  # noqa: BLE001  `read` meets it too, before it unpickles anything
        return
    root = str(Path(__file__).parents[1])
    reading = subprocess.run(
        [sys.executable, "-P", "-c", _READING, root, str(path.absolute()), str(READ_WITHIN_S)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if reading.returncode < 0:
        found = f"reading it takes more than {READ_WITHIN_S} s, or crashes"
        raise _unreadable(path, found, "save a state dict with torch.save")
    reading.check_returncode()  # the process itself could not work: nothing that a file can do


# No signal handler can interrupt a hash, but a limit of processor time ends the process.
_READING = """
import gc, math, os, resource, sys
gc.disable()  # half a second of the imports
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from trainables.weights_file import WeightsError, read
within = math.ceil(sum(resource.getrusage(resource.RUSAGE_SELF)[:2])) + int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_CPU, (within, within))
try:
    read(Path(sys.argv[2]))
except WeightsError:
    pass
os._exit(0)  # half a second of torch's, which is none of the file's
"""


def _unreadable(path: Path, found: str, mend: str) -> WeightsError:
    return WeightsError(f"{path} cannot be read as weights ({found}): {mend}.")


# Kinds of files


def _other_kind(path: Path) -> tuple[str, str] | None:
    """Say what a file is that neither torch nor safetensors wrote, and the mend.

    None where its bytes do not tell.
    """
    head = _head(path)
    for magic, kind in _OTHER_FILES.items():
        if head.startswith(magic):
            return kind
    if not head:
        return "it is empty", _SAVE
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "it is a web page", "save the file itself, not the page about it"
    if head[257:262] == b"ustar":
        return "it is a tar archive", _UNPACK
    # Protobuf: a version first.
    if head[:1] == b"\x08" and head[1:2] < b" " and head[2:3] in (b"\x12", b"\x3a", b"\x42"):
        return "it is an ONNX or TensorFlow model", _SAVE
    if zipfile.is_zipfile(path):
        return _other_archive(path)
    if _is_text(head):
        return f"it is text, {_shown(head.decode().strip())}", _SAVE
    return None


def _other_archive(path: Path) -> tuple[str, str] | None:
    """Say what a zip is that `torch.save` did not write, and the mend."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner:  # as torch tells them apart, too
        return "it is a TorchScript program", _SAVE
    if "data.pkl" in inner:
        return None
    if "archive_format" in inner or "serialized_exported_program.json" in names:
        return "it is a torch.export program", _SAVE
    if any(name.endswith(".npy") for name in names):
        return "it is a NumPy .npz archive", _SAVE
    if any(name.endswith(".h5") for name in names):
        return "it is a Keras model", _SAVE
    weights = [name for name in names if name.endswith(SUFFIXES)]
    if weights:
        return f"it is a zip that holds {listed(weights)}", _UNPACK
    return f"it is a zip of {listed(names) or 'nothing'}", _SAVE


def _is_safetensors(path: Path) -> bool:
    """Return whether a file begins as the format says.

    That is the length of a header in 8 bytes, then the header, JSON.
    """
    head = _head(path)
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(512)


def _is_text(head: bytes) -> bool:
    return head.isascii() and all(byte >= 32 or byte in b"\t\n\r" for byte in head)


def _damage(path: Path, error: Exception) -> tuple[str, str]:
    """Say what a failure of a reader means, and the mend.

    Its own words are not shown: torch's advise to run the file's code.
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror, _SAVE
    if isinstance(error, _HoldsError) and error.stranger:
        return _holds(error.stranger), _SAVE
    if _head(path).startswith(b"PK") or _is_safetensors(path):
        return "it is damaged or cut off", "save or download it again"
    found = (
        "it holds something other than tensors, or is neither a torch.save nor a safetensors file"
    )
    return found, _SAVE


def _holds(stranger: str) -> str:
    return f"it holds a {_shown(stranger)} where tensors should be"


# torch.save


def _load_torch(path: Path) -> tuple[object, str]:
    """Read a file of `torch.save`.

    Training scripts put an argparse.Namespace or a NumPy number beside the weights. An object of an
    unknown class is replaced by an empty one, so that nothing of that class runs and the tensors
    beside it can be had.

    Returns:
        The content, and the first class in it that is not known to be safe, if there is one.
    """
    # By name, with what takes their place. The reader names one at a time, and begins again.
    strangers: dict[str, type] = {}
    while True:
        replaced: list[Any] = [(empty, name) for name, empty in strangers.items()]
        try:
            with torch.serialization.safe_globals(replaced):
                return _load_safely(path), next(iter(strangers), "")
        except pickle.UnpicklingError as error:
            stranger = _stranger(error)
            if not stranger or stranger in strangers or len(strangers) == MOST_STRANGERS:
                raise _HoldsError(next(iter(strangers), stranger)) from error
            strangers[stranger] = _empty_class(stranger)


def _load_safely(path: Path) -> object:
    # Mapped where the format allows it: 16 ms instead of 100 for a ResNet-18, at the start of each
    # trial.
    # A path that ends in .safetensors torch would give to another reader.
    mapped = zipfile.is_zipfile(path) and path.suffix != ".safetensors"
    with (
        warnings.catch_warnings(action="ignore", category=UserWarning),  # about the pickle protocol
        path.open("rb") as file,
    ):
        source = path if mapped else file
        return torch.load(source, map_location="cpu", weights_only=True, mmap=mapped)


def _stranger(error: Exception) -> str:
    """Return the class that torch's reader stopped at.

    Empty if it stopped at something else, such as a call into `os`.
    """
    match = re.search(r"GLOBAL (\S+) was not an allowed global", str(error))
    if not match:
        return ""
    return match[1] if "." in match[1] else f"builtins.{match[1]}"


def _empty_class(name: str) -> type:
    """Return a class of objects that hold nothing, to take the place of those of the class `name`.

    The reader fills dicts only if they are its own kinds of dict, but NumPy's types are built from
    a tuple.
    """

    def new(cls: type, *_: object, **__: object) -> Any:
        if name.startswith("numpy"):
            return object.__new__(cls)
        return OrderedDict()

    return type("Empty", (), {"__new__": new, "__setstate__": lambda self, state: None})


# Words


def _described(content: object) -> str:
    kind = f"a {type(content).__name__}"
    if not isinstance(content, Mapping):
        return kind
    return f"{kind} of {listed(content) or 'nothing'}"


def _shown(text: str) -> str:
    return reprlib.repr(text) if len(text) > 60 else repr(text)
