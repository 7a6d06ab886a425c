"""Sweeps that an earlier version recorded are read as that version read them.

`tests/journals/NAME/` holds what it wrote: `sweep.json`, `trials.jsonl`, `champion/recipe.json`,
the `results.csv` of its `dvt report NAME`, and in `list.txt` the table of its `dvt list`, without
the columns for date and size. All are of the demo preset:

- `finished`: search, finalists, and an empty `--ablate`.
- `interrupted_search`: Ctrl-C while two trials were over and two had an epoch.
- `interrupted_finalists`: Ctrl-C in the search; resumed with a wider bound; Ctrl-C in the
  finalists; resumed with another value of the arm in which nothing is tuned, whose finalists were
  trained again; Ctrl-C once more.
"""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pytest

from sweeps.records.status import status_of
from sweeps.report.results_csv import write_results
from sweeps.report.runs import read_run

JOURNALS = Path(__file__).parents[2] / "journals"
LATER = ("seed_number", "draw", "image_passes")
NAMES = ("finished", "interrupted_search", "interrupted_finalists")


@pytest.fixture(params=NAMES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    copy = tmp_path / "mlruns" / "sweeps" / request.param
    return Path(shutil.copytree(JOURNALS / request.param, copy))


def test_results_are_the_same_to_the_byte_but_for_columns_that_came_later(folder: Path) -> None:
    before = (JOURNALS / folder.name / "results.csv").read_bytes()
    (folder / "results.csv").unlink()
    written = write_results(read_run(folder)).read_bytes()
    rows = list(csv.DictReader(io.StringIO(written.decode(), newline="")))
    kept = [name for name in rows[0] if name not in LATER]
    again = io.StringIO()
    writer = csv.DictWriter(again, kept, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    assert again.getvalue().encode() == before

    # All trained on the images of the search.
    for row in rows:
        _, found, number = row["trial_id"].rpartition("/s")
        expected = number if found and row["role"] == "finalist" else ""
        assert (row["seed_number"], row["draw"]) == (expected, "")


@pytest.mark.parametrize(
    ("folder", "state", "done", "left", "best", "champion"),
    [
        ("finished", "finished", 10, 0, "95.3", "resnet18/plain/000/s1"),
        ("interrupted_search", "interrupted", 2, 6, "90.7", ""),
        ("interrupted_finalists", "interrupted", 7, 3, "90.0", ""),
    ],
    indirect=["folder"],
)
def test_the_list_of_sweeps_says_the_same(
    folder: Path, state: str, done: int, left: int, best: str, champion: str
) -> None:
    sweep = status_of(folder)
    assert (sweep.state, sweep.done, sweep.left) == (state, done, left)
    assert sweep.score is not None
    assert f"{100 * sweep.score:.1f}" == best
    assert sweep.champion == champion

    listed = (JOURNALS / folder.name / "list.txt").read_text().splitlines()[-1].split(" | ")
    cells = [sweep.name, sweep.study, state, str(done), str(left), best, champion or "-"]
    assert listed == cells
