"""A folder read once, with all below it: its images, its other files, and what is passed over."""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from trainables.data.file_kinds import is_image
from trainables.data.listing import below

LITTER = re.compile(
    r"@eadir|@__thumb|[@#$]+recycle(d|r)?(\.bin)?|system volume information|__macosx|lost\+found"
    r"|__pycache__|node_modules|site-packages|.*\.lrdata"
    r"|thumbs\.db|ehthumbs.*\.db|desktop\.ini|.*:zone\.identifier",
    re.IGNORECASE,
)
"""Names of what systems and programs leave beside files: Synology, Windows, macOS, caches."""

THUMBNAILS = re.compile(r"_?thumb(s|nails?)?", re.IGNORECASE)
"""A folder of this name is passed over where the folder above has each of its images, larger."""

MASK = re.compile(
    r"(.+?)[ _-](mask|seg|segmentation|label|annotation|gt)([ _-]?\d+)?", re.IGNORECASE
)
"""A file's stem that says "the mask of another file", which counts where that file is beside it."""

PICTURES = re.compile(
    r"(jpeg|jpg|png|raw|all)?[ _-]?(images?|imgs?|pictures|photos|pics|frames|inputs?)",
    re.IGNORECASE,
)
ANNOTATIONS = re.compile(
    r"ann(ot(ations?)?)?|labels?(txt)?|masks?|segmentation\w*|bbox(es)?|bounding[ _-]?boxes|xmls?"
    r"|ground[ _-]?truths?|gts?|imagesets|trimaps|instances?|polygons?|keypoints?|depths?|targets?"
    r"|jsons?|maps?",
    re.IGNORECASE,
)
"""Names of folders that hold what belongs to other images: boxes, masks, depths."""


Identity: TypeAlias = tuple[int, int]
"""Device and number of a folder: the same by whatever link it is reached."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder without what is passed over, its parts sorted by name.

    Attributes:
        path: The folder as it was reached.
        folders: The folders in it.
        images: The images directly in it.
        others: The files directly in it that are no images.
        marks: Names of folders in it that hold what belongs to images: annotations, masks.
    """

    path: Path
    folders: tuple[Folder, ...]
    images: tuple[Path, ...]
    others: tuple[Path, ...]
    marks: tuple[str, ...]

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    def all_images(self) -> Iterator[Path]:
        """Yield its images and those of all folders below it.

        A folder that is reached twice, by a link, gives them once.
        """
        seen: set[Identity] = set()
        waiting = [self]
        while waiting:
            folder = waiting.pop()
            identity = _identity(folder.path)
            if identity in seen:
                continue
            seen.add(identity)
            yield from folder.images
            waiting += reversed(folder.folders)

    def all_others(self) -> Iterator[Path]:
        """Yield the files that are no images, in it and in all folders below it."""
        yield from self.others
        for folder in self.folders:
            yield from folder.all_others()

    @property
    def count(self) -> int:
        """The number of images in it and below it."""
        return sum(1 for _ in self.all_images())

    @property
    def with_images(self) -> tuple[Folder, ...]:
        """The folders directly in it that hold images, or whose own folders do."""
        return tuple(folder for folder in self.folders if folder.any_image())

    def any_image(self) -> bool:
        """Return whether there is an image in it or below it."""
        return next(self.all_images(), None) is not None

    def empty(self) -> bool:
        """Return whether there is no file at all in it or below it."""
        return not self.any_image() and next(self.all_others(), None) is None


@dataclass(slots=True)
class PassedOver:
    """The files that are not used, by reason: how many, and the first one as an example."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, example: str, number: int = 1) -> None:
        """Count something under its reason, such as `files ending in .txt`."""
        self.counts[reason] += number
        self.examples.setdefault(reason, example)

    def add_all(self, other: PassedOver) -> None:
        """Count what another one has."""
        for reason, number in other.counts.items():
            self.add(reason, other.examples[reason], number)

    def lines(self) -> Mapping[str, str]:
        """Return `24, such as a/@eaDir/1.jpg` by reason, in the order in which these were met."""
        lines = {}
        for reason, number in self.counts.items():
            lines[reason] = f"{number:,}, such as {self.examples[reason]}"
        return lines


def walk(root: Path, closed: list[OSError] | None = None) -> tuple[Folder, PassedOver]:
    """Read a folder and all below it, links to folders too; a loop of links ends where it began.

    Within a folder that a link leads to, links to one folder are followed once: folders that link
    to each other are else read in each order in which they can be reached, of which there are n!.

    Args:
        root: The folder.
        closed: Gets what is wrong with folders that cannot be read, which are passed over then.

    Raises:
        OSError: A folder that is no litter cannot be read, and `closed` is not given.
    """
    passed = PassedOver()
    return _folder(root, root, frozenset(), None, passed, closed), passed


def ending_of(path: Path) -> str:
    """Return how a file's name ends, as a reason for which it is passed over."""
    return f"ending in {path.suffix.lower()}" if path.suffix else "without a suffix"


