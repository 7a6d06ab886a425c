"""Checks of what a machine has for sweeps: Python and packages, CPUs and memory, GPUs."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Literal

from rich.filesize import decimal

from cluster.session import OBJECT_STORE_BYTES
from sweeps.records.manifest import ROOT, commit
from trainables.cpus import available_cpus

PACKAGE = "depth-vs-tricks"
LITTLE_MEMORY = 4 * 10**9  # bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding of a check, and what to do where it is bad.

    A message that says so itself needs no mend.
    """

    state: Literal["ok", "warning", "failed"]
    found: str
    mend: str = ""


def python() -> Iterator[Finding]:
    """Check that Python is of a release that the package asks for."""
    wanted = metadata(PACKAGE)["Requires-Python"]
    release = platform.python_version()
    good = _numbers(release) >= _numbers(wanted.rpartition(">=")[2])
    yield either(good, f"{release}, {platform.platform()}", f"install Python {wanted}.")


def packages() -> Iterator[Finding]:
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


def code() -> Iterator[Finding]:
    """Say which state of this project runs."""
    known = commit()
    state = f"commit {known}" if known else "no git commit"
    yield Finding("ok", f"{PACKAGE} {version(PACKAGE)} in {ROOT}, {state}")


def gpus() -> Iterator[Finding]:
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


def precision() -> Iterator[Finding]:
    """Say in what precision trials compute."""
    import torch

    from trainables.compute import best_precision
    from trainables.device import count_gpus

    device = torch.device("cuda" if count_gpus() else "cpu")
    capability = torch.backends.cpu.get_cpu_capability()
    yield Finding("ok", f"{best_precision(device)} on {device.type}; the CPU has {capability}")


def cpu() -> Iterator[Finding]:
    """Check CPUs, memory and, where it is small, shared memory; a container's limits count."""
    limit, total = _memory()
    cpus = f"{available_cpus()} of {os.cpu_count()} CPUs"
    found = f"{cpus}, {decimal(limit)} of {decimal(total)} memory"
    if limit < LITTLE_MEMORY:
        mend = "end other programs, or raise the container's limit: a small sweep holds 3.7 GB."
        yield Finding("warning", found, mend)
    else:
        yield Finding("ok", found)

    # Where Ray's object store would not fit. Not every system has the folder, or `statvfs`.
    with suppress(OSError, AttributeError):
        shared = os.statvfs("/dev/shm")
        size = shared.f_frsize * shared.f_blocks
        if size < 2 * OBJECT_STORE_BYTES:
            found = f"/dev/shm has {decimal(size)}: Ray's object store goes to the disk"
            mend = "give the container more, as in docker run --shm-size=1g."
            yield Finding("warning", found, mend)


def either(good: bool, found: str, mend: str) -> Finding:
    """Return the finding of a check that is good or bad."""
    if good:
        return Finding("ok", found)
    return Finding("failed", found, mend)


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


def _memory() -> tuple[int, int]:
    """Return the bytes that this process may have, by its control groups too, and the machine's."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    # The group of this process, and those around it, each with a limit of its own.
    limits = [total]
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, IndexError):
        group /= Path("/proc/self/cgroup").read_text().splitlines()[-1].rpartition("::/")[2]
    for folder in (group, *group.parents):
        with suppress(OSError, ValueError):
            limits.append(int((folder / "memory.max").read_text()))
    return min(limits), total


def _numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a release, without what is behind them, such as `rc1`."""
    release = re.split(r"[^\d.]", text.strip())[0]
    return tuple(map(int, re.findall(r"\d+", release)))
