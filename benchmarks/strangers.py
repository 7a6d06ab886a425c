"""Are the copies in a stranger's folder named, and is nothing else?

    python benchmarks/strangers.py [--npz cifar10.npz] [--folders 20] [--json]

20 folders of other layouts, numbers of classes, sizes and formats of pictures; their classes go
1:20, one more has 3 images. In each, 5% of the images are there again, equal to the pixel, and 2%
after each of the edits, in another split where the folder has splits, and one in five under another
class (none that is mirrored: left and right may be classes). `prepare` reads it; a copy is found
where it is in its original's group. False alarms are images in a group without a copy of theirs.
`across` counts copies whose original is in another split that a model is trained, chosen or scored
on. A folder without splits must be refused for its class of 3, by name; it is then read without it.

Pictures are fields of color with shapes and textures, or those of an .npz with x_train.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance

sys.path.insert(0, str(Path(__file__).parents[1]))

from trainables.data import decoding
from trainables.data.dataset import Caps, DataError, Dataset, prepare
from trainables.data.leaks import Found

ALL = Caps(train=10**6, val=10**6, test=10**6)
MOST = 300  # images of the most frequent class; the rarest has a twentieth
PLANTED_IN = 20  # images that a class needs to have copies: with fewer, a split would lose all
TINY = "tiny"  # the class of 3
EXACT, NEAR = 0.05, 0.02  # copies per image, equal and of each edit

# Where images lie, and what each split is called.
LAYOUTS: dict[str, tuple[str, dict[str, str]]] = {
    "classes": ("{label}/{name}", {"train": ""}),
    "one folder too many": ("data/{label}/{name}", {"train": ""}),
    "train and test": ("{split}/{label}/{name}", {"train": "train", "test": "test"}),
    "Training and Testing": ("{split}/{label}/{name}", {"train": "Training", "test": "Testing"}),
    "train, valid, test": (
        "{split}/{label}/{name}",
        {"train": "train", "val": "valid", "test": "test"},
    ),
    "class first": ("{label}/{split}/{name}", {"train": "train", "test": "test"}),
    "a table": ("images/{name}", {"train": ""}),
    "a table with splits": ("images/{name}", {"train": "train", "val": "val", "test": "test"}),
}
SHARES = {1: (1.0,), 2: (0.75, 0.25), 3: (0.6, 0.2, 0.2)}

Edit = Callable[[Image.Image, np.random.Generator], Image.Image]


def resized(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    scale = 2 ** rng.uniform(-1, 1)
    return image.resize(
        (round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC
    )


def cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    left, top = (round(0.03 * rng.uniform() * size) for size in image.size)
    width, height = (round(0.97 * size) for size in image.size)
    return image.crop((left, top, left + width, top + height))


# Each is then saved as JPEG of quality 40 to 90.
EDITS: dict[str, Edit] = {
    "re-encoded": lambda image, _rng: image,
    "resized": resized,
    "brighter": lambda image, rng: ImageEnhance.Brightness(image).enhance(rng.uniform(1.05, 1.2)),
    "cropped by 3%": cropped,
    "mirrored": lambda image, _rng: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One file to be: its label, its split and, of a copy, its original and how it was made."""

    name: str
    label: str
    split: str
    content: bytes
    original: str
    edit: str = ""


def synthetic(rng: np.random.Generator, hue: npt.NDArray[np.float64], side: int) -> Image.Image:
    """A field of color with shapes and a texture; pictures of one hue are of one class."""
    knots = (
        (rng.uniform(40, 215, (4, 4, 1)) * 0.6 + hue * 100 + rng.normal(0, 25, (4, 4, 3)))
        .clip(0, 255)
        .astype(np.uint8)
    )
    image = Image.fromarray(knots).resize((side, side), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(3, 9)):
        center, reach = rng.uniform(0, side, 2), rng.uniform(0.08, 0.35, 2) * side
        box = (*(center - reach), *(center + reach))
        color = tuple(
            int(value) for value in (rng.uniform(0, 255, 3) * (0.4 + 0.6 * hue)).clip(0, 255)
        )
        (draw.ellipse, draw.rectangle)[rng.integers(2)](box, fill=color)
    rows, columns = np.mgrid[:side, :side] / side
    wave = np.sin(2 * np.pi * (rng.uniform(-12, 12) * rows + rng.uniform(-12, 12) * columns))
    texture = rng.uniform(0, 18) * wave[..., None] + rng.normal(
        0, rng.uniform(0, 8), (side, side, 1)
    )
    return Image.fromarray((np.asarray(image) + texture).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, form: str, quality: int) -> bytes:
    file = io.BytesIO()
    image.save(file, form, quality=quality)
    return file.getvalue()


