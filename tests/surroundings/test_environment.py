"""Variables that a sweep finds around it are honored, or named in one line."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.surroundings.commands import ROOT, dvt, run, sweep
from tests.surroundings.servers import answering, experiments

# Where nothing listens.
DEAD = dict.fromkeys(
    ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"
) | {"all_proxy": "socks5://127.0.0.1:9", "no_proxy": None, "NO_PROXY": None}


def test_a_proxy_is_never_asked_for_a_server_on_this_machine(place: Path) -> None:
    with answering(200, experiments()) as server:
        ran = run(sweep(place / "small.py", "--dry-run", "--tracking-uri", server), place, **DEAD)
    assert ran.code == 0, ran.said


@pytest.mark.slow
def test_a_sweep_runs_where_the_proxy_is_dead(place: Path, cache: str) -> None:
    ran = run(sweep(place / "small.py"), place, DVT_CACHE_DIR=cache, **DEAD)
    assert ran.code == 0, ran.said


# Ray's variables


@pytest.mark.parametrize(
    ("flags", "variables", "said"),
    [
        ([], {"RAY_AUTH_MODE": "garbage"}, "RAY_AUTH_MODE must be token or disabled"),
        (["--address", "auto"], {"RAY_ADDRESS": "127.0.0.1:9"}, "nothing answers at RAY_ADDRESS"),
    ],
)
def test_what_ray_would_take_otherwise_is_refused_in_one_line(
    flags: list[str], variables: dict[str, str], said: str, place: Path, cache: str
) -> None:
    ran = run(sweep(place / "small.py", *flags), place, DVT_CACHE_DIR=cache, **variables)
    assert ran.code == 2, ran.said
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert not list(place.glob("mlruns/sweeps/*"))


def test_what_variables_keep_from_a_sweep_is_said(place: Path) -> None:
    variables = {"RAY_ADDRESS": "10.0.0.1:6379", "CUDA_VISIBLE_DEVICES": "GPU-8932f937"}
    ran = run(sweep(place / "small.py", "--dry-run"), place, **variables)
    assert ran.code == 0, ran.said
    assert "this sweep starts a Ray of its own: pass --address auto" in ran.out
    assert "No GPU found (CUDA_VISIBLE_DEVICES is 'GPU-8932f937'): training on the CPU." in ran.out


@pytest.mark.slow
def test_a_token_that_nobody_gave_is_not_written_into_the_home(place: Path, cache: str) -> None:
    (place / "home").mkdir()
    variables = {"RAY_AUTH_MODE": "token", "HOME": str(place / "home")}
    ran = run(sweep(place / "small.py"), place, DVT_CACHE_DIR=cache, **variables)
    assert ran.code == 0, ran.said
    assert not (place / "home" / ".ray").exists()


# Locale and umask


@pytest.mark.slow
@pytest.mark.parametrize("umask", ["077", "000"])
def test_a_sweep_runs_without_a_locale_and_with_any_umask(
    umask: str, place: Path, cache: str
) -> None:
    plain = {"LANG": "C", "LC_ALL": None, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = f"umask {umask}; {shlex.join(map(str, sweep(place / 'small.py')))}"
    ran = run(["bash", "-c", command], place, DVT_CACHE_DIR=cache, **plain)
    assert ran.code == 0, ran.said


# The Makefile

PYTHON = """#!/bin/sh
# Stands for Python and for uv.
echo "$0 $*" >> "$LOG"
case "$1" in
  .ci/install.py) exec "$REAL" "$@" ;;
esac
"""


def test_make_takes_an_environment_and_a_python_with_spaces(tmp_path: Path) -> None:
    project = tmp_path / "the project"
    project.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, project)
    shutil.copytree(ROOT / ".ci", project / ".ci")
    venv = tmp_path / "x y" / "v"
    python = tmp_path / "a python" / "python3"
    for program in (python, python.with_name("uv"), venv / "bin" / "python"):
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(PYTHON)
        program.chmod(0o755)

    def make() -> list[str]:
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        path = f"{python.parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["make", f"VENV={venv}", f"PYTHON={python}", "demo"],
            cwd=project,
            env={**os.environ, "PATH": path, "LOG": str(log), "REAL": sys.executable},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert f"'{venv}/bin/dvt' report --open" in done.stdout
        return [line for line in log.read_text().splitlines() if "pip config" not in line]

    asked, installed, swept = make()
    assert asked == f"{python} .ci/install.py --venv {venv}"
    assert installed.startswith(f"{python.parent}/uv pip install --python {venv}/bin/python")
    assert swept == f"{venv}/bin/python sweeps/depth_vs_tricks.py --preset demo"
    # What is installed is not installed again.
    assert make() == [asked, swept]
    assert {path.name for path in tmp_path.iterdir()} == {"the project", "a python", "x y", "log"}
    # Until it is to be another one.
    os.utime(venv / ".depth-vs-tricks-installed", (2, 2))
    assert make() == [asked, installed, swept]


# A user of whom the system knows nothing


NOBODY = ("unshare", "-U", "--map-user=1234", "--map-group=1234")
HOMELESS = dict.fromkeys(("HOME", "USER", "LOGNAME", "LNAME", "USERNAME"))


def test_a_user_without_name_and_home_runs_a_sweep_and_asks_for_its_results(place: Path) -> None:
    ran = run(sweep(place / "small.py", "--name", "x"), place, under=NOBODY, **HOMELESS)
    assert ran.code == 0, ran.said
    assert "done" in run(dvt("list"), place, under=NOBODY, **HOMELESS).out
    ran = run(dvt("doctor", "--preset", "demo"), place, under=NOBODY, **HOMELESS)
    assert ran.code == 0, ran.said


@pytest.mark.slow
def test_a_user_whose_home_is_the_root_folder_runs_a_sweep(place: Path) -> None:
    ran = run(sweep(place / "small.py"), place, under=NOBODY, **{**HOMELESS, "HOME": "/"})
    assert ran.code == 0, ran.said
