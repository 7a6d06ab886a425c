"""The line that says what a test run ran under, in a run that is told to compute as on AVX2."""

import os
import platform
import subprocess
import sys

import pytest

from tests.integration.conftest import ROOT
from tests.unit.test_cpu_class import AVX2


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86 has these classes")
def test_a_quiet_run_ends_with_what_torch_computed_with() -> None:
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [sys.executable, *command, "tests/unit/trainables/test_randomness.py"],
        cwd=ROOT,
        env={**os.environ, **AVX2},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("Ran under: "))
    assert line.endswith(", AVX2 (precision of trials: fp32)")
