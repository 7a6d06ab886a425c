"""Images that look alike, found without comparing all with all: candidates for copies.

Images are compared by the cosine of their low DCT frequencies, the numbers whose signs are a
perceptual hash (Zauner 2010). The signs of the lowest choose a bucket per image; an image is
compared with its own bucket and with those that it would be in if the numbers nearest to 0 had the
other sign (multi-probe hashing, Lv et al. 2007).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from trainables.data.listing import Rows
from trainables.data.prints import Floats, Greys, frequencies, spectra

LOW = 6  # DCT frequencies 0 to 5 in each direction
ALIKE = 0.15  # 1 - cosine of two images that look alike
# The same of the farthest candidates: 95% of pairs with a 5% crop are nearer, on CIFAR-10.
APART = 0.2
BUCKET = 64  # images per bucket that are aimed at
MAX_BITS = 14
FLIPS = 2  # signs that may differ
PROBE = 0.015  # sum of the squares of what must change sign
QUERIES = 16384  # that are probed at a time: 64 MB of cosines at most
BLOCK = 1024  # members of a bucket that these are compared with at a time
# Pairs per image that are kept: of 100 frames that are all alike 5% of all pairs, and these still
# connect them.
NEAREST = 8
MOST = 128  # look-alikes of an image beyond which it is in no pair


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Pairs that may be copies, sorted.

    Attributes:
        pairs: int64 [P, 2], the smaller number first.
        mirrored: bool [P], whether they look alike when one is mirrored; a pair may be there
            upright and mirrored.
        others: int64 [P], how many look like that image of the pair that has more of them.
    """

    pairs: Rows
    mirrored: npt.NDArray[np.bool_]
    others: Rows


def look_alikes(greys: Greys) -> LookAlikes:
    """Find the pairs of thumbnails that look alike, upright or with one of them mirrored.

    The more others look like an image, the nearer they must be (`reach`). Of an image with more
    than `MOST`, such as a frame of a fixed camera, no copy can be told, and none is named. Of more
    than `NEAREST` the nearest are named.
    """
    # The images in the order of their buckets.
    vectors = _vectors(greys)
    bits = max(0, min(MAX_BITS, round(np.log2(max(len(vectors), 1) / BUCKET))))
    buckets = _bucket(vectors[:, :bits])
    order = np.argsort(buckets, kind="stable")
    edges = np.searchsorted(buckets[order], np.arange(2**bits + 1))

    # Each image is compared with the members of the buckets that it may belong to.
    others = np.zeros(len(vectors), np.int64)
    keys = [np.empty(0, np.int64)]
    distances = [np.empty(0, np.float32)]
    for mirrored in (False, True):
        queries = vectors * _mirror() if mirrored else vectors
        for asked, bucket in _probes(queries[:, :bits]):
            end = edges[bucket + 1]
            for start in range(edges[bucket], end, BLOCK):
                members = order[start : min(start + BLOCK, end)]
                few = asked[others[asked] <= MOST]
                # [few, members]
                cosines = np.matmul(queries[few], vectors[members].T, dtype=np.float32)
                one, other, distance = _alike(few, members, cosines, others)
                keys.append(_key(one, other, len(vectors), mirrored))
                distances.append(distance)
    return _settled(np.concatenate(keys), np.concatenate(distances), others)


def reach(others: Rows) -> Floats:
    """Return the share of the usual distance within which copies of an image are looked for.

    It depends on how many others look like the image. The first of them is the copy itself. Beyond
    it every look-alike makes it likelier that an unrelated image is near: for handwritten digits,
    which have some 40, pairs at 0.012 and less are named instead of 0.05, for one in 100 images.
    """
    shares: Floats = np.float32(1) / np.sqrt(1 + 2 * np.maximum(others - 1, 0), dtype=np.float32)
    return shares


def _vectors(greys: Greys) -> Floats:
    """Return low frequencies, the lowest first, [N, 35].

    Some thumbnails are taken at a time, because floats take four times their memory.
    """
    vectors = np.empty((len(greys), LOW * LOW - 1), np.float32)
    for start in range(0, len(greys), QUERIES):
        part = slice(start, start + QUERIES)
        vectors[part] = spectra(greys[part].astype(np.float32), LOW, 0.5)[:, _lowest_first()]
    return vectors


