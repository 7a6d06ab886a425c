"""What a sweep tells of itself: into the journal at once, and from there to MLflow, whenever MLflow is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from sweeps.records.journal import Journal
from sweeps.tracking.delivery import Delivery
from sweeps.tracking.registry import Champion
from sweeps.tracking.runs import Outcome, TrackedData
from sweeps.tracking.store import TrackingError, prepare_store, without_password

__all__ = [
    "Champion",
    "Outcome",
    "Role",
    "TrackedData",
    "Tracker",
    "TrackingError",
    "prepare_store",
]

Role = Literal["trial", "finalist"]


class Tracker:
    """Writes down what happens in one sweep. Any thread may call it.

    Methods never wait for MLflow, but for `flush`, `close`, `champion` and `sweep_run_id`. Those that tell something raise
    OSError when the journal cannot be written, as on a full disk; then nothing was told.

    Args:
        tracking_uri: What `prepare_store` returned.
        storage: The sweeps' folder; artifacts go to `<storage>/artifacts/<study>`, unless a server decides.
        journal: Of the sweep, in its folder. What it holds already, and MLflow lacks, is delivered too. Whoever opened it
            closes it, after the tracker.
    """

    def __init__(self, tracking_uri: str, storage: Path, journal: Journal) -> None:
        self.tracking_uri = tracking_uri
        self._journal = journal
        self._delivery = Delivery(journal, tracking_uri, storage)
        self._champion_told = 0  # offset

    def start_sweep(
        self,
        *,
        study: str,
        sweep_name: str,
        tags: Mapping[str, str],
        params: Mapping[str, Any],
        dataset: TrackedData,
        description: str,
    ) -> None:
        """Open the sweep's run in the experiment `study`, or take it up again. Comes first.

        Args:
            study: The study's name.
            sweep_name: The sweep's name, in this experiment once.
            tags: More tags of the run.
            params: The sweep's options.
            dataset: What all trials are trained on.
            description: What MLflow shows above the run, in Markdown: the question.
        """
        self._tell(
            "sweep",
            study=study,
            sweep_name=sweep_name,
            tags=dict(tags),
            params=dict(params),
            dataset={**asdict(dataset), "num_images": dict(dataset.num_images)},
            description=description,
        )

    def finalists_chosen(self, trial_ids: Sequence[str]) -> None:
        """These are to be trained; the journal's alone."""
        self._tell("finalists", trial_ids=list(trial_ids))

    def sweep_resumed(self, changes: Sequence[str], trials_per_arm: int) -> None:
        """The sweep goes on, with so many trials in each arm, although the lines in `changes` are no longer as they were."""
        self._tell("resumed", changes=list(changes), trials_per_arm=trials_per_arm)

    def trial_started(
        self,
        trial_id: str,
        arm: str,
        number: int,
        recipe: Mapping[str, Any],
        *,
        sample: Mapping[str, Any],
        role: Role = "trial",
        group: str = "",
        without: str = "",
    ) -> None:
        """Open the run of a trial, or of a finalist's seed, or take it up again.

        Args:
            trial_id: The run's name, unique in the sweep: `resnet34/tricks/007`.
            arm: The trial's arm.
            number: The trial's number in its arm.
            recipe: The recipe's fields, the run's params.
            sample: What the search chose; the journal's alone.
            role: Which of the two it is.
            group: Of a finalist: the trial whose recipe it trains again, whether that was run or not.
            without: Of an ablation: the field of the recipe that has its neutral value.
        """
        own = {"trial_id": trial_id, "arm": arm, "number": number, "role": role}
        finalist = {"group": group, "without": without} if role == "finalist" else {}
        self._tell("trial", **own, **finalist, sample=dict(sample), recipe=dict(recipe))

    def trial_reported(self, trial_id: str, epochs: Sequence[Mapping[str, float]]) -> None:
        """Log epochs' metrics, each at the step `epoch`; an epoch that the run has already is passed over."""
        self._tell("epochs", trial_id=trial_id, epochs=[dict(epoch) for epoch in epochs])

    def trial_tagged(self, trial_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a trial's run."""
        self._tell("tags", trial_id=trial_id, tags=dict(tags))

    def trial_ended(
        self,
        trial_id: str,
        outcome: Outcome,
        reason: str | None = None,
        *,
        wall_seconds: float | None = None,
        device_seconds: float | None = None,
        score: float | None = None,
        best_epoch: int | None = None,
        test: Mapping[str, float] | None = None,
    ) -> None:
        """Close a trial's run with its outcome and the reason for it, and what is known of its totals as metrics.

        `test` is what the test split said of a finalist.
        """
        self._tell(
            "end",
            trial_id=trial_id,
            outcome=outcome,
            reason=reason,
            wall_seconds=wall_seconds,
            device_seconds=device_seconds,
            score=score,
            best_epoch=best_epoch,
            **({"test": dict(test)} if test else {}),
        )

    def finish_sweep(
        self,
        outcome: Outcome,
        *,
        artifacts: Mapping[str, Path] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Close the sweep's run; trials that are still open are closed as interrupted.

        Args:
            outcome: Of the sweep.
            artifacts: Local files and folders, by their path among the run's artifacts; they must stay until delivered.
            metrics: Results, logged on the sweep's run.
            tags: More tags of the run.
        """
        files = {name: str(path.absolute()) for name, path in (artifacts or {}).items()}
        self._tell(
            "finish",
            outcome=outcome,
            artifacts=files,
            metrics=dict(metrics or {}),
            tags=dict(tags or {}),
        )

    def register_champion(
        self,
        *,
        name: str,
        checkpoint: Path,
        recipe: Mapping[str, Any],
        classes: Sequence[str],
        move_alias: bool,
        description: str = "",
        stored_side: int | None = None,
    ) -> None:
        """Register the champion, after all that was told before; `champion` waits for it.

        Args:
            name: Of the registered model: `<study>-<data>`.
            checkpoint: The `best.pt` it is made from; it must stay until delivered.
            recipe: Its recipe's fields.
            classes: Names of the classes, in the order of the output.
            move_alias: Let `champion` mean this version. Not for a sweep that was not finished.
            description: What the registry shows of this version, in Markdown.
            stored_side: Pixels a side of the squares that it was trained on, before they were resized to its `image_size`.
        """
        self._champion_told = self._tell(
            "champion",
            name=name,
            checkpoint=str(checkpoint.absolute()),
            recipe=dict(recipe),
            classes=list(classes),
            move_alias=move_alias,
            description=description,
            stored_side=stored_side,
        )

    def champion(self, timeout: float = 60.0) -> Champion | None:
        """The champion that was told last, if it is registered within `timeout` seconds; otherwise `close` says why."""
        if self._champion_told and self._delivery.flush(timeout, self._champion_told):
            return self._delivery.champion
        return None

    def problem(self) -> str | None:
        """One line for the user while MLflow takes nothing."""
        return self._delivery.problem()

    def flush(self, timeout: float = 60.0) -> bool:
        """Wait at most `timeout` seconds until everything told so far is in MLflow, or refused by it; whether that is so."""
        return self._delivery.flush(timeout)

    def close(self, timeout: float = 60.0) -> str | None:
        """Flush and end the thread; one line for the user if MLflow refused something or does not have all in time."""
        return self._delivery.close(timeout)

    def sweep_run_id(self, timeout: float = 60.0) -> str:
        """MLflow's id of the sweep's run.

        Raises:
            TrackingError: MLflow has no such run after `timeout` seconds.
        """
        self.flush(timeout)
        if (run_id := self._delivery.sweep_run_id) is None:
            raise TrackingError(
                f"MLflow must have the sweep's run, but {without_password(self.tracking_uri)} has not."
            )
        return run_id

    def _tell(self, kind: str, **content: Any) -> int:
        offset = self._journal.append({"event": kind, **content})
        self._delivery.wake()
        return offset
