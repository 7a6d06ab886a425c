"""Make the environment that `make` works in: this project and the pinned versions, by uv.

uv takes half a minute for what takes pip five. It comes from PATH, or pip puts it into the
environment. Where uv cannot install, pip does, and that is said.

    python .ci/install.py --venv .venv [--cpu]
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "constraints.txt"
PROJECT = ("-c", str(PINS), "-e", f"{ROOT}[dev]")
STAMP = ".depth-vs-tricks-installed"
"""A file in the environment that is as new as what was installed."""

SETTINGS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}
"""By setting of pip, where packages come from, in uv's variables: uv does not read pip's."""

MOVES_EVERY_S = 4.0
BEGAN = time.monotonic()


class InstallError(Exception):
    """A line for the person who installs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Install unless all is installed; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, required=True, help="the environment")
    parser.add_argument("--cpu", action="store_true", help="torch without CUDA: 3 GB less")
    asked = parser.parse_args(arguments)
    venv = asked.venv.absolute()
    try:
        refuse_another_clones(venv)
        if is_current(venv):
            return 0
        install(venv, cpu=asked.cpu)
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    (venv / STAMP).touch()
    say(f"Installed in {asked.venv}.")
    return 0


def is_current(venv: Path) -> bool:
    """Return whether what is installed is as new as what says what to install."""
    stamp = venv / STAMP
    if not stamp.is_file():
        return False
    installed = stamp.stat().st_mtime
    return all(path.stat().st_mtime < installed for path in (ROOT / "pyproject.toml", PINS))


def refuse_another_clones(venv: Path) -> None:
    """Refuse an environment whose commands run another clone: they would run this one's code."""
    for record in venv.glob("lib/python*/site-packages/depth_vs_tricks-*.dist-info"):
        url = json.loads((record / "direct_url.json").read_text())["url"]
        clone = Path(unquote(urlsplit(url).path))
        if clone.is_dir() and not clone.samefile(ROOT):
            raise InstallError(
                f"VENV must be an environment of this clone, but the commands in {venv} run "
                f"{clone}: pass another VENV, or none."
            )


def install(venv: Path, *, cpu: bool) -> None:
    """Install the project, in editable form, with all that `make` needs."""
    python = venv / "bin" / "python"
    if not python.exists():
        say(f"Python {sys.version.split()[0]}: making {venv.name}")
        if not run([sys.executable, "-m", "venv", str(venv)]):
            raise InstallError(f"{venv} could not be made: what Python says is above.")
    uv = found_uv(venv)
    backend = ["--torch-backend", "cpu"] if cpu else []
    if uv:
        say(f"Installing with uv{', torch without CUDA' if cpu else ''}")
        words = [uv, "pip", "install", "--python", str(python), *backend, *PROJECT]
        if run(words, live=True, **from_pip(python)):
            return
    if cpu:
        raise InstallError(
            "CPU=1 needs uv, which could not install PyTorch without CUDA: leave CPU=1 out."
        )
    say("uv cannot install here, so pip does: some minutes")
    if not run([str(python), "-m", "pip", "install", "-q", *PROJECT]):
        raise InstallError("pip could not install: what it says is above.")


def found_uv(venv: Path) -> str | None:
    """Return uv from PATH or the environment, into which it is installed; None without it."""
    own = venv / "bin" / "uv"
    uv = shutil.which("uv") or shutil.which(own)
    if uv:
        return uv
    say("Getting uv")
    python = str(venv / "bin" / "python")
    run([python, "-m", "pip", "install", "-q", "-c", str(PINS), "uv"])
    return shutil.which(own)


def from_pip(python: Path) -> dict[str, str]:
    """Return pip's settings of where packages come from, in uv's variables."""
    done = subprocess.run(
        [str(python), "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    # The environment's are last, and count more than those of files.
    settings = {}
    for line in sorted(done.stdout.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = " ".join(str(ast.literal_eval(value)).split())
    variables = {SETTINGS[name]: value for name, value in settings.items() if name in SETTINGS}
    if "UV_FIND_LINKS" in variables:
        variables["UV_FIND_LINKS"] = variables["UV_FIND_LINKS"].replace(" ", ",")
    # pip takes the best version of all places; uv, of the first that has the package.
    if variables.keys() & {"UV_INDEX", "UV_FIND_LINKS"}:
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in variables.items() if name not in os.environ}


def run(words: Sequence[str], *, live: bool = False, **variables: str) -> bool:
    """Run a command, show that it runs, and what it said if it fails; return whether it did well.

    Args:
        words: The command.
        live: Whether it shows on a terminal itself how far it is.
        variables: More of the environment.
    """
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables}
    if live and sys.stderr.isatty():
        return subprocess.run(words, env=environment, check=False).returncode == 0
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(words, env=environment, stdout=said, stderr=said)
        dots = False
        while True:
            try:
                process.wait(MOVES_EVERY_S)
                break
            except subprocess.TimeoutExpired:
                print(".", end="", flush=True)
                dots = True
        if dots:
            print()
        said.seek(0)
        if process.returncode:
            print(said.read().decode(errors="replace").strip(), file=sys.stderr)
    return process.returncode == 0


def say(line: str) -> None:
    """Show a step, after how many seconds it began."""
    print(f"[{time.monotonic() - BEGAN:3.0f} s] {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
