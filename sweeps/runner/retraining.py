"""A run that is trained once more for its weights alone, where these were deleted.

A whole sweep keeps the champion's weights only. Where it is extended, or its bounds change, another
run of it may be the champion, whose weights are gone: its results stay as they were, and training
it again, on the same images and from the same random numbers, gives the same network.
"""

from __future__ import annotations

import traceback

from cluster.session import run_alone
from sweeps.records.folder import BEST, CHAMPION, checkpoints, kept_champion
from sweeps.records.results import TrialRecord, seed_number
from sweeps.runner.driver import Run
from sweeps.runner.trials import Place, trial_config
from sweeps.tracking.store import one_line
from trainables import checkpoint
from trainables.ray_trial import train_alone


def ensure_weights(run: Run, record: TrialRecord) -> None:
    """Train a run again, unless its weights are there; what goes wrong is a line.

    An interrupt ends it.
    """
    plan = run.plan
    if _has_weights(run, record):
        return
    run.say(
        f"The champion is {record.trial_id}, whose weights the sweep did not keep when it ended "
        "before: training it once more."
    )
    place = Place(trial_id=record.trial_id, arm=record.arm, number=record.number)
    try:
        data = run.draws.data(seed_number(record.trial_id))
        config = trial_config(run, {}, place, record.recipe, data)
        with run.doing(f"Training {record.trial_id} once more"):
            run_alone(
                train_alone,
                config,
                cpus=plan.slots.cpus,
                gpus=plan.slots.gpus,
                stop=lambda: run.interrupt.requested,
            )
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  Whatever Ray raises, the sweep has its results.
        run.say(f"{record.trial_id} could not be trained again ({one_line(error)}).")
        if plan.options.verbose:
            traceback.print_exc()


def _has_weights(run: Run, record: TrialRecord) -> bool:
    """Return whether a run has its checkpoint, or was kept as the champion before."""
    folder = run.plan.folder
    if checkpoint.best(checkpoints(folder, record.trial_id)):
        return True
    kept = kept_champion(folder)
    is_kept = kept is not None and kept.trial == record.trial_id
    return is_kept and (folder / CHAMPION / BEST).is_file()
