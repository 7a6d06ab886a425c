"""How much longer are small files prepared than before copies were looked for?

    python benchmarks/small_files.py [--jpegs cifar10_jpegs.npz] [--before a3cc9c8]
                                     [--rounds 3] [--json]

60,000 JPEG files of 32 x 32 pixels in 10 class folders, all used at image size 32, are prepared by
the code here and by that of a commit (its worktree is made for it), in turns, each in a process and
a cache of its own. `ratio` is the median of the rounds' ratios, of wall time and of the CPU time of
all threads; the second says more on a busy machine. Then the parts of our time, measured once.
Other sets show whether time blows up: PNG files, 5% of the images a second time, one class that is
one image again and again, and one image as every file.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
LABELS = 10

CHILD = """
import functools, json, sys, tempfile, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from trainables.data import dataset
parts = {}
def clock():
    return time.perf_counter(), time.process_time()
def timed(owner, name, label):
    plain = getattr(owner, name)
    @functools.wraps(plain)
    def call(*given, **named):
        start = clock()
        try:
            return plain(*given, **named)
        finally:
            before = parts.get(label, (0, 0))
            parts[label] = [had + now - then for had, now, then in zip(before, clock(), start)]
    setattr(owner, name, call)
if sys.argv[3] == "parts":
    from trainables.data import decode, decoding, folders, pool
    for owner, name, label in [
        (folders, "walk", "tree walk"),
        (decode.Files._headers, "func", "headers"),
        (decode.Files, "squares", "decoding"),
        (pool.Prints, "of", "prints"),
        (decoding, "copies", "pair search"),
        (decoding, "choose", "splits"),
        (decoding, "cautions", "cautions"),
        (decoding, "_write_entry", "writing"),
    ]:
        timed(owner, name, label)
every = 10**6
with tempfile.TemporaryDirectory() as cache:
    start = clock()
    try:
        caps = dataset.Caps(train=every, val=every, test=every)
        data = dataset.prepare(sys.argv[2], image_size=32, caps=caps, seed=0, cache=Path(cache))
        images, said = sum(sum(counts.values()) for counts in data.counts.values()), ""
    except dataset.DataError as error:
        images, said = 0, str(error)
    wall, cpu = (now - then for now, then in zip(clock(), start))
print(json.dumps({"wall": wall, "cpu": cpu, "images": images, "refused": said, "parts": parts}))
"""


def prepared(tree: Path, data: Path, mode: str = "whole") -> dict[str, Any]:
    """Prepare a folder by the code of a tree, in a process of its own."""
    command = [sys.executable, "-c", CHILD, str(tree), str(data), mode]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd="/", env={"PATH": "/usr/bin:/bin"}
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def contents(file: Path | None, number: int) -> list[bytes]:
    """The bytes of some JPEG files: of an .npz with `data` and `length`, or made here."""
    if file is None:
        rng = np.random.default_rng(0)
        return [_smooth(rng) for _ in range(number)]
    with np.load(file) as arrays:
        data, lengths = arrays["data"].tobytes(), arrays["length"].astype(np.int64)
    ends = np.cumsum(lengths)
    return [
        data[end - length : end]
        for end, length in zip(ends[:number].tolist(), lengths[:number].tolist(), strict=True)
    ]


def _smooth(rng: np.random.Generator) -> bytes:
    knots = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
    return _saved(knots.resize((32, 32), Image.Resampling.BICUBIC), "JPEG")


def _saved(image: Image.Image, form: str) -> bytes:
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def write(
    root: Path,
    files: list[bytes],
    label: Callable[[int], int] = lambda number: number % LABELS,
    suffix: str = "jpg",
) -> Path:
    """Write files into class folders."""
    for name in range(LABELS):
        (root / f"class{name}").mkdir(parents=True)
    for number, content in enumerate(files):
        (root / f"class{label(number)}" / f"{number:05}.{suffix}").write_bytes(content)
    return root


def others(place: Path, files: list[bytes]) -> dict[str, Path]:
    """Sets of as many files that are harder."""
    png = [_saved(Image.open(io.BytesIO(content)), "PNG") for content in files]
    fifth = [
        content if number % 20 else files[number * 7 % len(files)]
        for number, content in enumerate(files)
    ]
    half = len(files) // 2
    one_class = [files[0] if number < half else content for number, content in enumerate(files)]
    return {
        "PNG": write(place / "png", png, suffix="png"),
        "5% copies": write(place / "fifth", fifth),
        "a class of one image": write(
            place / "class", one_class, lambda n: 0 if n < half else 1 + n % (LABELS - 1)
        ),
        "one image": write(place / "one", [files[0]] * len(files)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--files", type=int, default=60_000)
    parser.add_argument(
        "--jpegs",
        type=Path,
        help="an .npz with JPEG files one after another in `data`, and their `length`",
    )
    parser.add_argument("--before", default="a3cc9c8", help="the commit to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        files = contents(args.jpegs, args.files)
        data = write(place / "jpeg", files)
        before = place / "before"
        worktree = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run(
            [*worktree, "add", "--detach", str(before), args.before],
            check=True,
            capture_output=True,
        )
        try:
            rounds = [
                {"before": prepared(before, data), "now": prepared(ROOT, data)}
                for _ in range(args.rounds)
            ]
        finally:
            subprocess.run([*worktree, "remove", "--force", str(before)], check=True)
        result: dict[str, Any] = {"files": len(files)}
        for clock in ("wall", "cpu"):
            for code in ("before", "now"):
                result[f"{clock}_{code}"] = round(
                    statistics.median(times[code][clock] for times in rounds), 1
                )
            ratios = [times["now"][clock] / times["before"][clock] for times in rounds]
            result[f"{clock}_ratio"] = round(statistics.median(ratios), 2)
            result[f"{clock}_ratios"] = [round(ratio, 2) for ratio in ratios]
        parts = prepared(ROOT, data, "parts")["parts"]
        result["cpu_parts"] = {name: round(cpu, 2) for name, (_, cpu) in parts.items()}
        for name, root in others(place, files).items():
            found = prepared(ROOT, root)
            result[name] = {key: round(found[key], 1) for key in ("wall", "cpu", "images")} | {
                "refused": found["refused"]
            }
    print(
        json.dumps(result, indent=1)
        if args.json
        else "\n".join(f"{key}: {value}" for key, value in result.items())
    )


if __name__ == "__main__":
    main()
