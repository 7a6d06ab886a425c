"""What the start of a sweep refuses, `dvt doctor` says in the same words."""

from __future__ import annotations

import json
import re
import shlex
import stat
from pathlib import Path

import pytest

from tests.surroundings.commands import dvt, run, sweep

# What is done before, the flags of both commands, variables, and the check that fails.
FAULTS = {
    "cache": ("", [], {"DVT_CACHE_DIR": "/proc/nowhere"}, "cache"),
    "sockets": ("", [], {"RAY_TMPDIR": "/tmp/" + "x" * 60}, "temporary"),
    "files": ("ulimit -n 100", [], {}, "limits"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_doctor_and_a_start_find_the_same(fault: str, place: Path) -> None:
    before, flags, variables, name = FAULTS[fault]
    said = []
    for words in (dvt("doctor", "--preset", "demo", *flags), sweep(place / "small.py", *flags)):
        line = f"{before or ':'}; {shlex.join(map(str, words))}"
        said.append(run(["bash", "-c", line], place, **variables))
    doctor, start = said
    assert doctor.code == 1, doctor.said
    assert start.code == 2, start.said
    # A line of the doctor has the finding, the next one its mend.
    lines = doctor.out.splitlines()
    (number,) = (at for at, line in enumerate(lines) if line.startswith(f"failed   {name}"))
    found = lines[number].split(maxsplit=2)[2]
    mend = lines[number + 1].partition("-> ")[2]
    assert start.err == f"error: {found}: {mend}\n"


def test_all_that_is_wrong_is_said_at_once(place: Path) -> None:
    variables = {"RAY_AUTH_MODE": "on", "RAY_TMPDIR": "relative", "DVT_CACHE_DIR": "/proc/nowhere"}
    ran = run(sweep(place / "small.py", "--gpus", "9"), place, **variables)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == len(variables) + 1
    assert not (place / "mlruns" / "sweeps").exists()


def test_gpus_that_a_variable_hides_are_counted_by_the_doctor(place: Path) -> None:
    program = place / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-0)'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path = f"{program.parent}:/usr/bin:/bin"
    ran = run(dvt("doctor", "--preset", "demo"), place, PATH=path, CUDA_VISIBLE_DEVICES="GPU-1")
    assert ran.code == 0, ran.said
    assert "none of 1, since CUDA_VISIBLE_DEVICES is 'GPU-1': trials train on the CPU" in ran.out


def test_what_the_doctor_finds_once_takes_it_no_time_again(place: Path) -> None:
    first = run(dvt("doctor", "--preset", "demo"), place)
    again = run(dvt("doctor", "--preset", "demo"), place)
    assert first.code == 0, first.said
    assert "convolutions torch's are right" in first.out
    free = re.compile(r"[\d.]+ [GT]B free")  # other processes write, too
    assert free.sub("", again.out) == free.sub("", first.out)
    known = json.loads((place / "mlruns" / "cache" / "convolutions.json").read_text())
    assert len(known) == 1
