"""How the ids of a table name files: as they are, or by rules from tight to loose."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_SUFFIX = re.compile(
    r"\.(jpe?g|jpe|jfif|png|webp|bmp|gif|tiff?|avif|hei[cf]|p[bgpn]m|jp2|ico|dcm|dicom|npy)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One way in which an id names a file: both have the same key.

    Attributes:
        said: What was assumed, for a note; `{id}` and `{file}` are an example. Empty where nothing
            was.
        of_id: The key of an id's last part.
        of_file: The key of a file's name.
    """

    said: str
    of_id: Callable[[str], str]
    of_file: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Found:
    """The files that one id may name, by the first rule under which there are any.

    Attributes:
        rule: That rule.
        files: Their indices; several where the rule and the folders cannot tell them apart.
        folders: How many of the id's folders the files have, counted from the name upwards.
        strange: Whether the id and the files are in folders of different names.
    """

    rule: Rule
    files: tuple[int, ...]
    folders: int
    strange: bool


def bare(name: str) -> str:
    """Return a name without the suffix of an image."""
    return _SUFFIX.sub("", name)


def suffix(name: str) -> str:
    """Return the suffix of an image with its dot; empty where a name has none."""
    match = _SUFFIX.search(name)
    return match[0] if match else ""


def parts(written: str) -> list[str]:
    r"""Return the folders and the name of an id: `C:\train\0.png`, `./train/0.png` and URLs too."""
    if "://" in written:
        written = unquote(urlsplit(written).path)
    return [part for part in re.split(r"[/\\]", written) if part not in ("", ".", "..")]


def folded(name: str) -> str:
    """Return a name regardless of case and Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def number(name: str) -> str:
    """Return the digits of `1`, `0001` and `1.0` without zeros; of other names nothing."""
    match = re.fullmatch(r"0*([0-9]+?)(\.0+)?", bare(name))
    return match[1] if match else ""


def _folded_bare(name: str) -> str:
    return folded(bare(name))


# From tight to loose.
RULES = (
    Rule("", str, str),
    Rule("ids lack the suffix {suffix!r}: {id!r} is {file!r}", str, bare),
    Rule("ids have another suffix than the files: {id!r} is {file!r}", bare, bare),
    Rule("ids differ from the files in case or Unicode form: {id!r} is {file!r}", folded, folded),
    Rule(
        "ids differ from the files in suffix, case or Unicode form: {id!r} is {file!r}",
        folded,
        _folded_bare,
    ),
    Rule(
        "ids differ from the files in suffix, case or Unicode form: {id!r} is {file!r}",
        _folded_bare,
        _folded_bare,
    ),
    Rule(
        "ids are numbers, written differently from those of the files: {id!r} is {file!r}",
        number,
        number,
    ),
)


class Files:
    """The images beside a table, by all keys that an id may have.

    Args:
        files: Their relative posix paths.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self.files = files
        self.places = {path: index for index, path in enumerate(files)}
        self._parts = [path.split("/") for path in files]
        self._keys: dict[int, dict[str, list[int]]] = {}

    def fits(self, written: str) -> int:
        """Return how well a cell names a file: 0 for none, and the more the tighter the rule."""
        found = self.find(written)
        return 0 if found is None else len(RULES) - RULES.index(found.rule)

    def folders(self, file: int) -> list[str]:
        """Return the names of the folders that a file is in."""
        return self._parts[file][:-1]

    def find(self, written: str) -> Found | None:
        """Return the files that an id may name."""
        if written in self.places:
            return Found(RULES[0], (self.places[written],), written.count("/"), strange=False)
        ways = [parts(written)]
        # On Unix a name may hold a backslash.
        if "\\" in written:
            ways.insert(0, [written])
        # The first rule that finds a file wins, from tight to loose.
        for way in filter(None, ways):
            for place, rule in enumerate(RULES):
                files = self._by_key(place).get(rule.of_id(way[-1]))
                if files:
                    return self._nearest(rule, way, files)
        return None

    def _by_key(self, rule: int) -> dict[str, list[int]]:
        """Return the files by their key under a rule, without those that have none.

        They are looked through when the rule is first needed.
        """
        if rule not in self._keys:
            by_key: dict[str, list[int]] = {}
            for index, way in enumerate(self._parts):
                key = RULES[rule].of_file(way[-1])
                if key:
                    by_key.setdefault(key, []).append(index)
            self._keys[rule] = by_key
        return self._keys[rule]

    def _nearest(self, rule: Rule, way: Sequence[str], files: Sequence[int]) -> Found:
        """Return those of equally named files whose folders agree furthest with the id's."""
        shared = {index: _shared(way[:-1], self._parts[index][:-1]) for index in files}
        most = max(shared.values())
        nearest = tuple(index for index in files if shared[index] == most)
        # It is strange where both have folders that could agree, and do not.
        strange = all(most < min(len(way), len(self._parts[index])) - 1 for index in nearest)
        return Found(rule, nearest, most, strange)


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many folders are the same, from the last upwards."""
    count = 0
    for left, right in zip(reversed(one), reversed(other), strict=False):
        if folded(left) != folded(right):
            break
        count += 1
    return count
