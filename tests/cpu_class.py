"""The class of CPU that tests run under, as torch says it computes.

`make test CPU_CLASS=avx2` sets what torch, oneDNN and MKL read, for all processes of the tests.
"""

from __future__ import annotations


def ran_under() -> str:
    """Return a line on the CPU and the precision that trials have on it."""
    import torch  # takes seconds, and most workers of pytest-xdist say nothing

    from trainables.compute import best_precision

    name = torch.cpu.get_capabilities().get("cpu_name") or "a CPU"
    level = torch.backends.cpu.get_cpu_capability()
    return described(str(name), level, best_precision(torch.device("cpu")))


def described(name: str, level: str, precision: str) -> str:
    """Return the line, from the CPU's name, torch's level of instructions and the precision."""
    if precision == "bf16":
        level += " with bf16"
    elif level.startswith("AVX512"):
        level += " without bf16"
    return f"Ran under: {name}, {level} (precision of trials: {precision})"
