"""Random numbers that are looked up, not drawn: each depends on what it is for, on any device.

A sequential generator gives a sample other numbers in another batch, order or process. Here
`(seed, role, epoch, sample, draw)` is hashed (Salmon et al. 2011, "Parallel random numbers: as easy
as 1, 2, 3"), a whole batch at once and without a host-device synchronization.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from trainables.randomness import named_seed

# splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"), as
# signed 64-bit numbers.
_GAMMA = 0x9E3779B97F4A7C15 - (1 << 64)
_MIX_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MIX_2 = 0x94D049BB133111EB - (1 << 64)

# Noise is copied out of one table of normals, each piece from its own random place. At 96 px and
# batch 256 that takes 1.2 ms on one core, against 20 ms for a torch.Generator per sample and 148 ms
# for hashing every pixel with Box-Muller (medians of 3 to 5; the 7 M values). On CUDA it is one
# gather, where generators would be one launch per sample.
_TABLE_SIZE = 1 << 22  # 16 MB; two pieces of a 96 px image overlap, shifted, with a chance of 1.3%
_MAX_PIECE = 1 << 16  # longer noise is made of several pieces: 3 at 224 px


def uniform(seed: int, epoch: int, samples: Tensor, draws: int, role: str) -> Tensor:
    """Return uniform numbers in [0, 1) with 24 random bits each, the same on every device.

    Args:
        seed: The sweep's seed.
        epoch: Which view of the sample.
        samples: int64 [B], the samples' numbers in their data set; the result lies on the same
            device.
        draws: Numbers per sample. More draws leave the first ones as they are.
        role: What the numbers are for; other roles get unrelated numbers.

    Returns:
        float32 [B, draws].
    """
    # A state of splitmix64 per sample, [B].
    streams = _mix(samples * _GAMMA + named_seed(seed, role, epoch))
    steps = torch.arange(1, draws + 1, device=samples.device) * _GAMMA
    bits = _mix(streams[:, None] + steps)  # [B, draws]
    return _shift(bits, 40).to(torch.float32) * 2.0**-24


def normal(seed: int, epoch: int, samples: Tensor, count: int, role: str) -> Tensor:
    """Return standard normal noise, float32 [B, count], the same on every device.

    The values are slices of one fixed table, so two samples may hold the same values at other
    positions. That is right for noise on pixels, and wrong where a statistic over many samples has
    to be exact.
    """
    pieces = -(-count // _MAX_PIECE)
    length = -(-count // pieces)
    places = _TABLE_SIZE - length
    starts = (uniform(seed, epoch, samples, pieces, role) * places).to(torch.int64)  # [B, pieces]
    windows = _normal_table(samples.device).as_strided((places, length), (1, 1))
    noise = windows.index_select(0, starts.flatten())
    return noise.view(len(samples), pieces * length)[:, :count]


def _mix(x: Tensor) -> Tensor:
    """Apply splitmix64's finalizer: each bit of the result depends on each bit of `x`.

    int64 wraps around.
    """
    x = (x ^ _shift(x, 30)) * _MIX_1
    x = (x ^ _shift(x, 27)) * _MIX_2
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Shift right logically; torch's own shift is arithmetic and drags the sign along."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


@lru_cache(maxsize=8)
def _normal_table(device: torch.device) -> Tensor:
    # Made by NumPy on the CPU, so that each device, and each number of threads, reads the same.
    generator = np.random.default_rng(named_seed(0, "normal table"))
    table = generator.standard_normal(_TABLE_SIZE, dtype=np.float32)
    return torch.from_numpy(table).to(device)
