"""Checks of what a machine has for sweeps: Python and packages, GPUs and precision."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from sweeps.checks.finding import Finding, Subject, either
from sweeps.records.manifest import ROOT, commit

PACKAGE = "depth-vs-tricks"


def python(_: Subject) -> Iterator[Finding]:
    """Check that Python is of a release that the package asks for."""
    wanted = metadata(PACKAGE)["Requires-Python"]
    release = platform.python_version()
    good = _numbers(release) >= _numbers(wanted.rpartition(">=")[2])
    yield either(good, f"{release}, {platform.platform()}", f"install Python {wanted}.")


def packages(_: Subject) -> Iterator[Finding]:
    """Check that no package is older than what this one asks for; extras do not count."""
    seen = []
    wrong = []
    for line in requires(PACKAGE) or ():
        match = re.match(r"([\w.-]+)[^;>]*>=\s*([\d.]+)(?!.*extra\s*==)", line)
        if not match:
            continue
        name, low = match.groups()
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "missing"
        seen.append(f"{name} {installed}")
        if installed == "missing" or _numbers(installed) < _numbers(low):
            wrong.append(line.replace(" ", ""))
    yield either(not wrong, ", ".join(seen), f"pip install -U {' '.join(map(repr, wrong))}")


def code(_: Subject) -> Iterator[Finding]:
    """Say which state of this project runs."""
    known = commit()
    state = f"commit {known}" if known else "no git commit"
    yield Finding("ok", f"{PACKAGE} {version(PACKAGE)} in {ROOT}, {state}")


def gpus(_: Subject) -> Iterator[Finding]:
    """Check that torch can use all GPUs that the driver has."""
    # Torch warns of a driver that does not fit.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import torch

        from trainables.device import count_gpus

        seen = count_gpus()

    # GPUs that the driver has, but torch does not see.
    driver = _driver()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if seen < len(driver) and visible is None:
        yield _unseen(seen, driver, [str(warning.message) for warning in caught])
    elif seen == 0:
        hidden = ""
        if driver:
            hidden = f" of {len(driver)}, since CUDA_VISIBLE_DEVICES is {visible!r}"
        yield Finding("ok", f"none{hidden}: trials train on the CPU")

    # Each one computes; this raises where the driver or the kernels do not fit.
    for number in range(seen):
        torch.ones(8, device=f"cuda:{number}").sum().item()
    if seen:
        names = ", ".join(torch.cuda.get_device_name(number) for number in range(seen))
        found = f"{seen}: {names}, CUDA {torch.version.cuda}, torch {torch.__version__}"
        yield Finding("ok", found)


def why_none() -> str:
    """Return why torch sees no GPU, as far as that is known without asking the driver."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return f" (CUDA_VISIBLE_DEVICES is {visible!r})"
    if Path("/proc/driver/nvidia/gpus").is_dir() or shutil.which("nvidia-smi"):
        return ", but there is NVIDIA's driver (dvt doctor says why)"
    return ""


def precision(_: Subject) -> Iterator[Finding]:
    """Say in what precision trials compute."""
    import torch

    from trainables.compute import best_precision
    from trainables.device import count_gpus

    device = torch.device("cuda" if count_gpus() else "cpu")
    capability = torch.backends.cpu.get_cpu_capability()
    yield Finding("ok", f"{best_precision(device)} on {device.type}; the CPU has {capability}")


def _unseen(seen: int, driver: Sequence[str], warned: Sequence[str]) -> Finding:
    """Return why torch sees fewer GPUs than the driver has, and what to do.

    Args:
        seen: GPUs that torch sees.
        driver: Names of those that the driver has.
        warned: What torch warned of when it looked for them.
    """
    import torch

    mend = (
        "update the driver, or install a torch for the CUDA that it supports; "
        "in a container pass --gpus all."
    )
    built = torch.version.cuda or torch.version.hip
    target = f"CUDA {built}"
    if not built:
        mend = "install a torch that is built for CUDA: https://pytorch.org/get-started"
        target = "the CPU alone"
    reason = f"torch {torch.__version__} is built for {target}"
    for warning in warned:
        if "CUDA" in warning:
            reason = " ".join(warning.split())[:200]
            break
    found = f"torch sees {seen} of {len(driver)}: {', '.join(driver)} ({reason})"
    return Finding("failed", found, mend)


def _driver() -> list[str]:
    """Return the names of the GPUs that NVIDIA's driver has, whatever torch sees."""
    program = shutil.which("nvidia-smi")
    if program:
        return re.findall(r"^GPU \d+: (.*?) \(", _output([program, "-L"]), re.MULTILINE)
    files = Path("/proc/driver/nvidia/gpus").glob("*/information")
    return [re.findall(r"Model:\s*(.*)", file.read_text())[0] for file in files]


def _output(words: Sequence[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise OSError(f"{Path(words[0]).name} says: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def _numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a release, without what is behind them, such as `rc1`."""
    release = re.split(r"[^\d.]", text.strip())[0]
    return tuple(map(int, re.findall(r"\d+", release)))
