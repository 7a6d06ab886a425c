"""A headless Chromium that has no network but the loopback, and what it finds on a page."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
from html import unescape
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium"
)
AXE = "4.14.1"
needs_axe = pytest.mark.skipif(
    CHROMIUM is None or shutil.which("npm") is None,
    reason="Chromium and npm are needed, which brings axe-core",
)

# Around a page as it is on a phone: tells how wide it is, and what is wider than its own box.
PHONE = """<!DOCTYPE html><meta charset="utf-8">
<iframe id="page" width="{width}" height="800" src="{page}"></iframe><script>
document.getElementById("page").addEventListener("load", (event) => {{
  const inner = event.target.contentDocument;
  inner.querySelectorAll("details").forEach((part) => part.open = true);
  const charts = [...inner.querySelectorAll(".chart")];
  const told = {{
    width: inner.documentElement.scrollWidth,
    charts: charts.length,
    flat: charts.filter((chart) => !chart.querySelector("svg").clientWidth).length,
    overflow: charts.filter((chart) => chart.scrollWidth > chart.clientWidth + 12).length,
  }};
  document.body.dataset.told = JSON.stringify(told);
}});
</script>"""

# At the end of a page: what axe-core finds in it.
ASKED = """
document.querySelectorAll("details").forEach((part) => part.open = true);
axe.run(document, {resultTypes: ["violations"]}).then((found) => {
  const told = found.violations.map(({id, impact, help, nodes}) =>
    ({id, impact, help, where: nodes.slice(0, 3).map((node) => node.html.slice(0, 200))}));
  document.body.dataset.told = JSON.stringify({passed: found.passes.length, violations: told});
});
"""


def browse(page: Path | str, profile: Path, *flags: str) -> tuple[str, str]:
    """Return the DOM after the page's scripts have run, and what went to the console.

    Args:
        page: A file, or an address on the loopback.
        profile: The browser's folder.
        flags: More of the browser's, which win over these.
    """
    assert CHROMIUM
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--enable-logging=stderr",
        "--virtual-time-budget=60000",
        *flags,
        "--dump-dom",
        page if isinstance(page, str) else page.as_uri(),
    ]
    done = subprocess.run(
        command, env=os.environ, capture_output=True, text=True, timeout=110, check=True
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if ":CONSOLE" in line)


def on_a_phone(page: Path, folder: Path, width: int = 390) -> dict[str, int]:
    """Return how wide a page is in a window of `width` pixels, with all that is folded unfolded."""
    still = folder / "still.html"
    still.write_text(_still(page))
    frame = folder / "phone.html"
    frame.write_text(PHONE.format(page=still.as_uri(), width=width))
    dom, _ = browse(frame, folder / "phone", "--allow-file-access-from-files")
    told: dict[str, int] = _told(dom)
    return told


def axe(page: Path, script: Path, folder: Path, *flags: str) -> dict[str, Any]:
    """Return how many rules of axe-core a page passes, and which it violates.

    Args:
        page: It is copied: its own policy would let nothing look at it.
        script: What `axe_script` returns.
        folder: Of the copy, and the browser's profile.
        flags: More of the browser's.
    """
    html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", _still(page))
    asked = f"<script>{script.read_text()}</script><script>{ASKED}</script></body>"
    copy = folder / "asked.html"
    copy.write_text(html.replace("</body>", asked))
    dom, _ = browse(copy, folder / "axe", *flags)
    told: dict[str, Any] = _told(dom)
    return told


def axe_script(folder: Path) -> Path:
    """Return axe-core's script, which npm brings into a folder once."""
    script = folder / f"axe-{AXE}.js"
    if script.is_file():
        return script
    command = ["npm", "pack", "--silent", f"axe-core@{AXE}", "--pack-destination", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    with tarfile.open(folder / f"axe-core-{AXE}.tgz") as packed:
        member = packed.extractfile("package/axe.min.js")
        assert member
        script.write_bytes(member.read())
    return script


def _still(page: Path) -> str:
    """Return a page that is never loaded again: where time is virtual, that would have no end."""
    return page.read_text().replace("location.reload()", "0")


def _told(dom: str) -> Any:
    said = re.search(r'data-told="([^"]*)"', dom)
    assert said, "the page has told nothing in time"
    return json.loads(unescape(said[1]))
