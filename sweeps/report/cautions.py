"""Caveats of a sweep: what is not whole, not equal, lost, or at the edge of what was searched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sweeps.records.design import MIN_SEEDS
from sweeps.records.results import Outcome
from sweeps.report.data_section import data_cautions
from sweeps.report.findings import Findings
from sweeps.report.formats import listed
from sweeps.report.headline import equal_trials
from sweeps.report.runs import Run, number, resume_command
from sweeps.report.search_effects import edges
from trainables.problems import counted

SHOWN = 6  # lines of one kind
SMALL_CLASS = 10
"""Test images of the smallest class from which on 95% intervals of balanced accuracy hold 92 to 98%
of the time (two classes, the other ten times as large, and 5 or 10 seeds); with 6 images they hold
at least 87%, with 3 at least 83%."""


def banner(run: Run) -> list[str]:
    """Return lines to show before anything else where the sweep is not whole.

    The last is the command that continues it.
    """
    done, total, count = _progress(run)
    said = {
        "running": f"This sweep is running: {count}. Numbers will change.",
        "interrupted": f"This sweep was interrupted: {count}. To continue:",
        "failed": f"This sweep failed: {count}. To continue:",
        "damaged": f"This sweep's files are damaged: as far as can be read, {count}.",
    }
    line = said.get(run.state, "")
    if run.state not in said and done < total:
        line = f"This sweep is partial: {count}. For the rest:"
    if not line.endswith(":"):
        return [line] if line else []
    if run.text("study"):
        return [line, resume_command(run)]
    # Without the study's name there is no command to show.
    return [f"{line.rpartition('. ')[0]}."]


def cautions(findings: Findings) -> list[str]:
    """Return a line for each caveat."""
    run = findings.run
    return [
        *_few(data_cautions(run)),
        *_trials(run),
        *_finalists(findings),
        *_score(findings),
        *_edges(findings),
        *_few(list(findings.problems)),
    ]


def _progress(run: Run) -> tuple[int, int, str]:
    """Return how many trials and finalists are over, how many were planned, and both in words.

    Those of arms that the sweep no longer has do not count.
    """
    trials = [trial for trial in run.history.of("trial") if trial.arm in run.compared]
    over = run.history.done()
    done = sum(trial.trial_id in over for trial in trials)
    described = number(run.described.get("trials_per_arm"))
    total = done
    if described == described:
        searched = sum(bool(run.tuned.get(arm)) for arm in run.compared)
        total = run.history.trials_per_arm(int(described)) * searched
    words = f"{done} of {counted(total, 'trial')}"

    finalists = run.history.wanted - run.history.passed or {
        trial.trial_id for trial in run.history.of("finalist")
    }
    tested = len(finalists & over)
    if finalists:
        words += f" and {tested} of {counted(len(finalists), 'finalist run')}"
    return done + tested, total + len(finalists), f"{words} done"


def _trials(run: Run) -> Iterator[str]:
    said = equal_trials(run)
    if not said.startswith("Equal"):
        yield said
    # Of many failures the most frequent reasons.
    failed = run.rows("trial", outcome=Outcome.FAILED)
    for reason, count in Counter(failed["reason"]).most_common(SHOWN):
        yield f"{counted(count, 'trial')} failed: {reason or 'no reason is recorded'}."


def _finalists(findings: Findings) -> Iterator[str]:
    """Yield what is lacking of the finalists: seeds, recipes, contrasts."""
    # Seeds: too few, lost ones, and those that arms do not share.
    counts = [len(group.seeds) for group in findings.arms.values()]
    champion = findings.champion
    if findings.groups and champion and findings.seeds < MIN_SEEDS and counts:
        yield (
            f"Fewer than {MIN_SEEDS} seeds ({min(counts)}): values have no intervals, and nothing "
            "is tested."
        )
    failed = [name for group in findings.groups for name in group.failed]
    yield from _few([f"{name} failed: its recipe has one seed fewer." for name in failed])
    if not champion:
        return

    # What the champion is not compared with, and what its own mean lacks.
    missing = [arm for arm in findings.run.compared if arm not in findings.arms]
    if missing:
        yield (
            f"No recipe of {listed(missing)} has a finalist that completed: it is not compared on "
            "the test split."
        )
    if findings.untested:
        names = listed(list(findings.untested))
        yield f"Not tested, since a comparison lacks an arm: {names}."


def _score(findings: Findings) -> Iterator[str]:
    """Yield what intervals of the score cannot say."""
    labels = _test_labels(findings)
    if not findings.tested or labels is None:
        return
    least = int(np.unique(labels, return_counts=True)[1].min())
    if findings.run.score == "macro_f1":
        yield (
            "Macro F1 is not a mean over images: intervals and tests are for new seeds on these "
            "test images alone."
        )
    elif findings.run.score == "balanced_accuracy" and least < SMALL_CLASS:
        yield (
            f"The smallest class has {counted(least, 'test image')}: intervals of balanced "
            "accuracy are too narrow for that."
        )


def _test_labels(findings: Findings) -> NDArray[np.int64] | None:
    """Return the true classes [N] of the test images; None where no predictions are left."""
    for group in findings.groups:
        for seed in group.predicted:
            return seed.labels
    return None


def _edges(findings: Findings) -> Iterator[str]:
    """Yield the tuned values of the best recipes that lie at an end of their range."""
    for arm, group in findings.arms.items():
        known = set()
        for name, value in group.recipe.items():
            if value is not None and value == value:
                known.add(name)
        # A range whose condition names what this recipe does not have says nothing.
        dims = findings.run.tuned.get(arm, {})
        tuned = {name: dim for name, dim in dims.items() if {name, *dim["when"]} <= known}
        for line in edges(group.recipe, tuned):
            yield f"{arm}, best recipe: {line}"


def _few(lines: list[str]) -> list[str]:
    rest = len(lines) - SHOWN
    if rest <= 0:
        return lines
    return [*lines[:SHOWN], f"And {rest} more of this kind."]
