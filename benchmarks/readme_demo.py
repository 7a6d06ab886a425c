"""Write what `make demo` answers into README.md, as the demo answered on this machine.

    python benchmarks/readme_demo.py            # runs the demo: some minutes
    python benchmarks/readme_demo.py FOLDER     # of a demo that has ended, mlruns/sweeps/NAME

What stands between the two markers is replaced, all else stays.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))

from sweeps.report.findings import find
from sweeps.report.runs import read_run
from sweeps.report.terminal import show

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
BEGIN = "<!-- demo -->\n"
END = "<!-- /demo -->\n"
COLUMNS = 100
NAME = "depth_vs_tricks"


def main() -> None:
    """Replace the block."""
    if len(sys.argv) > 1:
        write(answer(Path(sys.argv[1])))
        return
    with tempfile.TemporaryDirectory() as storage:
        command = [sys.executable, ROOT / f"sweeps/{NAME}.py", "--preset", "demo"]
        subprocess.run([*command, "--storage", storage, "--name", NAME], cwd=ROOT, check=True)
        write(answer(Path(storage) / "sweeps" / NAME))


def answer(folder: Path) -> str:
    """Return what a terminal as wide as the README shows of a sweep."""
    console = Console(file=io.StringIO(), width=COLUMNS, record=True, highlight=False)
    show(console, find(read_run(folder)))
    # As `make demo` says it, whose sweeps are in the clone.
    storage = folder.parents[1]
    shown = console.export_text().replace(f"{ROOT}/", "").replace(f" --storage {storage}", "")
    return "\n".join(map(str.rstrip, shown.splitlines())).strip() + "\n"


def write(shown: str) -> None:
    """Put the answer between the markers."""
    before, _, rest = README.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"README.md must have the markers {BEGIN.strip()} and {END.strip()}.")
    README.write_text(f"{before}{BEGIN}\n```\n{shown}```\n\n{END}{after}")


if __name__ == "__main__":
    main()
