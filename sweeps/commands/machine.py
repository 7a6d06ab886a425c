"""What a machine has for sweeps: Python and packages, CPUs and memory, GPUs as torch and as the driver see them."""

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
LITTLE_MEMORY = 4 * 10**9


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw, and what to do where that is bad; a message that says so itself needs no mend."""

    state: Literal["ok", "warning", "failed"]
    found: str
    mend: str = ""


def python() -> Iterator[Finding]:
    """Of the release that the package asks for."""
    wanted, found = metadata(PACKAGE)["Requires-Python"], platform.python_version()
    low = _numbers(wanted.rpartition(">=")[2])
    yield either(
        _numbers(found) >= low, f"{found}, {platform.platform()}", f"install Python {wanted}."
    )


def packages() -> Iterator[Finding]:
    """Not older than what the package asks for."""
    seen, wrong = [], []
    for line in requires(PACKAGE) or ():
        match = re.match(r"([\w.-]+)[^;>]*>=\s*([\d.]+)(?!.*extra\s*==)", line)
        if not match:
            continue
        name, low = match.groups()
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "missing"
        seen.append(f"{name} {found}")
        if found == "missing" or _numbers(found) < _numbers(low):
            wrong.append(line.replace(" ", ""))
    yield either(not wrong, ", ".join(seen), f"pip install -U {' '.join(map(repr, wrong))}")


def code() -> Iterator[Finding]:
    """Which state of this project runs."""
    state = f"commit {found}" if (found := commit()) else "no git commit"
    yield Finding("ok", f"{PACKAGE} {version(PACKAGE)} in {ROOT}, {state}")


def gpus() -> Iterator[Finding]:
    """Whether torch can use all GPUs that the driver has."""
    with warnings.catch_warnings(record=True) as said:  # torch warns of a driver that does not fit
        warnings.simplefilter("always")
        import torch

        from trainables.device import count_gpus

        seen = count_gpus()
    driver, visible = _driver(), os.environ.get("CUDA_VISIBLE_DEVICES")
    names = ", ".join(torch.cuda.get_device_name(number) for number in range(seen))
    complaint = next(
        (" ".join(str(w.message).split())[:200] for w in said if "CUDA" in str(w.message)), ""
    )
    if seen < len(driver) and visible is None:
        mend = "update the driver, or install a torch for the CUDA that it supports; in a container pass --gpus all."
        if not (built := torch.version.cuda or torch.version.hip):
            mend = "install a torch that is built for CUDA: https://pytorch.org/get-started"
        reason = (
            complaint
            or f"torch {torch.__version__} is built for {f'CUDA {built}' if built else 'the CPU alone'}"
        )
        yield Finding(
            "failed", f"torch sees {seen} of {len(driver)}: {', '.join(driver)} ({reason})", mend
        )
    elif seen == 0:
        hidden = f" of {len(driver)}, since CUDA_VISIBLE_DEVICES is {visible!r}" if driver else ""
        yield Finding("ok", f"none{hidden}: trials train on the CPU")
    for number in range(seen):
        torch.ones(
            8, device=f"cuda:{number}"
        ).sum().item()  # raises where the driver or the kernels do not fit
    if seen:
        yield Finding(
            "ok", f"{seen}: {names}, CUDA {torch.version.cuda}, torch {torch.__version__}"
        )


def precision() -> Iterator[Finding]:
    """In what trials compute."""
    import torch

    from trainables.compute import best_precision
    from trainables.device import count_gpus

    device = torch.device("cuda" if count_gpus() else "cpu")
    yield Finding(
        "ok",
        f"{best_precision(device)} on {device.type}; the CPU has {torch.backends.cpu.get_cpu_capability()}",
    )


def cpu() -> Iterator[Finding]:
    """CPUs, memory and, where it is small, shared memory; a container's limits count."""
    limit, total = _memory()
    found = (
        f"{available_cpus()} of {os.cpu_count()} CPUs, {decimal(limit)} of {decimal(total)} memory"
    )
    mend = "end other programs, or raise the container's limit: a small sweep holds 3.7 GB."
    yield Finding("warning", found, mend) if limit < LITTLE_MEMORY else Finding("ok", found)
    with suppress(OSError, AttributeError):
        shared = os.statvfs("/dev/shm")
        if (size := shared.f_frsize * shared.f_blocks) < 2 * OBJECT_STORE_BYTES:
            mend = "give the container more, as in docker run --shm-size=1g."
            yield Finding(
                "warning",
                f"/dev/shm has {decimal(size)}: Ray's object store goes to the disk",
                mend,
            )


def either(good: bool, found: str, mend: str) -> Finding:
    """A check with two ends."""
    return Finding("ok", found) if good else Finding("failed", found, mend)


def _driver() -> list[str]:
    """Names of the GPUs that NVIDIA's driver has, whatever torch sees."""
    if program := shutil.which("nvidia-smi"):
        return re.findall(r"^GPU \d+: (.*?) \(", _output([program, "-L"]), re.MULTILINE)
    files = Path("/proc/driver/nvidia/gpus").glob("*/information")
    return [re.findall(r"Model:\s*(.*)", file.read_text())[0] for file in files]


def _output(words: Sequence[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise OSError(f"{Path(words[0]).name} says: {(done.stderr or done.stdout).strip()}")
    return done.stdout.strip()


def _memory() -> tuple[int, int]:
    """Bytes that this process may have, by its control groups too, and bytes of the machine."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits, group = [total], Path("/sys/fs/cgroup")
    with suppress(OSError, IndexError):
        group /= Path("/proc/self/cgroup").read_text().splitlines()[-1].rpartition("::/")[2]
    for folder in (group, *group.parents):
        with suppress(OSError, ValueError):
            limits.append(int((folder / "memory.max").read_text()))
    return min(limits), total


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", re.split(r"[^\d.]", text.strip())[0])))
