"""What each kind of event in a sweep's journal means to MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeps.records.events import (
    ChampionKept,
    EpochsReported,
    Event,
    SweepFinished,
    SweepResumed,
    SweepStarted,
    TrialEnded,
    TrialStarted,
    TrialTagged,
    role_of,
)
from sweeps.records.palette import color
from sweeps.tracking.registry import RegisteredModel, register_champion
from sweeps.tracking.runs import SWEEP, RunStart, SweepRuns
from sweeps.tracking.store import TrackingError, artifact_location


class EventWriter:
    """The writer of one sweep's events to MLflow. Not thread-safe.

    After a call that fails it must not be used again: a new one goes on.

    Args:
        tracking_uri: What `prepare_store` returned.
        storage: The sweeps' folder; artifacts go to `<storage>/artifacts/<study>`, unless a server
            decides.
        first: The journal's first event.

    Attributes:
        champion: The last one that was registered.

    Raises:
        TrackingError: The journal does not begin with its sweep.
    """

    def __init__(self, tracking_uri: str, storage: Path, first: Event | None) -> None:
        if not isinstance(first, SweepStarted):
            # An event that this version does not know is None.
            kind = first.kind if first else "something unknown"
            raise TrackingError(
                f"A journal must begin with its sweep, but it begins with {kind!r}."
            )
        self._uri = tracking_uri
        self._sweep = first
        # Each arm has a color by its place, as in the report.
        self._arms = str(first.params.get("arms", "")).split(", ")
        artifacts = artifact_location(tracking_uri, storage, first.study)
        self._runs = SweepRuns(
            tracking_uri, artifacts, first.study, _sweep_start(first), first.dataset
        )
        self.champion: RegisteredModel | None = None

    @property
    def sweep_run_id(self) -> str | None:
        """MLflow's id of the sweep's run, if there is one yet."""
        return self._runs.sweep_run_id

    def write(self, event: Event) -> None:
        """Write an event, or keep it for `send`."""
        match event:
            case SweepStarted():
                self._runs.start(SWEEP, _sweep_start(event))
            case SweepResumed():
                self._runs.tag(SWEEP, _resume_tags(event))
            case TrialStarted():
                self._runs.start(event.trial_id, self._trial_start(event))
            case EpochsReported():
                self._runs.report(event.trial_id, event.epochs, _time(event))
            case TrialTagged():
                self._runs.tag(event.trial_id, _texts(event.tags))
            case TrialEnded():
                self._end(event)
            case SweepFinished():
                self._finish(event)
            case ChampionKept():
                self._register(event)
            case _:  # the journal's alone
                pass

    def send(self) -> None:
        """Send what was kept."""
        self._runs.send()

    def _trial_start(self, event: TrialStarted) -> RunStart:
        tags = {
            "sweep.role": role_of(event.finalist),
            "sweep.trial_id": event.trial_id,
            "sweep.arm": event.arm,
            "sweep.trial_number": str(event.number),
        }
        if event.arm in self._arms:
            tags["mlflow.runColor"] = color(self._arms.index(event.arm))
        if event.finalist:
            tags["sweep.group"] = event.finalist.group
            if event.finalist.without:
                tags["sweep.without"] = event.finalist.without
        # What a trial shares with all others is said once, by the run of the sweep.
        recipe = _texts(event.recipe)
        shared = _texts(self._sweep.shared)
        params = {name: value for name, value in recipe.items() if shared.get(name) != value}
        return RunStart(
            name=event.trial_id, tags=tags, params=params, recipe=recipe, time=_time(event)
        )

    def _end(self, event: TrialEnded) -> None:
        summary = {name: getattr(event, name) for name in event.numbers}
        # What an early end never measured is no metric of the run.
        known = {name: value for name, value in summary.items() if value is not None}
        tags = {}
        if event.reason:
            tags["sweep.reason"] = event.reason
        self._runs.end(event.trial_id, event.outcome, {**known, **event.test}, tags, _time(event))

    def close(self, event: SweepFinished) -> None:
        """Close the runs of a sweep that has ended; its artifacts are left for `write`."""
        self._runs.send()
        self._runs.interrupt_open_trials(_time(event))
        self._runs.end(SWEEP, event.outcome, event.metrics, _texts(event.tags), _time(event))

    def _finish(self, event: SweepFinished) -> None:
        # Whatever becomes of the artifacts, no run stays open.
        self.close(event)

        # What is missing is said once all else of the sweep is there.
        missing = []
        for name, path in event.artifacts.items():
            if Path(path).exists():
                self._runs.log_artifact(name, Path(path))
            else:
                missing.append(path)
        if missing:
            listed = ", no ".join(missing)
            raise TrackingError(
                f"An artifact must be a file or a folder, but there is no {listed}."
            )

    def _register(self, event: ChampionKept) -> None:
        self._runs.send()
        self.champion = None
        run_id = self._runs.sweep_run_id
        if run_id is None:
            raise TrackingError(
                "A champion must belong to its sweep's run, but MLflow has none of this sweep."
            )
        self.champion = register_champion(
            self._uri, run_id, event, tags={"sweep.name": self._sweep.sweep_name}
        )


def _sweep_start(event: SweepStarted) -> RunStart:
    tags = {
        "sweep.name": event.sweep_name,
        "sweep.study": event.study,
        "sweep.role": "sweep",
        "mlflow.note.content": event.description,
        **_texts(event.tags),
    }
    return RunStart(
        name=event.sweep_name,
        tags=tags,
        params=_texts(event.params),
        recipe=_texts(event.shared),
        time=_time(event),
    )


def _resume_tags(event: SweepResumed) -> dict[str, str]:
    tags = {"sweep.trials_per_arm": str(event.trials_per_arm)}
    if event.changes:
        tags["sweep.changes"] = "; ".join(event.changes)
    return tags


def _time(event: Event) -> int:
    """Return the event's time, in ms since 1970; each line of a journal has one."""
    return event.time or 0


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}
