"""Whose weights stay on the disk: while a sweep runs, and once it is whole (`--keep`).

While it runs, or is to be resumed, the best of each arm and of each finalist stay, since any of
them may become the champion. Once it is whole the champion's alone do, unless more were asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from rich.filesize import decimal

from sweeps.records.folder import BEST, CHAMPION, CHECKPOINTS, checkpoints, size_of
from sweeps.records.results import Outcome, Results, TrialRecord, best
from sweeps.runner.plan import Plan
from trainables import checkpoint


def tidy(plan: Plan, peers: Sequence[TrialRecord], ended: TrialRecord) -> None:
    """Delete the checkpoints that a trial's end makes useless: its own, or those of a beaten peer.

    So a sweep holds those of running trials, of the best one of each arm, and of the best seed of
    each finalist: 45 MB each for a ResNet-18. With `--keep all` every trial's best one stays.
    """
    checkpoint.drop_last(checkpoints(plan.folder, ended.trial_id))
    if plan.options.keeps == "all":
        return
    others = [record for record in peers if record is not ended]
    beaten = best(others)
    top = best([*others, ended])
    # An ablation is never shipped.
    if ended.finalist is not None and ended.finalist.without is not None:
        top = None
    for record in filter(None, (ended, beaten)):
        folder = checkpoints(plan.folder, record.trial_id)
        checkpoint.drop_last(folder)
        if record is not top:
            for file in folder.glob("*.pt"):
                file.unlink(missing_ok=True)


def tidy_left(plan: Plan, results: Results) -> None:
    """Tidy up after trials that ended in an earlier run, whose driver may have been killed."""
    for record in results.records():
        over = record.outcome not in (None, Outcome.INTERRUPTED)
        if over and any(checkpoints(plan.folder, record.trial_id).glob("*.pt")):
            tidy(plan, results.peers(record), record)


def settle(plan: Plan, *, whole: bool) -> str:
    """Delete what a sweep that has come to its end no longer needs, and return what is kept.

    Args:
        plan: The sweep's.
        whole: Whether all that was planned ended; else a resume needs what is there.
    """
    shipped = plan.folder / CHAMPION / BEST
    if whole and shipped.is_file() and plan.options.keeps == "champion":
        _delete_all(plan)
        weights = size_of(shipped)
        records = size_of(plan.folder) - weights
        return (
            f"Kept: the champion's weights, {decimal(weights)}, and the records, "
            f"{decimal(records)} (--keep best leaves the weights of each arm and finalist too)."
        )
    kept = "the best weights of each arm and finalist"
    if plan.options.keeps == "all":
        kept = "the best weights of each trial"
    elif not whole:
        kept = "what a resume continues from"
    return f"Kept: {kept}, {decimal(size_of(plan.folder))} with the records."


def _delete_all(plan: Plan) -> None:
    """Delete all checkpoints; what a trial that failed said of it stays."""
    for folder in (plan.folder / CHECKPOINTS).glob("*"):
        checkpoint.drop_last(folder)
        for file in folder.glob("*.pt"):
            file.unlink(missing_ok=True)
        # One that holds an error's text stays.
        with suppress(OSError):
            folder.rmdir()
    with suppress(OSError):
        (plan.folder / CHECKPOINTS).rmdir()