def originals(
    rng: np.random.Generator,
    layout: str,
    classes: int,
    side: int,
    form: str,
    taken: Iterator[Image.Image] | None,
) -> tuple[list[Picture], dict[str, Image.Image]]:
    """Draw pictures, a twentieth as many in the rarest class as in the most frequent one.

    One more class has 3 per split.
    """
    splits = list(LAYOUTS[layout][1])
    sizes = {
        f"class {number}": round(MOST * 20 ** (-number / (classes - 1)))
        for number in range(classes)
    }
    sizes[TINY] = 3
    # Of train, which val and test are split from where they are not given.
    need = 3 * (4 - len(splits))
    pictures, images = [], {}
    for label, size in sizes.items():
        hue = rng.uniform(0.2, 1, 3)
        for split, share in zip(splits, SHARES[len(splits)], strict=True):
            least = 3 if split != "train" or (len(splits) == 1 and label == TINY) else need
            for _ in range(max(least, round(size * share))):
                name = f"{len(pictures):05}.{'jpg' if form == 'JPEG' else form.lower()}"
                image = next(taken) if taken else synthetic(rng, hue, side)
                images[name] = image
                content = encoded(image, form, int(rng.integers(75, 96)))
                pictures.append(
                    Picture(name=name, label=label, split=split, content=content, original=name)
                )
    return pictures, images


def planted(
    rng: np.random.Generator, pictures: list[Picture], images: dict[str, Image.Image]
) -> list[Picture]:
    """Copies of some pictures, each of another one, in another split where there is one."""
    sizes = Counter(picture.label for picture in pictures)
    fit = [picture for picture in pictures if sizes[picture.label] >= PLANTED_IN]
    splits = sorted({picture.split for picture in pictures})
    labels = sorted({picture.label for picture in fit})
    kinds = ["equal"] * round(EXACT * len(pictures)) + [
        kind for kind in EDITS for _ in range(round(NEAR * len(pictures)))
    ]
    copies = []
    for number, (kind, at) in enumerate(zip(kinds, rng.permutation(len(fit)), strict=False)):
        source = fit[at]
        suffix = PurePosixPath(source.name).suffix if kind == "equal" else ".jpg"
        edit = EDITS.get(kind)
        content = (
            encoded(edit(images[source.name], rng), "JPEG", int(rng.integers(40, 91)))
            if edit
            else source.content
        )
        others = [split for split in splits if split != source.split] or splits
        label = str(rng.choice(labels)) if number % 5 == 0 and kind != "mirrored" else source.label
        copies.append(
            Picture(
                name=f"x{number:04}{suffix}",
                label=label,
                split=str(rng.choice(others)),
                content=content,
                original=source.name,
                edit=kind,
            )
        )
    return copies


def written(root: Path, layout: str, pictures: list[Picture]) -> None:
    place, splits = LAYOUTS[layout]
    for picture in pictures:
        path = root / place.format(
            split=splits[picture.split], label=picture.label, name=picture.name
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.content)
    if "{label}" not in place:
        split = len(splits) > 1
        lines = [f"{p.name},{p.label}" + (f",{splits[p.split]}" if split else "") for p in pictures]
        (root / "labels.csv").write_text(
            "\n".join(["file,label" + (",split" if split else ""), *lines])
        )


@contextlib.contextmanager
def watched(seen: list[Found]) -> Iterator[None]:
    """Keep what `prepare` knows of copies: what it shows are counts and examples."""
    plain = decoding.Found.of

    def of(*given: Any) -> Found:
        seen.append(plain(*given))
        return seen[-1]

    decoding.Found.of = of  # type: ignore[method-assign]
    try:
        yield
    finally:
        decoding.Found.of = plain  # type: ignore[method-assign]


