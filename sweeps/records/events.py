"""The events of a sweep's journal: one frozen dataclass per kind, to and from JSON.

What journals of earlier versions lack is filled in here and by `fields`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, TypeAlias, get_args

from sweeps.records.fields import READERS, Epoch, text_if_any
from sweeps.records.results import Finalist, Outcome
from trainables.metrics import Score


class EventError(ValueError):
    """The error of a line that is JSON, but not what an event of its kind must hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRecord:
    """The data set that a sweep trains on: no pixels, only what identifies them.

    Attributes:
        name: As the user named it.
        digest: Hash of the images and labels.
        source: Where it came from: a path, an address, or a function's name.
        num_images: Number of images by split.
    """

    name: str
    digest: str
    source: str
    num_images: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepStarted:
    """A driver opened the sweep, for the first time or again.

    Attributes:
        study: Its study's name.
        sweep_name: Its own.
        tags: Of its run in MLflow.
        params: Of its run in MLflow.
        dataset: What it trains on.
        description: Markdown: the question.
        shared: The fields that the recipes of all arms share; earlier versions do not say.
    """

    kind: ClassVar[str] = "sweep"

    study: str
    sweep_name: str
    tags: Mapping[str, str]
    params: Mapping[str, Any]
    dataset: DataRecord
    description: str
    shared: Mapping[str, Any] = field(default_factory=dict)
    # Milliseconds since 1970, here and below; the journal sets it.
    time: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepResumed:
    """The sweep continues, with this many trials per arm, although `changes` were made to it."""

    kind: ClassVar[str] = "resumed"

    changes: Sequence[str] = ()
    trials_per_arm: int = 0
    time: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalistsChosen:
    """These runs are to be trained; further ones may follow, a round later, or ablations.

    Attributes:
        trial_ids: Their names.
        recipes: By arm, the trials whose recipes are compared, in the order of their turns; earlier
            versions, which compared the best alone, do not say.
        turns: By arm, over how many seeds they take turns; further seeds are contenders' own.
        draws: By number of a seed, the digest and the cache entry of its own images; none where
            all train on the search's.
        seeds: The most seeds of this run; 0 where it is not known.
    """

    kind: ClassVar[str] = "finalists"

    trial_ids: Sequence[str]
    recipes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    turns: Mapping[str, int] = field(default_factory=dict)
    draws: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    seeds: int = 0
    time: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialStarted:
    """A trial of the search, or a finalist, has its place, for the first time or again.

    Attributes:
        trial_id: Its name, unique in the sweep: `resnet34/tricks/007`.
        arm: Its arm.
        number: Its number in its arm; a finalist has that of the trial whose recipe it has.
        recipe: The recipe's fields; those that its version did not have yet are filled in.
        sample: What the search chose.
        finalist: None for a trial of the search.
    """

    kind: ClassVar[str] = "trial"

    trial_id: str
    arm: str
    number: int
    finalist: Finalist | None = None
    sample: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any]
    time: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochsReported:
    """A trial has done epochs; of those that a restarted trial repeats, the first report counts."""

    kind: ClassVar[str] = "epochs"

    trial_id: str
    epochs: Sequence[Epoch]
    time: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialTagged:
    """A trial has tags to be remembered by, such as why it was restarted."""

    kind: ClassVar[str] = "tags"

    trial_id: str
    tags: Mapping[str, str]
    time: int | None = None


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
        image_passes: Of its epochs and its test; earlier versions do not say.
        test: Of a finalist: what the test split said, by metric.
        numbers: Names of the fields that are metrics of the whole trial, in MLflow and in tables.
    """

    kind: ClassVar[str] = "end"
    numbers: ClassVar[tuple[str, ...]] = (
        "score",
        "best_epoch",
        "image_passes",
        "wall_seconds",
        "device_seconds",
    )

    trial_id: str
    outcome: Outcome
    reason: str = ""
    wall_seconds: float | None = None
    device_seconds: float | None = None
    score: float | None = None
    best_epoch: int | None = None
    image_passes: int | None = None
    test: Mapping[str, float] = field(default_factory=dict)
    time: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepFinished:
    """A driver came to its end; trials that are open then were interrupted.

    Attributes:
        outcome: How the sweep ended.
        artifacts: Absolute paths of files and folders by their path among the run's artifacts.
        metrics: Results of the sweep as a whole.
        tags: Further tags; `sweep.partial` is `true` where trials or finalists are left to do.
    """

    kind: ClassVar[str] = "finish"

    outcome: Outcome
    artifacts: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    time: int | None = None

    @property
    def partial(self) -> bool | None:
        """Return whether something is left to do; None where no tag says so."""
        tag = self.tags.get("sweep.partial")
        if tag is None:
            return None
        return tag == "true"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChampionKept:
    """The champion's checkpoint is kept, and to be registered.

    Attributes:
        name: Name of the registered model: `<study>-<data>-<preset>`.
        checkpoint: The `best.pt` it is made from; it stays until MLflow has it.
        recipe: Its recipe's fields.
        classes: Names of the classes, in the order of the output.
        move_alias: Whether the alias `champion` may come to mean this version; not for an
            unfinished sweep.
        description: What the registry shows of this version, in Markdown.
        stored_side: Pixels per side of the squares that it was trained on, before they were
            resized to its `image_size`; None where that is not known.
        predictions: The `.npz` with what it predicts for each test image; empty where there is
            none.
        test_digest: Digest of those images, their labels and the classes; empty where there is no
            `predictions`.
        metric: The score that decides which of two champions is better.
    """

    kind: ClassVar[str] = "champion"

    name: str
    checkpoint: str
    recipe: Mapping[str, Any]
    classes: Sequence[str]
    move_alias: bool
    description: str = ""
    stored_side: int | None = None
    predictions: str = ""
    test_digest: str = ""
    metric: Score = "accuracy"
    time: int | None = None


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
# Classes of events by the name that a line has under `event`.
KINDS: dict[str, type[Event]] = {kind.kind: kind for kind in get_args(Event)}


def to_json(event: Event) -> dict[str, Any]:
    """Return an event as a line of the journal holds it; without a time where it has none yet."""
    content = asdict(event)
    if event.time is None:
        del content["time"]
    # Journals of every version say null where there is no reason, and leave out an empty test;
    # earlier ones count no passes.
    if isinstance(event, TrialEnded):
        content["reason"] = event.reason or None
        if not event.test:
            del content["test"]
        if event.image_passes is None:
            del content["image_passes"]
    if isinstance(event, TrialStarted):
        content = _with_role(content, event.finalist)
    return {"event": event.kind, **content}


def from_json(line: Mapping[str, Any]) -> Event | None:
    """Return the event of a line; None for a kind that this version does not know.

    Raises:
        EventError: The line lacks what an event of its kind must hold.
    """
    kind = KINDS.get(str(line.get("event")))
    if kind is None:
        return None
    try:
        # What is null or missing keeps the default of its field, if it has one.
        values = {}
        for each in fields(kind):
            if line.get(each.name) is not None and each.name in READERS:
                values[each.name] = READERS[each.name](line[each.name])
        if kind is TrialStarted:
            values["finalist"] = _finalist(line)
        if kind is SweepStarted:
            values["dataset"] = DataRecord(**line["dataset"])
        return kind(**values)
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise EventError(f"an event {kind.kind!r} is not what it must be ({said})") from error


def role_of(finalist: Finalist | None) -> str:
    """Return the name of a run's role: trial or finalist."""
    return "finalist" if finalist else "trial"


def _with_role(content: Mapping[str, Any], finalist: Finalist | None) -> dict[str, Any]:
    """Return a start as journals have it: a role, and a finalist's group and trick as text."""
    flat = {}
    for name, value in content.items():
        if name != "finalist":
            flat[name] = value
            continue
        # In the place of the object, as every journal has had it.
        flat["role"] = role_of(finalist)
        if finalist:
            flat["group"] = finalist.group
            flat["without"] = finalist.without or ""
    return flat


def _finalist(line: Mapping[str, Any]) -> Finalist | None:
    """Return what makes a started run a finalist; earlier versions name no group."""
    if line.get("role") != "finalist":
        return None
    group = text_if_any(line.get("group")) or line["trial_id"].rpartition("/")[0]
    return Finalist(group, text_if_any(line.get("without")) or None)
