"""The events of a sweep's journal: one frozen dataclass per kind, to and from JSON.

What journals of earlier versions lack is filled in here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, TypeAlias, cast

from sweeps.records.results import Finalist, Outcome
from trainables.metrics import EPOCH
from trainables.recipe import completed

LARGEST = 2**53  # up to which whole numbers are exact; no quantity of a sweep comes near it

Epoch: TypeAlias = Mapping[str, Any]
"""The metrics of one epoch by name, with its number under `epoch`."""


class EventError(ValueError):
    """A line of a journal is JSON, but not what an event of its kind must hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRecord:
    """The data set that a sweep trains on: no pixels, only what identifies them.

    Attributes:
        name: As the user named it.
        digest: Of the images and labels.
        source: Where it came from: a path, an address, or a function's name.
        num_images: Number of images by split.
    """

    name: str
    digest: str
    source: str
    num_images: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepStarted:
    """A driver opened the sweep, for the first time or again."""

    kind: ClassVar[str] = "sweep"

    study: str
    sweep_name: str
    tags: Mapping[str, str]
    params: Mapping[str, Any]
    dataset: DataRecord
    description: str  # Markdown: the question
    time: int | None = None  # ms since 1970, here and below; the journal sets it

    def content(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {
            "study": self.study,
            "sweep_name": self.sweep_name,
            "tags": dict(self.tags),
            "params": dict(self.params),
            "dataset": asdict(self.dataset),
            "description": self.description,
        }

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> SweepStarted:
        """Make the event of a line."""
        return cls(
            study=_text(found["study"]),
            sweep_name=_text(found["sweep_name"]),
            tags=_mapping(found["tags"]),
            params=_mapping(found["params"]),
            dataset=DataRecord(**found["dataset"]),
            description=_text(found["description"]),
            time=found.get("time"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepResumed:
    """The sweep goes on, with so many trials per arm, although `changes` are no longer as they were."""

    kind: ClassVar[str] = "resumed"

    changes: Sequence[str]
    trials_per_arm: int
    time: int | None = None

    def content(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {"changes": list(self.changes), "trials_per_arm": self.trials_per_arm}

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> SweepResumed:
        """Make the event of a line."""
        return cls(
            changes=tuple(found.get("changes") or ()),
            trials_per_arm=_whole(found.get("trials_per_arm") or 0),
            time=found.get("time"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalistsChosen:
    """These runs are to be trained; further ones may follow, such as ablations."""

    kind: ClassVar[str] = "finalists"

    trial_ids: Sequence[str]
    time: int | None = None

    def content(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {"trial_ids": list(self.trial_ids)}

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> FinalistsChosen:
        """Make the event of a line."""
        return cls(trial_ids=tuple(map(_text, found["trial_ids"])), time=found.get("time"))


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialStarted:
    """A trial of the search, or a finalist, has its place, for the first time or again.

    Attributes:
        trial_id: Its name, unique in the sweep: `resnet34/tricks/007`.
        arm: Its arm.
        number: Of the trial in its arm; of a finalist, that of the trial whose recipe it has.
        recipe: The recipe's fields; those that its version did not have yet are filled in.
        sample: What the search chose.
        finalist: None for a trial of the search.
    """

    kind: ClassVar[str] = "trial"

    trial_id: str
    arm: str
    number: int
    recipe: Mapping[str, Any]
    sample: Mapping[str, Any] = field(default_factory=dict)
    finalist: Finalist | None = None
    time: int | None = None

    def content(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        found: dict[str, Any] = {
            "trial_id": self.trial_id,
            "arm": self.arm,
            "number": self.number,
            "role": role_of(self.finalist),
        }
        if self.finalist:
            found["group"] = self.finalist.group
            found["without"] = self.finalist.without or ""
        return found | {"sample": dict(self.sample), "recipe": dict(self.recipe)}

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> TrialStarted:
        """Make the event of a line."""
        trial_id = _text(found["trial_id"])
        finalist = None
        if found.get("role") == "finalist":
            group = found.get("group")
            without = found.get("without")
            finalist = Finalist(
                group=group if group and isinstance(group, str) else trial_id.rpartition("/")[0],
                without=without if without and isinstance(without, str) else None,
            )
        return cls(
            trial_id=trial_id,
            arm=_text(found["arm"]),
            number=_whole(found["number"]),
            recipe=completed(_mapping(found["recipe"])),
            sample=_mapping(found.get("sample") or {}),
            finalist=finalist,
            time=found.get("time"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochsReported:
    """A trial has done epochs; of those that a restarted trial repeats, the first report counts."""

    kind: ClassVar[str] = "epochs"

    trial_id: str
    epochs: Sequence[Epoch]
    time: int | None = None

    def content(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {"trial_id": self.trial_id, "epochs": [dict(epoch) for epoch in self.epochs]}

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> EpochsReported:
        """Make the event of a line; what is no epoch in it is left out."""
        listed = found["epochs"]
        if not isinstance(listed, list):
            raise EventError("epochs must be a list")
        sound = [epoch for epoch in listed if isinstance(epoch, dict) and _is_epoch(epoch)]
        return cls(trial_id=_text(found["trial_id"]), epochs=tuple(sound), time=found.get("time"))


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialTagged:
    """Something is to be remembered of a trial, such as why it was restarted."""

    kind: ClassVar[str] = "tags"

    trial_id: str
    tags: Mapping[str, str]
    time: int | None = None

    def content(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {"trial_id": self.trial_id, "tags": dict(self.tags)}

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> TrialTagged:
        """Make the event of a line."""
        tags = _mapping(found["tags"])
        return cls(trial_id=_text(found["trial_id"]), tags=tags, time=found.get("time"))


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialEnded:
    """A trial is over, or was interrupted and is left to do.

    Attributes:
        trial_id: Its name.
        outcome: How it ended.
        reason: Why it diverged or failed; empty where there is nothing to say.
        wall_seconds: From start to end.
        device_seconds: Wall time, multiplied by the share of a device that it had.
        score: The best of the last stage on val.
        best_epoch: The epoch of the score.
        test: Of a finalist: what the test split said, by metric.
    """

    kind: ClassVar[str] = "end"

    trial_id: str
    outcome: Outcome
    reason: str = ""
    wall_seconds: float | None = None
    device_seconds: float | None = None
    score: float | None = None
    best_epoch: int | None = None
    test: Mapping[str, float] = field(default_factory=dict)
    time: int | None = None

    def content(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        found: dict[str, Any] = {
            "trial_id": self.trial_id,
            "outcome": self.outcome.value,
            "reason": self.reason or None,
            "wall_seconds": self.wall_seconds,
            "device_seconds": self.device_seconds,
            "score": self.score,
            "best_epoch": self.best_epoch,
        }
        if self.test:
            found["test"] = dict(self.test)
        return found

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> TrialEnded:
        """Make the event of a line; what should be a number, and is none, is not known."""
        reason = found.get("reason")
        test = found.get("test")
        best_epoch = number(found.get("best_epoch"))
        return cls(
            trial_id=_text(found["trial_id"]),
            outcome=Outcome(found["outcome"]),
            reason=reason if isinstance(reason, str) else "",
            wall_seconds=number(found.get("wall_seconds")),
            device_seconds=number(found.get("device_seconds")),
            score=number(found.get("score")),
            best_epoch=None if best_epoch is None else int(best_epoch),
            test=_numbers(test) if isinstance(test, dict) else {},
            time=found.get("time"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepFinished:
    """A driver came to its end; trials that are open then were interrupted.

    Attributes:
        outcome: Of the sweep.
        artifacts: Absolute paths of files and folders by their path among the run's artifacts.
        metrics: Results of the sweep as a whole.
        tags: More on it; `sweep.partial` is `true` where trials or finalists are left to do.
    """

    kind: ClassVar[str] = "finish"

    outcome: Outcome
    artifacts: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    time: int | None = None

    @property
    def partial(self) -> bool | None:
        """Whether something is left to do; None where nothing is said of it."""
        said = self.tags.get("sweep.partial")
        return None if said is None else said == "true"

    def content(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {
            "outcome": self.outcome.value,
            "artifacts": dict(self.artifacts),
            "metrics": dict(self.metrics),
            "tags": dict(self.tags),
        }

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> SweepFinished:
        """Make the event of a line."""
        return cls(
            outcome=Outcome(found["outcome"]),
            artifacts=_mapping(found.get("artifacts") or {}),
            metrics=_mapping(found.get("metrics") or {}),
            tags=_mapping(found.get("tags") or {}),
            time=found.get("time"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ChampionKept:
    """The champion's checkpoint is kept, and to be registered.

    Attributes:
        name: Of the registered model: `<study>-<data>`.
        checkpoint: The `best.pt` it is made from; it stays until MLflow has it.
        recipe: Its recipe's fields.
        classes: Names of the classes, in the order of the output.
        move_alias: Whether `champion` is to mean this version; not for an unfinished sweep.
        description: What the registry shows of this version, in Markdown.
        stored_side: Pixels per side of the squares that it was trained on, before they were
            resized to its `image_size`; None where that is not known.
    """

    kind: ClassVar[str] = "champion"

    name: str
    checkpoint: str
    recipe: Mapping[str, Any]
    classes: Sequence[str]
    move_alias: bool
    description: str = ""
    stored_side: int | None = None
    time: int | None = None

    def content(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {
            "name": self.name,
            "checkpoint": self.checkpoint,
            "recipe": dict(self.recipe),
            "classes": list(self.classes),
            "move_alias": self.move_alias,
            "description": self.description,
            "stored_side": self.stored_side,
        }

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> ChampionKept:
        """Make the event of a line."""
        return cls(
            name=_text(found["name"]),
            checkpoint=_text(found["checkpoint"]),
            recipe=_mapping(found["recipe"]),
            classes=tuple(found["classes"]),
            move_alias=bool(found["move_alias"]),
            description=_text(found.get("description") or ""),
            stored_side=found.get("stored_side"),
            time=found.get("time"),
        )


Event: TypeAlias = (
    SweepStarted
    | SweepResumed
    | FinalistsChosen
    | TrialStarted
    | EpochsReported
    | TrialTagged
    | TrialEnded
    | SweepFinished
    | ChampionKept
)
KINDS: dict[str, type[Event]] = {
    kind.kind: kind
    for kind in (
        SweepStarted,
        SweepResumed,
        FinalistsChosen,
        TrialStarted,
        EpochsReported,
        TrialTagged,
        TrialEnded,
        SweepFinished,
        ChampionKept,
    )
}


def to_json(event: Event) -> dict[str, Any]:
    """Return an event as a line of the journal holds it; without a time where it has none yet."""
    found = {"event": event.kind, **event.content()}
    return found if event.time is None else {**found, "time": event.time}


def from_json(found: Mapping[str, Any]) -> Event | None:
    """Return the event of a line; None for a kind that this version does not know.

    Raises:
        EventError: The line lacks what an event of its kind must hold.
    """
    kind = KINDS.get(str(found.get("event")))
    if kind is None:
        return None
    try:
        if found.get("time") is not None:
            _whole(found["time"])
        return kind.read(found)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise EventError(f"an event {kind.kind!r} is not what it must be ({said})") from error


def role_of(finalist: Finalist | None) -> str:
    """Return the name of a run's role: trial or finalist."""
    return "finalist" if finalist else "trial"


def number(value: Any) -> float | None:
    """Return a finite number that is no quantity out of all bounds, or None."""
    if isinstance(value, int | float) and abs(value) < LARGEST:
        return value
    return None


def _numbers(values: Mapping[Any, Any]) -> dict[str, float]:
    sound = {str(name): number(value) for name, value in values.items()}
    return {name: value for name, value in sound.items() if value is not None}


def _is_epoch(epoch: Mapping[Any, Any]) -> bool:
    numbered = number(epoch.get(EPOCH))
    return numbered is not None and numbered > 0


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise EventError(f"{value!r} must be a text")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < LARGEST:
        raise EventError(f"{value!r} must be a whole number, 0 or more")
    return value


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EventError(f"{value!r} must be an object")
    return cast(dict[str, Any], value)