def _folder(
    root: Path,
    path: Path,
    above: frozenset[Identity],
    followed: set[Identity] | None,
    passed: PassedOver,
    closed: list[OSError] | None,
) -> Folder:
    """Read a folder; within a link, `followed` has all that links have led to, else it is None."""
    # A link to one of the folders above would never end.
    above = above | {_identity(path)}
    folders: list[Folder] = []
    images: list[Path] = []
    others: list[Path] = []
    for entry in _entries(path, closed):
        here = Path(entry.path)
        if entry.name.startswith("."):
            passed.add("hidden", below(here, root))
        elif LITTER.fullmatch(entry.name):
            _pass_over_litter(here, root, passed)
        elif _is_folder(entry):
            # Only links can lead to a folder again.
            within = followed
            reason = ""
            if entry.is_symlink():
                within = set() if followed is None else followed
                reason = _read_before(_identity(here), above, within)
            if reason:
                passed.add(reason, below(here, root))
            else:
                folders.append(_folder(root, here, above, within, passed, closed))
        elif is_image(here):
            images.append(here)
        else:
            others.append(here)

    # Images that only belong to others are known by what is beside them.
    kept = _without_masks(root, images, passed)
    folders = _without_thumbnails(root, folders, kept, passed)
    return Folder(
        path=path,
        folders=tuple(_without_mask_folders(root, folders, passed)),
        images=tuple(kept),
        others=tuple(others),
        marks=tuple(folder.name for folder in folders if ANNOTATIONS.fullmatch(folder.name)),
    )


def _read_before(identity: Identity, above: frozenset[Identity], followed: set[Identity]) -> str:
    """Return why a link is not followed; empty where it is, which is remembered."""
    if identity in above:
        return "links back to a folder above"
    if identity in followed:
        return "links to a folder that was read already"
    followed.add(identity)
    return ""


def _entries(path: Path, closed: list[OSError] | None) -> list[os.DirEntry[str]]:
    try:
        # A folder may be one to list and not to enter (0444).
        (path / "..").stat()
        with os.scandir(path) as scan:
            return sorted(scan, key=lambda entry: entry.name)
    except OSError as error:
        error.filename = str(path)
        if closed is None:
            raise
        closed.append(error)
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether it is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError as error:
        # Links that lead in a circle are no folder.
        if error.errno != errno.ELOOP:
            raise
        return False


def _pass_over_litter(path: Path, root: Path, passed: PassedOver) -> None:
    """Count the files in litter; a file, and what cannot be read, counts as one."""
    files: list[Path] = []
    for place, _, names in os.walk(path):
        files += [Path(place, name) for name in names]
    files.sort()
    example = below(files[0], root) if files else below(path, root)
    reason = f"in {path.name}/" if path.is_dir() else f"named {path.name}"
    passed.add(reason, example, max(1, len(files)))


def _without_masks(root: Path, images: list[Path], passed: PassedOver) -> list[Path]:
    """Return the images but for masks of others, such as `x_mask.png` beside `x.png`."""
    stems = _stems(images)
    kept = []
    for image in images:
        match = MASK.fullmatch(image.stem)
        if match and match[1] in stems:
            passed.add("masks of the images beside them", below(image, root))
        else:
            kept.append(image)
    return kept


def _without_thumbnails(
    root: Path, folders: list[Folder], images: list[Path], passed: PassedOver
) -> list[Folder]:
    """Return the folders but for thumbnails of the images beside them."""
    stems = _stems(images)
    kept = []
    for folder in folders:
        small = _stems(folder.images)
        if THUMBNAILS.fullmatch(folder.name) and small and stems >= small:
            example = below(folder.images[0], root)
            passed.add("thumbnails of the images above them", example, len(folder.images))
        else:
            kept.append(folder)
    return kept


def _without_mask_folders(root: Path, folders: list[Folder], passed: PassedOver) -> list[Folder]:
    """Return the folders but for masks and their like.

    Those are beside a folder of pictures, and both hold images of the same names.
    """
    pictures: set[str] = set()
    for folder in folders:
        if PICTURES.fullmatch(folder.name):
            pictures |= _stems(folder.images)
    kept = []
    for folder in folders:
        stems = _stems(folder.images)
        if ANNOTATIONS.fullmatch(folder.name) and stems and pictures >= stems:
            reason = f"in {folder.name}/, beside the images that they belong to"
            passed.add(reason, below(folder.images[0], root), len(folder.images))
        else:
            kept.append(folder)
    return kept


def _stems(images: Iterable[Path]) -> set[str]:
    """Return the names of images without suffixes."""
    return {image.stem for image in images}


def _identity(path: Path) -> Identity:
    stat = path.stat()
    return stat.st_dev, stat.st_ino
