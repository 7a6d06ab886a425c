"""The history of a sweep: its journal's events folded into trials, each epoch once, and a state.

The only fold of a journal. Resume, `dvt list`, report, `dvt sync`, MLflow's writer and the audit
ask it.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from sweeps.records.events import (
    EpochsReported,
    Event,
    EventError,
    FinalistsChosen,
    SweepFinished,
    SweepResumed,
    SweepStarted,
    TrialEnded,
    TrialStarted,
    from_json,
    role_of,
)
from sweeps.records.fields import Epoch, number
from sweeps.records.journal import events_from
from sweeps.records.results import STARTUP_TRIALS, Finalist, Outcome
from trainables.metrics import EPOCH, SCORE

State: TypeAlias = Literal["finished", "failed", "interrupted"]

# Outcomes that the searcher tells to Optuna as COMPLETE or PRUNED: those are what TPE counts.
COUNTED = (Outcome.COMPLETED, Outcome.PRUNED, Outcome.DIVERGED)


@dataclass(slots=True)
class Trial:
    """A trial of the search, or a finalist, as the journal has it.

    Attributes:
        trial_id: Its name.
        arm: Its arm.
        number: Its number in its arm; a finalist has that of the trial whose recipe it has.
        sample: What the search chose.
        recipe: The recipe's fields.
        finalist: None for a trial of the search.
        epochs: Metrics of its epochs, in order, each once.
        end: Its last end; None while there is none.
    """

    trial_id: str
    arm: str
    number: int
    sample: dict[str, Any]
    recipe: dict[str, Any]
    finalist: Finalist | None = None
    epochs: list[Epoch] = field(default_factory=list)
    end: TrialEnded | None = None

    @property
    def role(self) -> str:
        """Its role: trial or finalist."""
        return role_of(self.finalist)

    @property
    def epoch(self) -> int:
        """The last epoch that is done; 0 before the first."""
        if not self.epochs:
            return 0
        return int(self.epochs[-1][EPOCH])

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None where it is left to do.

        With all its epochs a trial of the search is completed, whether that was written or not. A
        finalist is not completed before it is scored on the test split.
        """
        if self.end and self.end.outcome is not Outcome.INTERRUPTED:
            return self.end.outcome
        asked = number(self.recipe.get("epochs"))
        whole = asked is not None and self.epoch >= max(asked, 1)
        if whole and self.finalist is None:
            return Outcome.COMPLETED
        return None

    @property
    def told(self) -> bool:
        """Return whether its end is in the journal."""
        return self.end is not None and self.end.outcome is not Outcome.INTERRUPTED

    @property
    def score(self) -> float | None:
        """The score of its end, or where none was written, of its last epoch."""
        if self.end and self.end.score is not None:
            return self.end.score
        if not self.epochs:
            return None
        return number(self.epochs[-1].get(SCORE))


