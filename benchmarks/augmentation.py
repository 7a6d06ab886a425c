"""Is our batched augmentation fast enough to be worth its lines, against Kornia and torchvision?

From a stored uint8 batch [256, 120, 120, 3] to float32 views [256, 3, 96, 96], on the CPU. All
three get the same operations and strengths: ours and Kornia's draw them for each image of a batch,
torchvision's is applied image by image, because its transforms draw once a batch. Kornia's
TrivialAugment picks one operation a batch and so varies between calls; each round is the mean of
several calls. Rounds are interleaved; medians over rounds.

    pip install kornia
    python benchmarks/augmentation.py --json

Result (torch 2.15, Kornia 0.9.0, torchvision 0.29.2; 2 cores of an AMD EPYC shared with other work;
medians of 9 rounds on one thread, in brackets the ranges of the ratios over three such runs, the
others of 5 rounds):

    1 thread          ours, ms an image   Kornia takes       torchvision takes
    crop_flip         0.19                2.2x (2.2 to 3.6)  1.6x (1.6 to 2.6)
    crop_flip_color   0.37                3.0x (2.8 to 3.0)  3.3x (2.8 to 3.5)
    trivial           0.40                2.1x (1.2 to 2.1)  1.1x (0.8 to 1.1)

On two threads in a quiet minute: 0.08, 0.30 and 0.16 ms, Kornia 4.5x, 3.7x and 2.1x. With other
work on the cores, numbers of two threads vary tenfold and ours, in more and smaller steps, may
lose: Kornia then took 0.2x to 4.2x as long.

So Kornia is not used. Its randomness would not decide it alone: it draws from torch's global
generator, so equal seeds give the first 4 images of a batch of 8 other views than a batch of 4; but
each image's crop and colour factors can be handed in as `params`, and then batches can be cut
freely. Its noise is one tensor of the batch's shape, the order of its colour jitter is one for the
batch, and its TrivialAugment picks one operation for the batch: these would remain ours to write.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from torch import Tensor
from torchvision.transforms import v2

sys.path.insert(0, str(Path(__file__).parents[1]))

from trainables.data import augment

STORED_SIZE, IMAGE_SIZE = 120, 96
CROP = {"scale": (augment.MIN_AREA, 1.0), "antialias": False}
NARROW, WIDE = (1.0, 1.0), (1 / augment.MAX_ASPECT, augment.MAX_ASPECT)
JITTER = (augment.JITTER, augment.JITTER, augment.JITTER, augment.HUE_JITTER)

View = Callable[[Tensor, int], Tensor]  # (images, epoch) -> views


def ours(augmentation: str) -> View:
    def make(images: Tensor, epoch: int) -> Tensor:
        samples = torch.arange(len(images))
        return augment.view(
            images, samples, augmentation=augmentation, image_size=IMAGE_SIZE, seed=0, epoch=epoch
        )

    return make


def kornias(augmentation: str) -> View:
    import kornia.augmentation as K
    from kornia.augmentation.auto import TrivialAugment

    size = (IMAGE_SIZE, IMAGE_SIZE)
    noise = K.RandomGaussianNoise(std=augment.NOISE_SIGMA, p=1.0)
    narrow = K.RandomResizedCrop(size, scale=CROP["scale"], ratio=NARROW)
    wide = K.RandomResizedCrop(size, scale=CROP["scale"], ratio=WIDE)
    flip = K.RandomHorizontalFlip()
    steps = {
        "crop_flip": [narrow, flip, noise],
        "crop_flip_color": [wide, flip, K.ColorJitter(*JITTER, p=1.0), noise],
        "trivial": [K.Resize(size, antialias=True), TrivialAugment()],
    }
    sequence = K.AugmentationSequential(*steps[augmentation], data_keys=["input"])

    def make(images: Tensor, _epoch: int) -> Tensor:
        with torch.no_grad():
            return sequence(images.permute(0, 3, 1, 2).float().div_(255)).clamp_(0, 1)

    return make


def torchvisions(augmentation: str) -> View:
    floats = v2.ToDtype(torch.float32, scale=True)
    noise = [floats, v2.GaussianNoise(sigma=augment.NOISE_SIGMA)]
    narrow = v2.RandomResizedCrop(IMAGE_SIZE, ratio=NARROW, **CROP)
    wide = v2.RandomResizedCrop(IMAGE_SIZE, ratio=WIDE, **CROP)
    flip = v2.RandomHorizontalFlip()
    steps = {
        "crop_flip": [narrow, flip, *noise],
        "crop_flip_color": [wide, flip, v2.ColorJitter(*JITTER), *noise],
        "trivial": [v2.Resize(IMAGE_SIZE, antialias=True), v2.TrivialAugmentWide(), floats],
    }
    transform = v2.Compose(steps[augmentation])
    return lambda images, _epoch: torch.stack(
        [transform(image) for image in images.permute(0, 3, 1, 2)]
    )


def measure(
    augmentation: str, threads: int, batch: int, rounds: int, calls: int
) -> dict[str, object]:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    images = torch.randint(0, 256, (batch, STORED_SIZE, STORED_SIZE, 3), dtype=torch.uint8)
    peers = {
        "ours": ours(augmentation),
        "kornia": kornias(augmentation),
        "torchvision": torchvisions(augmentation),
    }
    milliseconds: dict[str, list[float]] = {name: [] for name in peers}
    for make in peers.values():
        assert make(images, 0).shape == (batch, 3, IMAGE_SIZE, IMAGE_SIZE)
    for turn in range(rounds):
        for name, make in peers.items():
            start = time.perf_counter()
            for call in range(calls):
                make(images, 1 + turn * calls + call)
            milliseconds[name].append((time.perf_counter() - start) * 1e3 / calls)
    medians = {name: statistics.median(values) for name, values in milliseconds.items()}
    return {
        "augmentation": augmentation,
        "threads": threads,
        "ms_per_image": {name: round(value / batch, 4) for name, value in medians.items()},
        "range_ms_per_image": {
            name: [round(f(v) / batch, 4) for f in (min, max)] for name, v in milliseconds.items()
        },
        "times_ours": {name: round(value / medians["ours"], 2) for name, value in medians.items()},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object instead of a table"
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=3, help="calls a round")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args()
    try:
        import kornia
    except ImportError:
        print("This benchmark compares with Kornia: pip install kornia", file=sys.stderr)
        return 2
    results = [
        measure(augmentation, threads, args.batch, args.rounds, args.calls)
        for threads in args.threads
        for augmentation in ("crop_flip", "crop_flip_color", "trivial")
    ]
    about = {
        "batch": args.batch,
        "stored_size": STORED_SIZE,
        "image_size": IMAGE_SIZE,
        "rounds": args.rounds,
        "calls": args.calls,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "kornia": kornia.__version__,
        "machine": platform.machine(),
    }
    if args.json:
        print(json.dumps({**about, "results": results}, indent=1))
        return 0
    print(
        f"{'augmentation':16} {'threads':>7} {'ours':>9} {'kornia':>9} {'torchvision':>11}   ms an "
        "image (times ours)"
    )
    for result in results:
        cells = [
            f"{result['ms_per_image'][name]:.3f} ({result['times_ours'][name]:.1f}x)"
            for name in result["times_ours"]
        ]
        print(f"{result['augmentation']:16} {result['threads']:7}   " + "   ".join(cells))
    return 0


if __name__ == "__main__":
    sys.exit(main())
