"""This machine's matrix product: what `roof.py` measures everything else against."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from timeit import timeit

import torch
from torch import Tensor

# Rows, inner side, columns. Which is fastest depends on the machine's caches: all are tried.
SHAPES = (
    (1024, 1024, 1024),
    (1536, 1536, 1536),
    (2048, 2048, 2048),
    (2048, 1024, 2048),
    (4096, 1024, 1024),
    (2304, 512, 2304),
)
KEPT = 3
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Gemm:
    """The fastest of several large products in a precision, to be timed again and again.

    Args:
        precision: `fp32` or `bf16`: of both factors and the result.
        rounds: Timings of each shape at the start, all shapes in turn. The fastest counts: what
            disturbs one only makes it slower. The three best shapes stay.
    """

    def __init__(self, precision: str, rounds: int = 5) -> None:
        dtype = DTYPES[precision]
        products: list[Product] = []
        for rows, inner, columns in SHAPES:
            left = torch.randn(rows, inner).to(dtype)
            right = torch.randn(inner, columns).to(dtype)
            out = torch.empty(rows, columns, dtype=dtype)
            # In memory as it is, or transposed, as a linear layer's weight.
            for layout, matrix in (("", right), ("^T", right.t().contiguous().t())):
                name = f"{rows}x{inner} by {inner}x{columns}{layout}"
                products.append(Product(name, 2 * rows * inner * columns / 1e9, left, matrix, out))
        seconds: dict[str, float] = {}
        for _ in range(1 + rounds):  # the first one warms up
            for product in products:
                now = timeit(product.run, number=1)
                seconds[product.name] = min(now, seconds.get(product.name, now))
        products.sort(key=lambda product: seconds[product.name] / product.gflop)
        self._best = [(product, seconds[product.name]) for product in products[:KEPT]]
        self._rates: list[float] = []
        self.shape = products[0].name

    def rate(self, seconds: float) -> float:
        """Return GFLOP/s as they are now, of the best shape now, measured for about so long."""
        rates: list[float] = []
        for product, fastest in self._best:
            repeats = math.ceil(seconds / len(self._best) / fastest)
            rates.append(product.gflop * repeats / timeit(product.run, number=repeats))
        self._rates.append(max(rates))
        return max(rates)

    def typical(self) -> float:
        """Return the median GFLOP/s of all calls of `rate`."""
        return statistics.median(self._rates)


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix product with its factors."""

    name: str
    gflop: float
    left: Tensor
    right: Tensor
    out: Tensor

    def run(self) -> None:
        """Multiply."""
        torch.mm(self.left, self.right, out=self.out)
