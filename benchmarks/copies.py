"""Are copies found, at how many false alarms, and what does looking for them cost?

Recall: each kind of copy is made of some originals, all are stored as `prepare` stores them, and an
original and its copy must be named as a pair; "all kinds at once" counts copies that are in their
original's group. False alarms: images in near pairs though no copy was made. CIFAR-10 really holds
near copies (Barz and Denzler 2020: 3.25% of its test images have one in train), so `--sheet` writes
a picture of 100 of its pairs, to be judged by eye. Time: prints and search for CIFAR-10 at side 40,
against decoding as many small JPEG files, in turns.

    python benchmarks/copies.py --data cifar10.npz --photos FOLDER
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont
from sklearn.datasets import load_digits, load_sample_images

sys.path.insert(0, str(Path(__file__).parents[1]))

from trainables.data.copies import Prints, copies, groups
from trainables.data.decode import Files, square

Images = npt.NDArray[np.uint8]
Edit = Callable[[Image.Image, np.random.Generator], Image.Image]

CHUNK = 256
SPEED_SIDE = 40


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def resized(image: Image.Image, scale: float) -> Image.Image:
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC)


def gamma(image: Image.Image, power: float) -> Image.Image:
    return image.point([round(255 * (value / 255) ** power) for value in range(256)] * 3)


def cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    left, top, right, bottom = rng.uniform(0, 0.05, 4)
    box = (
        round(left * image.width),
        round(top * image.height),
        round((1 - right) * image.width),
        round((1 - bottom) * image.height),
    )
    return image.crop(box)


def stamped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    image = image.copy()
    font = ImageFont.load_default(size=max(image.width // 7, 6))
    place = (rng.uniform(0, 0.5) * image.width, rng.choice([0.02, 0.8]) * image.height)
    ImageDraw.Draw(image).text(
        place, "stock", fill=tuple([int(rng.choice([0, 255]))] * 3), font=font
    )
    return image


def turned(turn: Image.Transpose) -> Edit:
    return lambda image, _rng: image.transpose(turn)


# Each is then saved as JPEG of quality 30 to 95.
EDITS: dict[str, Edit] = {
    "re-encoded": lambda image, _rng: image,
    "resized by 0.5 to 2": lambda image, rng: resized(image, 2 ** rng.uniform(-1, 1)),
    "brightness, 15%": lambda image, rng: ImageEnhance.Brightness(image).enhance(
        rng.choice([0.85, 1.15])
    ),
    "contrast, 15%": lambda image, rng: ImageEnhance.Contrast(image).enhance(
        rng.choice([0.85, 1.15])
    ),
    "gamma, 15%": lambda image, rng: gamma(image, rng.choice([0.85, 1.15])),
    "text": stamped,
    "cropped by 0 to 5% per edge": cropped,
    "greyscale": lambda image, _rng: image.convert("L").convert("RGB"),
    "blurred": lambda image, _rng: image.filter(ImageFilter.GaussianBlur(image.width / 64)),
    "mirrored": turned(Image.Transpose.FLIP_LEFT_RIGHT),
}


def stored(images: list[Image.Image], side: int) -> Images:
    return np.stack([square(image.convert("RGB"), side) for image in images])


def edited(images: list[Image.Image], kind: str, rng: np.random.Generator) -> list[Image.Image]:
    return [jpeg(EDITS[kind](image, rng), int(rng.integers(30, 96))) for image in images]


def prints(images: Images) -> Prints:
    return Prints.joined(
        [Prints.of(images[start : start + CHUNK]) for start in range(0, len(images), CHUNK)]
    )


def recall(images: list[Image.Image], side: int) -> dict[str, float]:
    """The share of copies named, per kind, and in the groups of all kinds at once."""
    rng = np.random.default_rng(0)
    number = len(images)
    originals = stored(images, side)
    found = {}
    made = {kind: stored(edited(images, kind, rng), side) for kind in EDITS}
    for kind, squares in {"the same pixels": originals, **made}.items():
        pairs = copies(prints(np.concatenate([originals, squares]))).pairs
        found[kind] = float((pairs[:, 1] - pairs[:, 0] == number).sum() / number)
    every = np.concatenate([originals, *made.values()])
    group = groups(copies(prints(every)).pairs, len(every)).reshape(-1, number)
    found["all kinds at once"] = float((group[1:] == group[0]).mean())
    return found


def alarms(images: Images) -> dict[str, float]:
    """How many images are named in near pairs, where none was made."""
    found = copies(prints(images))
    near = found.pairs[~found.exact]
    named = len(np.unique(near))
    return {"images": len(images), "exact_pairs": int(found.exact.sum()), "near_pairs": len(near),
            "mirrored_pairs": int(found.mirrored.sum()), "images_named": named,
            "percent_named": round(100 * named / len(images), 3)}  # fmt: skip


def digits(side: int) -> Images:
    images = (load_digits().images * 255 / 16).astype(np.uint8)
    return stored([Image.fromarray(image) for image in images], side)


def noise(number: int, side: int) -> Images:
    """Noise around a hue, of 16 to 64 pixels: what tests take for photographs."""
    rng = np.random.default_rng(0)
    images = []
    for _ in range(number):
        size = int(rng.integers(16, 65))
        pixels = rng.integers(0, 256, 3) + rng.normal(0, rng.choice([10, 30, 60]), (size, size, 3))
        images.append(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)))
    return stored(images, side)


def pictures(folder: Path | None) -> list[Image.Image]:
    """Photographs: the centre square of each, and squares of half its edge side by side."""
    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    if folder:
        files = sorted(path for path in folder.rglob("*") if path.suffix in (".png", ".jpg"))
        photos += [Image.open(path).convert("RGB") for path in files]
    found = []
    for photo in photos:
        edge = min(photo.size)
        half = edge // 2
        found.append(photo.crop((0, 0, edge, edge)))
        for top in range(0, photo.height - half + 1, half):
            for left in range(0, photo.width - half + 1, half):
                found.append(photo.crop((left, top, left + half, top + half)))
    return found


def seconds(images: Images, rounds: int) -> dict[str, float]:
    """Return seconds for the images, medians of rounds.

    They are of decoding small JPEG files, scaled from 5,000, of taking prints, and of searching.

    `cpu_` counts all threads, and so says what things cost where other work keeps the cores busy.
    """
    squares = stored([Image.fromarray(image) for image in images], SPEED_SIDE)
    of_all = prints(squares)
    with tempfile.TemporaryDirectory() as folder:
        small = {size: written(images[:5000], size, Path(folder)) for size in (32, 96)}
        rows = np.arange(len(small[32].paths))
        steps: dict[str, Callable[[], object]] = {
            "decode_32": lambda: small[32].squares(rows, SPEED_SIDE),
            "decode_96": lambda: small[96].squares(rows, SPEED_SIDE),
            "prints": lambda: prints(squares),
            "search": lambda: copies(of_all),
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
        for _ in range(rounds):
            for name, step in steps.items():
                wall, cpu = time.perf_counter(), time.process_time()
                step()
                scale = len(images) / len(rows) if name.startswith("decode") else 1
                taken[name].append(
                    ((time.perf_counter() - wall) * scale, (time.process_time() - cpu) * scale)
                )
    result: dict[str, float] = {"images": len(images)}
    for clock, prefix in enumerate(("", "cpu_")):
        medians = {
            name: statistics.median(times[clock] for times in values)
            for name, values in taken.items()
        }
        result |= {prefix + name: round(value, 2) for name, value in medians.items()}
        result[prefix + "share"] = round(
            (medians["prints"] + medians["search"]) / medians["decode_32"], 3
        )
    return result


def written(images: Images, size: int, folder: Path) -> Files:
    paths = [folder / f"{size}_{row}.jpg" for row in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).resize((size, size)).save(path, quality=80)
    return Files(paths)


def sheet(images: Images, pairs: npt.NDArray[np.int64], path: Path) -> None:
    """A picture of 100 random pairs."""
    chosen = np.random.default_rng(0).permutation(pairs)[:100]
    page = Image.new("RGB", (10 * 140, 10 * 76), "white")
    for place, pair in enumerate(chosen):
        for half, row in enumerate(pair):
            tile = Image.fromarray(images[row]).resize((64, 64), Image.Resampling.NEAREST)
            page.paste(tile, (place % 10 * 140 + half * 64, place // 10 * 76))
    page.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", type=Path, help="CIFAR-10 as an .npz with x_train and x_test")
    parser.add_argument(
        "--photos", type=Path, help="a folder of photographs, beside scikit-learn's two"
    )
    parser.add_argument(
        "--sheet", type=Path, help="where to write a picture of 100 pairs of CIFAR-10"
    )
    parser.add_argument(
        "--originals", type=int, default=1000, help="images of CIFAR-10 that copies are made of"
    )
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    photos = pictures(args.photos)
    found = {f"photographs, {len(photos)} at side 120": recall(photos, 120)}
    named = {
        "photographs": alarms(stored(photos, 120)),
        "digits": alarms(digits(40)),
        "noise": alarms(noise(5000, 40)),
    }
    result: dict[str, object] = {"recall": found, "alarms": named}
    if args.data:
        with np.load(args.data) as arrays:
            cifar = np.concatenate([arrays["x_train"], arrays["x_test"]])
        chosen = np.random.default_rng(0).choice(len(cifar), args.originals, replace=False)
        found[f"CIFAR-10, {args.originals} at side 32"] = recall(
            [Image.fromarray(cifar[row]) for row in chosen], 32
        )
        named["CIFAR-10"] = alarms(cifar)
        result["seconds"] = seconds(cifar, args.rounds)
        if args.sheet:
            sheet(cifar, copies(prints(cifar)).pairs, args.sheet)
    if args.json:
        print(json.dumps(result, indent=1))
        return
    for name, shares in found.items():
        print(
            f"recall, {name}: "
            + ", ".join(f"{kind} {100 * share:.1f}%" for kind, share in shares.items())
        )
    for name, counts in named.items():
        print(f"alarms, {name}: {counts}")
    print(f"seconds: {result.get('seconds', 'with --data')}")


if __name__ == "__main__":
    main()
