"""How convolutions run on a CPU: by torch, or as matrix products where torch's own are slow.

`measure` checks each pass of a network's convolutions against plain torch and times it, `Choices`
says which way it goes, and `install` puts that to work.
"""

from trainables.convolution.layer import (
    NOTHING,
    Choices,
    Convolution,
    by_products,
    eligible,
    install,
    shape_key,
)
from trainables.convolution.measuring import Ways, measure
from trainables.convolution.passes import PASSES, Pass

__all__ = [
    "NOTHING",
    "PASSES",
    "Choices",
    "Convolution",
    "Pass",
    "Ways",
    "by_products",
    "eligible",
    "install",
    "measure",
    "shape_key",
]
