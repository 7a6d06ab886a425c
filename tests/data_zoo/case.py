"""What a case of the zoo is: something a person passes as --data, and the right reading of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Make = Callable[[Path], str]  # builds below a folder; returns what the user passes as --data

SHORT = 8  # lines of a refusal at most

LEAVES = (
    "leaves"  # the value of --layout under which each folder that directly holds images is a class
)


@dataclass(frozen=True, kw_only=True)
class Reads:
    """The data is used.

    Attributes:
        classes: Names of the classes, in any order.
        images: Images used of each split that the layout gives, summed over classes: {"train": 24}
            is a flat set with splits of its own, {"train": 24, "val": 9} has val kept back as test
            and a val split from train. None: not compared.
        says: Texts that the lines shown must hold, in any case; "{data}" is what the user passed.
        brightness: Bounds of the mean of train's pixels, 0 to 255, for a decoded set.
    """

    classes: tuple[str, ...]
    images: Mapping[str, int] | None
    says: tuple[str, ...] = ()
    brightness: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Mend:
    """A mend that a refusal prints, and the reading when it is typed.

    "{data}" is what the user passed.

    Attributes:
        printed: Text that the refusal must hold.
        data: A folder below what was passed, given instead of it.
        flags: Flags added.
        reads: What is then read; None where the mend is no single command.
    """

    printed: str
    data: str = ""
    flags: Mapping[str, object] = field(default_factory=dict)
    reads: Reads | None = None


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The data is refused in at most `SHORT` lines.

    They hold all of `says` and what each mend prints, and none of `never`.
    """

    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    mends: tuple[Mend, ...] = ()


Right = Reads | Refused


@dataclass(frozen=True, kw_only=True)
class Case:
    """One input and its right reading.

    Attributes:
        name: A name of its own in the zoo.
        make: Builds the input.
        right: The right reading, or several of which one is enough.
        flags: Flags beside --data: layout, columns, group, keep_copies.
        decode: Whether the images are decoded too: for cases about files, copies and groups.
        grouped: Whether red of each picture is its group (`pictures.in_group`), which no two splits
            may share.
    """

    name: str
    make: Make
    right: Right | tuple[Right, ...]
    flags: Mapping[str, object] = field(default_factory=dict)
    decode: bool = False
    grouped: bool = False

    @property
    def rights(self) -> tuple[Right, ...]:
        """All right readings."""
        return self.right if isinstance(self.right, tuple) else (self.right,)