@dataclass(slots=True)
class History:
    """The state of a sweep that its journal's events add up to; `apply` takes them in, in order.

    Attributes:
        trials: By name, in the order in which they were first handed out.
        sweep: The last start of a driver; None before the first.
        resumes: One for each time that the sweep was resumed.
        wanted: Finalists that the last run has chosen.
        passed: Those of them that had not begun when a later round was chosen.
        recipes: By arm, the trials whose recipes it compares, in the order of their turns.
        turns: By arm, over how many seeds they take turns.
        draws: By number of a seed, the digest and the cache entry of its own images.
        ends: Numbers of seeds that its runs had at most.
        finish: How the last run ended; None while it runs, or where it was killed.
        time: Time of the last event, in ms since 1970; 0 before the first.
        left_out: Number of lines that could not be understood.
        lines: Number of lines of the journal.
    """

    trials: dict[str, Trial] = field(default_factory=dict)
    sweep: SweepStarted | None = None
    resumes: list[SweepResumed] = field(default_factory=list)
    wanted: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    recipes: dict[str, Sequence[str]] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)
    draws: dict[str, Mapping[str, str]] = field(default_factory=dict)
    ends: set[int] = field(default_factory=set)
    finish: SweepFinished | None = None
    time: int = 0
    left_out: int = 0
    lines: int = 0
    _open: bool = False
    # Whether the next choice of finalists replaces the earlier ones.
    _choose_anew: bool = True
    # Names of trials by arm: those drawn at random, and those that have ended as TPE counts them.
    _drawn: dict[str, list[str]] = field(default_factory=dict)
    _counted: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def open(self) -> bool:
        """Return whether a driver began and its end is not in the journal."""
        return self._open

    @property
    def state(self) -> State:
        """The state of the sweep while no driver runs it."""
        if self.finish is None:
            return "interrupted"
        if self.finish.outcome is Outcome.FAILED:
            return "failed"
        if self.finish.outcome is Outcome.COMPLETED and not self.finish.partial:
            return "finished"
        return "interrupted"

    @property
    def complete(self) -> bool:
        """Return whether all is done that the sweep was last asked for, as its driver said."""
        if self.finish is None:
            return False
        return self.finish.outcome is Outcome.COMPLETED and self.finish.partial is False

    @property
    def start_up_trials(self) -> dict[str, list[str]]:
        """The trials of the search whose values were drawn at random, by arm, in order.

        They began while fewer than STARTUP_TRIALS of the arm had ended as TPE counts them. Number
        0, the default recipe, is not among them. Ray may ask for a trial somewhat before it starts,
        so that one more can be random than is listed; none that is listed was guided.
        """
        return self._drawn

    def of(self, role: str) -> tuple[Trial, ...]:
        """Return the trials of the search, or the finalists."""
        return tuple(trial for trial in self.trials.values() if trial.role == role)

    def done(self) -> set[str]:
        """Return the names of the trials and finalists that are over."""
        return {name for name, trial in self.trials.items() if trial.outcome is not None}

    def left(self, searched: Sequence[str], trials_per_arm: int) -> int:
        """Return how many trials, and finalists once they are chosen, are left to do.

        Args:
            searched: Arms that have something to tune. Trials of others, which the sweep no longer
                has, stand for none of theirs.
            trials_per_arm: As the sweep was described; a later resume may have asked for more.
        """
        asked = self.trials_per_arm(trials_per_arm)
        over = Counter(trial.arm for trial in self.of("trial") if trial.outcome is not None)
        trials = sum(max(0, asked - over[arm]) for arm in searched)
        return trials + len(self.wanted - self.passed - self.done())

    def trials_per_arm(self, described: int) -> int:
        """Return the highest number that the sweep was asked for, `described` at first."""
        asked = [resume.trials_per_arm for resume in self.resumes]
        return max([described, *asked])

    def apply(self, event: Event) -> None:
        """Take in the next event. One of a trial that never started changes nothing."""
        if event.time is not None:
            self.time = event.time
        match event:
            # The sweep as a whole.
            case SweepStarted():
                self.sweep = event
                self._open = True
            case SweepResumed():
                self.resumes.append(event)
                self.finish = None
                self._choose_anew = True
            case FinalistsChosen():
                self._choose(event)
            case SweepFinished():
                self.finish = event
                self._open = False
            # One of its trials.
            case TrialStarted():
                self._start(event)
            case EpochsReported():
                self._report(event)
            case TrialEnded():
                self._end(event)
            # Tags and a kept champion concern MLflow alone.
            case _:
                pass

    def _choose(self, event: FinalistsChosen) -> None:
        """Note who is chosen; the first choice of a run replaces that of the run before."""
        if self._choose_anew:
            self.wanted = set()
            self._choose_anew = False
        # The round before is over: what it has not begun, of an arm that was given up, never will.
        self.passed |= self.wanted - self.trials.keys()
        self.passed -= set(event.trial_ids)
        self.wanted |= set(event.trial_ids)
        self.recipes |= event.recipes
        self.turns |= event.turns
        self.draws |= event.draws
        if event.seeds:
            self.ends.add(event.seeds)

    def _start(self, event: TrialStarted) -> None:
        """Enter a trial that starts, or starts again."""
        known = self.trials.get(event.trial_id)
        # With another recipe a finalist is trained from the start: the study's change was accepted.
        changed = known is not None and event.finalist and known.recipe != event.recipe
        if known is None or changed:
            self.trials[event.trial_id] = Trial(
                trial_id=event.trial_id,
                arm=event.arm,
                number=event.number,
                sample=dict(event.sample),
                recipe=dict(event.recipe),
                finalist=event.finalist,
            )
        # The first trials of an arm are random, until enough have ended.
        if known is None and event.finalist is None:
            drawn = self._drawn.setdefault(event.arm, [])
            if event.number > 0 and len(self._counted[event.arm]) < STARTUP_TRIALS:
                drawn.append(event.trial_id)

    def _report(self, event: EpochsReported) -> None:
        """Enter epochs that are not known yet; a restarted trial repeats some."""
        trial = self.trials.get(event.trial_id)
        if trial is None:
            return
        for epoch in event.epochs:
            if epoch[EPOCH] > trial.epoch:
                trial.epochs.append(epoch)

    def _end(self, event: TrialEnded) -> None:
        """Enter how a trial ended."""
        trial = self.trials.get(event.trial_id)
        if trial is None:
            return
        trial.end = event
        if trial.finalist is None and event.outcome in COUNTED:
            self._counted[trial.arm].add(trial.trial_id)


def fold(events: Iterable[Event]) -> History:
    """Return the history that events add up to."""
    history = History()
    for event in events:
        history.apply(event)
    return history


def read_history(journal: Path) -> History:
    """Read a sound journal; a last line that was not written to its end is left out.

    Raises:
        JournalError: Another line is damaged.
        EventError: A line does not hold what an event of its kind must.
        OSError: The journal cannot be read.
    """
    history = History()
    for line, _ in events_from(journal, 0):
        history.lines += 1
        event = from_json(line)
        if event is not None:
            history.apply(event)
    return history


def salvage(journal: Path) -> History:
    """Read what can be understood of a journal, whatever it holds.

    A last line that is being written does not count as left out.

    Raises:
        OSError: The journal cannot be read.
    """
    history = History()
    lines = journal.read_bytes().splitlines(keepends=True)
    history.lines = len(lines)
    for line in lines:
        try:
            content = json.loads(line)
            if not isinstance(content, dict) or not isinstance(content.get("event"), str):
                raise EventError("an event must have a name")
            event = from_json(content)
        except (ValueError, RecursionError):
            # A last line without its end is being written just now.
            history.left_out += line.endswith(b"\n")
            continue
        if event is not None:
            history.apply(event)
    return history
