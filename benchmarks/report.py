"""How big is report.html, how long is it built, and how soon can it be read?

    python benchmarks/report.py [--json] [--trials 34] [--seeds 10]

A synthetic sweep of the flagship's six arms: 34 trials each, finalists and an ablation over 10
seeds, 10,000 test images. Its pictures are noise of the largest size that the page shows, which no
PNG makes smaller. `build_s` is from the sweep's records to both tables and report.html, with all
libraries imported; `first_paint_s` is the first contentful paint, from the navigation on, in a
fresh headless Chromium at 1,200 x 800 that gets the page from this process; medians of three.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from benchmarks.synthetic_sweep import make
from sweeps.report.mistakes import SIDE
from sweeps.report.page import write
from trainables.data.dataset import Caps, prepare, read

ROUNDS = 3
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IMAGES = 10_000
DOUBTED = 40
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
PAINTED_WITHIN_S = 60.0

# Around the report, whose own policy lets it tell nobody anything.
FRAME = b"""<!DOCTYPE html><style>* { margin: 0; border: 0; width: 100%; height: 100vh }</style>
<iframe src="/report.html"></iframe>
<script>
const asked = setInterval(() => {
  const [paint] = frames[0].performance.getEntriesByName("first-contentful-paint");
  if (!paint) return;
  clearInterval(asked);
  fetch("/painted", { method: "POST", body: paint.startTime });
}, 20);
</script>"""


def synthetic(storage: Path, trials: int, seeds: int) -> Path:
    """The sweep's folder; its decoded test images lie in the storage too."""
    rng, labels = np.random.default_rng(0), np.arange(IMAGES) % len(CLASSES)
    pixels = rng.integers(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=np.uint8)
    others = rng.integers(0, 256, (60, SIDE, SIDE, 3), dtype=np.uint8)
    few = {
        "x_train": others[:30],
        "y_train": labels[:30],
        "x_val": others[30:],
        "y_val": labels[:30],
    }
    np.savez(storage / "noise.npz", x_test=pixels, y_test=labels, **few)  # type: ignore[arg-type]
    caps = Caps(train=3, val=3, test=IMAGES)
    data = prepare(
        str(storage / "noise.npz"), image_size=SIDE, caps=caps, seed=0, cache=storage / "cache"
    )
    val, test = (read(data.path, test=True).split(split) for split in ("val", "test"))
    described = {"data": {"classes": list(CLASSES), "path": str(data.path)}}
    folder = make(
        storage,
        trials=trials,
        seeds=tuple(range(seeds)),
        classes=CLASSES,
        images=IMAGES,
        labels=test.labels.tolist(),
        val_labels=val.labels.tolist(),
        described=described,
    )
    doubt(folder)
    return folder


def doubt(folder: Path) -> None:
    """Let all finalists take the first test images for other classes.

    The page then shows as many suspects as it may.
    """
    for file in (folder / "predictions").iterdir():
        with np.load(file) as arrays:
            kept = dict(arrays)
        kept["test"][:DOUBTED] = np.roll(kept["test"][:DOUBTED], 1, axis=1)
        np.savez(file, **kept)  # type: ignore[arg-type]


def first_paint(page: Path, profile: Path) -> float:
    """Seconds from a page's navigation to its first text, in a browser of its own."""
    assert CHROMIUM
    with served(page) as (address, painted):
        command = [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ]
        flags = [
            f"--user-data-dir={profile}",
            "--window-size=1200,800",
            "--disable-background-networking",
            address,
        ]
        with subprocess.Popen(
            [*command, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as browser:
            try:
                return painted.get(timeout=PAINTED_WITHIN_S) / 1e3
            except Empty:
                sys.exit(f"{CHROMIUM} painted nothing of {page} within {PAINTED_WITHIN_S:.0f} s.")
            finally:
                browser.terminate()


@contextmanager
def served(page: Path) -> Iterator[tuple[str, Queue[float]]]:
    """Give the address of a frame with the page in it, and the milliseconds that it tells."""
    painted: Queue[float] = Queue()
    bodies = {"/": FRAME, "/report.html": page.read_bytes()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = bodies.get(self.path, b"")
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            painted.put(float(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", painted
        server.shutdown()


def measured(trials: int, seeds: int, storage: Path) -> dict[str, Any]:
    folder, build = synthetic(storage, trials, seeds), []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        report = write(folder)
        build.append(time.perf_counter() - started)
    size = report.page.stat().st_size
    paints = (
        [first_paint(report.page, storage / f"profile{n}") for n in range(ROUNDS)]
        if CHROMIUM
        else []
    )
    roles = report.findings.run.trials["role"].value_counts()
    return {
        "trials": int(roles["trial"]),
        "finalists": int(roles["finalist"]),
        "mb": round(size / 1e6, 2),
        "results_csv_mb": round(report.results.stat().st_size / 1e6, 2),
        "build_s": round(statistics.median(build), 2),
        "first_paint_s": round(statistics.median(paints), 2) if paints else None,
        "skipped": "" if paints else "first paint: no Chromium is installed",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--trials", type=int, default=34, help="of each of the six arms")
    parser.add_argument("--seeds", type=int, default=10, help="of each finalist")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(
        ignore_cleanup_errors=True
    ) as storage:  # a browser's last process may still write
        result = measured(options.trials, options.seeds, Path(storage))
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        if value not in (None, ""):
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
