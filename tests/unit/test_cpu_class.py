"""`make test CPU_CLASS=…`, and the line that says what a test run ran under."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.cpu_class import described

ROOT = Path(__file__).parents[2]
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}


@pytest.mark.parametrize(
    ("level", "precision", "said"),
    [
        ("AVX512", "bf16", "AVX512 with bf16 (precision of trials: bf16)"),
        ("AVX512", "fp32", "AVX512 without bf16 (precision of trials: fp32)"),
        ("AVX2", "fp32", "AVX2 (precision of trials: fp32)"),
        ("DEFAULT", "fp32", "DEFAULT (precision of trials: fp32)"),
    ],
)
def test_the_line_names_cpu_instructions_and_precision(
    level: str, precision: str, said: str
) -> None:
    assert described("AMD EPYC", level, precision) == f"Ran under: AMD EPYC, {said}"


def _make(*arguments: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    plain.pop("CPU_CLASS", None)
    command = ["make", "-n", *arguments]
    return subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", ["test", "test-unit", "test-slow"])
def test_a_class_is_set_for_pytest_and_no_other_command(target: str) -> None:
    switch = " ".join(f"{name}={value}" for name, value in AVX2.items())
    lines = _make(target, "CPU_CLASS=avx2", "VENV=x").stdout.splitlines()
    tested = [line for line in lines if "/bin/pytest" in line]
    assert tested
    assert all(line.startswith(f'{switch} "x/bin/pytest"') for line in tested)
    assert not [line for line in lines if line not in tested and "avx2" in line.lower()]
    for native in ((), ("CPU_CLASS=native",)):
        assert "avx2" not in _make(target, *native).stdout.lower()


@pytest.mark.parametrize("value", ["sse2", "", "native avx2"])
def test_another_class_is_refused_with_the_known_ones(value: str) -> None:
    done = _make("test", f"CPU_CLASS={value}")
    assert done.returncode == 2
    assert f"CPU_CLASS must be one of native avx2, but got '{value}'" in done.stderr
    assert done.stdout == ""
