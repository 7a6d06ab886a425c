"""What each kind of event in a sweep's journal means to MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweeps.tracking.registry import Champion, register_champion
from sweeps.tracking.runs import SUMMARY, SWEEP, RunStart, SweepRuns, TrackedData
from sweeps.tracking.store import TrackingError

Event = Mapping[str, Any]


class EventWriter:
    """Writes the events of one sweep to MLflow. Not thread-safe. What fails leaves it useless: a new one goes on.

    Args:
        tracking_uri: What `prepare_store` returned.
        storage: The sweeps' folder; artifacts go to `<storage>/artifacts/<study>`, unless a server decides.
        sweep: The journal's first event.

    Attributes:
        champion: The last one that was registered.
    """

    def __init__(self, tracking_uri: str, storage: Path, sweep: Event) -> None:
        if sweep["event"] != "sweep":
            raise TrackingError(
                f"A journal must begin with its sweep, but it begins with {sweep['event']!r}."
            )
        self._uri = tracking_uri
        self._sweep = sweep
        data = TrackedData(**sweep["dataset"])
        artifacts = storage.absolute() / "artifacts" / sweep["study"]
        self._runs = SweepRuns(tracking_uri, artifacts, sweep["study"], _sweep_start(sweep), data)
        self.champion: Champion | None = None

    @property
    def sweep_run_id(self) -> str | None:
        """MLflow's id of the sweep's run, if there is one yet."""
        return self._runs.sweep_run_id

    def write(self, event: Event) -> None:
        """Write an event, or keep it for `send`. An event of an unknown kind is passed over."""
        match event["event"]:
            case "sweep":
                self._runs.start(SWEEP, _sweep_start(event))
            case "resumed":
                changes = {"sweep.changes": "; ".join(event["changes"])} if event["changes"] else {}
                self._runs.tag(
                    SWEEP, {"sweep.trials_per_arm": str(event["trials_per_arm"]), **changes}
                )
            case "trial":
                self._runs.start(event["trial_id"], _trial_start(event))
            case "epochs":
                self._runs.report(event["trial_id"], event["epochs"], event["time"])
            case "tags":
                self._runs.tag(event["trial_id"], _texts(event["tags"]))
            case "end":
                known = {
                    name: event[name] for name in SUMMARY if event.get(name) is not None
                } | event.get("test", {})
                tags = {"sweep.reason": str(event["reason"])} if event.get("reason") else {}
                self._runs.end(event["trial_id"], event["outcome"], known, tags, event["time"])
            case "finish":
                self._finish(event)
            case "champion":
                self._register(event)

    def send(self) -> None:
        """Send what was kept."""
        self._runs.send()

    def _finish(self, event: Event) -> None:
        self._runs.send()
        self._runs.interrupt_open_trials(event["time"])
        files = {name: Path(path) for name, path in event["artifacts"].items()}
        missing = [str(path) for path in files.values() if not path.exists()]
        for name, path in files.items():
            if path.exists():
                self._runs.log_artifact(name, path)
        self._runs.end(
            SWEEP, event["outcome"], event["metrics"], _texts(event["tags"]), event["time"]
        )
        if missing:
            raise TrackingError(
                f"An artifact must be a file or a folder, but there is no {', no '.join(missing)}."
            )

    def _register(self, event: Event) -> None:
        self._runs.send()
        self.champion = None
        run_id = self._runs.sweep_run_id
        if run_id is None:
            raise TrackingError(
                "A champion must have a sweep's run to belong to, but MLflow has none."
            )
        self.champion = register_champion(
            self._uri,
            run_id,
            name=event["name"],
            checkpoint=Path(event["checkpoint"]),
            recipe=event["recipe"],
            classes=event["classes"],
            move_alias=event["move_alias"],
            description=event["description"],
            stored_side=event.get("stored_side"),  # journals of older versions lack it
            tags={"sweep.name": self._sweep["sweep_name"]},
            key=str(event["time"]),
        )


def _sweep_start(event: Event) -> RunStart:
    own = {"sweep.name": event["sweep_name"], "sweep.study": event["study"], "sweep.role": "sweep"}
    tags = own | {"mlflow.note.content": event["description"]} | _texts(event["tags"])
    return RunStart(
        name=event["sweep_name"], tags=tags, params=_texts(event["params"]), time=event["time"]
    )


def _trial_start(event: Event) -> RunStart:
    names = {
        "sweep.role": "role",
        "sweep.trial_id": "trial_id",
        "sweep.arm": "arm",
        "sweep.trial_number": "number",
    }
    names |= {f"sweep.{name}": name for name in ("group", "without") if event.get(name)}
    tags = {tag: str(event[name]) for tag, name in names.items()}
    return RunStart(
        name=event["trial_id"], tags=tags, params=_texts(event["recipe"]), time=event["time"]
    )


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items()}