def _lowest_first() -> Rows:
    """Return the places of the frequencies, the lowest first, [35]."""
    return np.argsort(frequencies(LOW), kind="stable")


def _mirror() -> Floats:
    """Return the factors that mirror the vectors' images left to right, [35]."""
    right = np.tile(np.arange(LOW), LOW)[1:]
    return np.where(right % 2, -1, 1).astype(np.float32)[_lowest_first()]


def _bucket(heads: Floats) -> npt.NDArray[np.int16]:
    """Return the number of a bucket per image, whose bits are the signs of [N, bits]."""
    powers = 1 << np.arange(heads.shape[1])
    # NumPy's stable sort takes linear time for 16 bits.
    return ((heads > 0) @ powers).astype(np.int16)


def _probes(heads: Floats) -> Iterator[tuple[Rows, int]]:
    """Yield images, ascending, and the number of a bucket that they are to be compared with."""
    # All ways to change up to `FLIPS` signs, [F, bits].
    bits = heads.shape[1]
    subsets: list[tuple[int, ...]] = []
    for size in range(FLIPS + 1):
        subsets += combinations(range(bits), size)
    flips = np.zeros((len(subsets), bits), np.float32)
    for place, subset in enumerate(subsets):
        flips[place, list(subset)] = 1

    for start in range(0, len(heads), QUERIES):
        part = heads[start : start + QUERIES]
        query, flip = np.nonzero(part**2 @ flips.T <= PROBE)
        buckets = _bucket(part)[query] ^ _bucket(flips)[flip]
        order = np.argsort(buckets, kind="stable")
        starts = np.flatnonzero(np.diff(buckets[order])) + 1
        for lot in np.split(order, starts):
            yield query[lot] + start, int(buckets[lot[0]])


def _alike(asked: Rows, members: Rows, cosines: Floats, others: Rows) -> tuple[Rows, Rows, Floats]:
    """Count into `others` who looks alike in one block, and return pairs that may be copies.

    Args:
        asked: Images, [A].
        members: Images that they are compared with, [M].
        cosines: Of these, [A, M].
        others: By image the number of its look-alikes, which is added to.

    Returns:
        The two images of each pair, and 1 - cosine.
    """
    apart = np.float32(1) - cosines
    others[asked] += np.count_nonzero(apart < ALIKE, axis=1)
    near = apart < APART
    crowded = others[asked] > MOST + 1  # 1 is the image itself
    if crowded.any():
        near[crowded] = False

    # An image is no look-alike of itself.
    hits = np.flatnonzero(near)
    one = asked[hits // len(members)]
    other = members[hits % len(members)]
    itself = one == other
    others[one[itself]] -= 1
    distance = apart.reshape(-1)[hits]
    kept = ~itself & (distance <= APART * reach(others[one]))
    return one[kept], other[kept], distance[kept]


def _key(one: Rows, other: Rows, number: int, mirrored: bool) -> Rows:
    """Return one integer per line of the result, in its order."""
    return (np.minimum(one, other) * number + np.maximum(one, other)) * 2 + mirrored


def _settled(keys: Rows, distances: Floats, others: Rows) -> LookAlikes:
    """Keep what is near enough, now that all look-alikes are counted; each line once."""
    keys, first = np.unique(keys, return_index=True)
    distances = distances[first]
    pairs = np.stack(np.divmod(keys // 2, len(others)), 1)
    most = others[pairs].max(1)
    kept = np.flatnonzero((most <= MOST) & (distances <= APART * reach(most)))
    kept = kept[_among_nearest(pairs[kept], distances[kept])]
    return LookAlikes(pairs[kept], keys[kept] % 2 == 1, most[kept])


def _among_nearest(pairs: Rows, distances: Floats) -> npt.NDArray[np.bool_]:
    """Return whether a pair is among the nearest of one of its images, [P]."""
    images = pairs.T.reshape(-1)
    order = np.lexsort((np.tile(distances, 2), images))
    starts = np.searchsorted(images[order], images[order])
    ranks = np.empty(len(images), np.int64)
    ranks[order] = np.arange(len(images)) - starts
    best: Rows = ranks.reshape(2, -1).min(0)
    return best < NEAREST
