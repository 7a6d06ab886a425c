"""Which test split it is: two models can be compared where they were tested on the same images."""

from __future__ import annotations

import hashlib
import json

from trainables.data.dataset import Dataset

# Images that are hashed at a time: the split may be larger than memory.
_CHUNK = 256


def digest_of_test(data: Dataset) -> str:
    """Return 16 hex digits of the SHA-256 of the test split: class names, labels, and images.

    They are those of the cache, in their order. So two sweeps have the same digest where they
    tested on the same images, whatever they trained on; of images as stored: other sizes of the
    stored squares, as another preset's, give another digest.

    Args:
        data: Opened with its test split.

    Raises:
        TestSplitShutError: It is not opened.
        OSError: The entry is gone.
    """
    test = data.split("test")
    digest = hashlib.sha256(json.dumps(data.classes).encode())
    # Without the shape, the same bytes could be other images.
    digest.update(f"{test.images.shape}".encode())
    digest.update(test.labels.tobytes())
    for start in range(0, len(test.images), _CHUNK):
        digest.update(test.images[start : start + _CHUNK].tobytes())
    return digest.hexdigest()[:16]