def folder(number: int, taken: Iterator[Image.Image] | None, place: Path) -> dict[str, Any]:
    """One folder, written, read and compared with what was planted."""
    rng = np.random.default_rng(number)
    layout = list(LAYOUTS)[number % len(LAYOUTS)]
    classes = int(rng.integers(2, 13))
    form = ("JPEG", "PNG", "WEBP")[int(rng.integers(3))]
    pictures, images = originals(rng, layout, classes, int(rng.integers(48, 161)), form, taken)
    pictures += planted(rng, pictures, images)
    root = place / "set"
    written(root, layout, pictures)
    result: dict[str, Any] = {
        "folder": number,
        "layout": layout,
        "classes": classes + 1,
        "form": form,
        "images": len(pictures),
    }
    if len(LAYOUTS[layout][1]) == 1:
        result["tiny_named"] = tiny_is_named(root, place)
        pictures = [picture for picture in pictures if picture.label != TINY]
        shutil.rmtree(root)
        written(root, layout, pictures)
    seen: list[Found] = []
    start = time.perf_counter()
    with watched(seen):
        data = prepare(str(root), image_size=64, caps=ALL, seed=0, cache=place / "cache")
    result["seconds"] = round(time.perf_counter() - start, 2)
    return result | compared(pictures, data, seen[0])


def tiny_is_named(root: Path, place: Path) -> bool:
    """Whether a set is refused for its class of 3 alone."""
    try:
        prepare(str(root), image_size=64, caps=ALL, seed=0, cache=place / "cache")
    except DataError as error:
        return len(error.problems) == 1 and f"'{TINY}' has 3" in error.problems[0]
    return False


def compared(pictures: list[Picture], data: Dataset, found: Found) -> dict[str, Any]:
    """What was found of what was planted, and what else."""
    # Names of images, in the order in which row numbers count them.
    order = {split: at for at, split in enumerate(("train", "val", "test"))}
    by_row = sorted(
        pictures, key=lambda picture: (order[picture.split], picture.label, picture.name)
    )
    names = [by_row[row].name for row in found.rows.tolist()]
    group = dict(zip(names, found.near.tolist(), strict=True))
    # Copies that are in their original's group, by edit.
    copies = [picture for picture in pictures if picture.edit]
    recall: defaultdict[str, list[bool]] = defaultdict(list)
    for copy in copies:
        recall[copy.edit].append(group[copy.name] == group[copy.original])
    # Images in a group with images that they are no copies of.
    original = {picture.name: picture.original for picture in pictures}
    families = defaultdict(set)
    for name, number in group.items():
        families[number].add(original[name])
    alarms = sum(len(families[number]) > 1 for number in group.values())
    # Where copies and their originals are used.
    used = {
        PurePosixPath(name).name: split
        for split in ("train", "val", "test")
        for name in data.names(split)  # type: ignore[arg-type]
    }
    across = [
        c
        for c in copies
        if c.name in used and c.original in used and used[c.name] != used[c.original]
    ]
    return {
        "found": {edit: (sum(hits), len(hits)) for edit, hits in recall.items()},
        "alarms": alarms,
        "across": Counter(copy.edit for copy in across),
        "cautions": len(data.cautions),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folders", type=int, default=20)
    parser.add_argument("--npz", type=Path, help="take pictures from x_train of this file")
    args = parser.parse_args()
    taken = None
    if args.npz:
        with np.load(args.npz) as arrays:
            pixels = arrays["x_train"]
        taken = (
            Image.fromarray(pixels[at]) for at in np.random.default_rng(0).permutation(len(pixels))
        )
    results = []
    for number in range(args.folders):
        with tempfile.TemporaryDirectory() as place:
            results.append(folder(number, taken, Path(place)))
        if not args.json:
            print(results[-1], flush=True)
    total = summed(results)
    print(
        json.dumps({"folders": results, "total": total}, indent=1)
        if args.json
        else f"total: {total}"
    )


def summed(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Sum up all folders: copies found, false alarms per image, copies left across splits."""
    images = sum(result["images"] for result in results)
    found: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for result in results:
        for edit, (hits, all_) in result["found"].items():
            found[edit][0] += hits
            found[edit][1] += all_
            if edit != "equal":
                found["near"][0] += hits
                found["near"][1] += all_
    return {
        "images": images,
        "percent_found": {
            edit: round(100 * hits / all_, 1) for edit, (hits, all_) in found.items()
        },
        "planted": {edit: all_ for edit, (_, all_) in found.items()},
        "alarms": sum(result["alarms"] for result in results),
        "percent_alarms": round(100 * sum(result["alarms"] for result in results) / images, 3),
        "across": dict(sum((Counter(result["across"]) for result in results), Counter())),
        "tiny_named": [result["tiny_named"] for result in results if "tiny_named" in result],
        "seconds": round(sum(result["seconds"] for result in results), 1),
    }


if __name__ == "__main__":
    main()
