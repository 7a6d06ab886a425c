"""Rows of an array where a device can index them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

RESIDENT_SHARE = 0.3  # of a GPU's free memory that one array may take


class Rows:
    """An array's rows as tensors; on a GPU the array is copied there whole where it fits.

    Args:
        array: Of any dtype that torch has, `[N, …]`; it may be read-only and mapped from a file.
        device: Where batches of rows are wanted.
    """

    def __init__(self, array: np.ndarray[Any, Any], device: torch.device) -> None:
        self._array = array
        self._device = device
        # The whole array on a GPU, where there is room.
        self._resident: Tensor | None = None
        if device.type == "cuda":
            room = RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]
            if array.nbytes < room:
                self._resident = torch.from_numpy(np.array(array)).to(device)

    def take(self, samples: Tensor) -> Tensor:
        """Return the rows of these samples (int64 `[B]`, on the CPU), `[B, …]` on the device."""
        if self._resident is not None:
            return self._resident[samples.to(self._device, non_blocking=True)]
        return torch.from_numpy(np.take(self._array, samples.numpy(), axis=0)).to(self._device)
