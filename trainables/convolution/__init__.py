"""How convolutions run on a CPU: by oneDNN, as torch has it, or another way where that is slow.

`measure` checks each pass of a network's convolutions against plain torch and times it, `Choices`
says which way it goes, and `install` puts that to work.
"""

from trainables.convolution.layer import (
    NOTHING,
    Choices,
    Chosen,
    Convolution,
    Wrong,
    eligible,
    install,
    kind_of,
    offered,
    shape_key,
)
from trainables.convolution.measuring import Ways, measure
from trainables.convolution.passes import PASSES, WAYS_VERSION, Pass, Way

__all__ = [
    "NOTHING",
    "PASSES",
    "WAYS_VERSION",
    "Choices",
    "Chosen",
    "Convolution",
    "Pass",
    "Way",
    "Ways",
    "Wrong",
    "eligible",
    "install",
    "kind_of",
    "measure",
    "offered",
    "shape_key",
]
