"""Take the pictures of docs/ from a sweep that was really run, with a headless Chromium.

    python benchmarks/pictures.py FOLDER [NAME ...]     # FOLDER is mlruns/sweeps/<a sweep>

Without names, all of `PICTURES` are taken.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
COLORS = 128
WAIT_MS = 10_000
"""Milliseconds of a page's own clock, for its figures."""


def screenshot(url: str, width: int, height: int, picture: Path) -> None:
    """Write what Chromium shows of a page at first, in few colors: a README is not to load long."""
    if CHROMIUM is None:
        raise SystemExit("Chromium must be installed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as profile:
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
        quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
        subprocess.run(
            [
                CHROMIUM,
                *flags,
                *quiet,
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                f"--virtual-time-budget={WAIT_MS}",
                f"--screenshot={picture}",
                url,
            ],
            check=True,
            stderr=subprocess.DEVNULL,
        )
    with Image.open(picture) as image:
        few = image.convert("RGB").quantize(COLORS)
    few.save(picture, optimize=True)


def report(folder: Path, picture: Path) -> None:
    """Take the first screen of a sweep's report."""
    screenshot((folder / "report.html").resolve().as_uri(), 1400, 1050, picture)


PICTURES: dict[str, Callable[[Path, Path], None]] = {"report": report}
"""By name in docs/: what takes it, from a sweep's folder."""


def main() -> None:
    """Take the pictures."""
    folder = Path(sys.argv[1])
    for name in sys.argv[2:] or PICTURES:
        picture = ROOT / "docs" / f"{name}.png"
        PICTURES[name](folder, picture)
        print(picture)


if __name__ == "__main__":
    main()
