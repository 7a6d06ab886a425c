"""ASHA inside each arm: after stage 1, among peers, and never against the default recipe."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from ray.tune.schedulers import TrialScheduler

from search_spaces.space import Choice, Float, Int, SearchSpace, Variant
from sweeps.runner.scheduler import MIN_PEERS, ArmScheduler
from sweeps.runner.screening import HALVES
from trainables.metrics import EPOCH, SCORE

CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP
LR = Float(low=1e-4, high=1e-2, log=True, default=1e-3)
PLAIN = Variant(tuned={"stage2_lr": LR})
TWO_STAGES = Variant(fixed={"stage1_epochs": 4}, tuned={"stage2_lr": LR})
ARMS = SearchSpace(
    arms={"recipe": {"plain": PLAIN, "tricks": TWO_STAGES}}, fixed={"epochs": 16}
).grid()
EPOCHS = 16


@dataclass(frozen=True)
class Trial:
    """Of Ray's trial what a scheduler reads."""

    trial_id: str
    config: dict[str, Any] = field(hash=False)


def _scheduler(epochs: int = EPOCHS) -> ArmScheduler:
    return ArmScheduler(ARMS, epochs)


def _add(scheduler: ArmScheduler, number: int, arm: str = "plain") -> Trial:
    trial = Trial(f"{arm}{number}", {"number": number, "arm": arm})
    scheduler.on_trial_add(None, trial)
    return trial


def _report(scheduler: ArmScheduler, trial: Trial, epoch: int, score: float, **more: Any) -> str:
    return scheduler.on_trial_result(
        None, trial, {EPOCH: epoch, SCORE: score, "training_iteration": 99, **more}
    )


def _peers(
    scheduler: ArmScheduler, scores: list[float], epoch: int = 4, arm: str = "plain", first: int = 1
) -> list[str]:
    """New trials that train up to an epoch, one after another."""
    decisions = []
    for number, score in enumerate(scores, first):
        trial = _add(scheduler, number, arm)
        assert {_report(scheduler, trial, early, score) for early in range(1, epoch)} <= {CONTINUE}
        decisions.append(_report(scheduler, trial, epoch, score))
    return decisions


def test_the_worse_half_of_an_arm_stops_at_the_first_rung() -> None:
    assert _peers(_scheduler(), [0.5, 0.6, 0.7, 0.1, 0.9, 0.65]) == [
        CONTINUE,
        CONTINUE,
        CONTINUE,
        STOP,
        CONTINUE,
        CONTINUE,
    ]


def test_the_order_of_a_result_is_larger_is_better_and_an_equal_score_goes_on() -> None:
    assert _peers(_scheduler(), [0.5] * 6) == [CONTINUE] * 6


@pytest.mark.parametrize("peers", range(MIN_PEERS))
def test_with_fewer_peers_than_three_nobody_stops(peers: int) -> None:
    assert MIN_PEERS == 3
    assert _peers(_scheduler(), [0.9] * peers + [0.1]) == [CONTINUE] * (peers + 1)
    assert _peers(_scheduler(), [0.9] * MIN_PEERS + [0.1])[-1] == STOP


def test_arms_do_not_rank_each_other() -> None:
    scheduler = _scheduler()
    _peers(scheduler, [0.9] * 5, arm="plain")
    assert _peers(scheduler, [0.1] * 2 + [0.05], epoch=8, arm="tricks") == [CONTINUE] * 3
    assert _peers(scheduler, [0.1], first=6) == [STOP]


@pytest.mark.parametrize(
    ("stage1", "tuned", "epochs", "rung"),
    [
        (0, {}, 16, 4),
        (4, {}, 16, 8),
        (5, {}, 20, 10),
        (2, {}, 6, 4),
        (0, {}, 2, 1),
        (15, {}, 16, 16),
        (0, {"stage1_epochs": Int(low=0, high=6, default=2)}, 16, 10),
        (0, {"stage1_epochs": Choice(options=(0, 3, 1), default=1)}, 16, 7),
    ],
)
def test_the_first_rung_comes_a_quarter_after_the_longest_stage_1(
    stage1: int, tuned: dict, epochs: int, rung: int
) -> None:
    fixed = {} if tuned else {"stage1_epochs": stage1}
    (arm,) = SearchSpace(
        arms={"backbone": ("resnet18",)}, fixed={"epochs": epochs, **fixed}, tuned=tuned
    ).grid()
    assert HALVES.first_rung(arm, epochs) == rung
    assert ArmScheduler([arm], epochs).by_arm  # ASHA takes it


def test_nobody_stops_before_the_first_rung_of_its_arm() -> None:
    scheduler = _scheduler()
    assert _peers(scheduler, [0.9, 0.8, 0.7, 0.1], epoch=7, arm="tricks") == [CONTINUE] * 4
    assert _peers(scheduler, [0.9, 0.8, 0.7, 0.1], epoch=8, arm="tricks", first=5)[-1] == STOP


def test_the_default_is_ranked_but_never_stopped() -> None:
    scheduler = _scheduler()
    _peers(scheduler, [0.5, 0.6, 0.7, 0.8])
    default = _add(scheduler, 0)
    assert {_report(scheduler, default, epoch, 0.0) for epoch in range(1, EPOCHS + 1)} == {CONTINUE}
    ranked = _scheduler()
    trial = _add(ranked, 0)
    assert _report(ranked, trial, 4, 0.9) == CONTINUE
    # The median of .9, .8 and .85 is .85.
    assert _peers(ranked, [0.8, 0.85, 0.82]) == [
        CONTINUE,
        CONTINUE,
        STOP,
    ]


def test_a_diverged_trial_ends_by_itself_and_ranks_nobody() -> None:
    scheduler = _scheduler()
    for number in range(1, 6):
        trial = _add(scheduler, number)
        last = {"outcome": "diverged"}
        assert _report(scheduler, trial, 4, 0.0, **last) == CONTINUE
        scheduler.on_trial_complete(None, trial, {EPOCH: 4, SCORE: 0.0, **last})
    assert _peers(scheduler, [0.9, 0.5, 0.4], first=6) == [CONTINUE] * 3, (
        "diverged trials are no peers either"
    )
    assert _peers(scheduler, [0.3], first=9) == [STOP]


@pytest.mark.parametrize("epochs", [4, 6, 8, 16, 20])
def test_a_trial_at_its_last_epoch_is_not_stopped(epochs: int) -> None:
    scheduler = _scheduler(epochs)
    trials = [_add(scheduler, number) for number in range(1, 7)]
    for epoch in range(1, epochs):
        for trial in trials:
            _report(scheduler, trial, epoch, 0.9)  # all are equal, so none stops
    decisions = [
        _report(scheduler, trial, epochs, 0.9 - index / 10) for index, trial in enumerate(trials)
    ]
    assert decisions == [CONTINUE] * 6
    for trial in trials:
        scheduler.on_trial_complete(None, trial, {EPOCH: epochs, SCORE: 0.5})


def test_a_trial_is_judged_once_at_a_rung() -> None:
    scheduler = _scheduler()
    early = _add(scheduler, 1)
    assert _report(scheduler, early, 4, 0.1) == CONTINUE
    _peers(scheduler, [0.8] * 5, first=2)
    assert [_report(scheduler, early, epoch, 0.1) for epoch in (4, 5, 6, 7)] == [CONTINUE] * 4


def test_errors_retries_and_removals_do_not_raise() -> None:
    scheduler = _scheduler()
    failed, removed, retried = (_add(scheduler, number) for number in (1, 2, 3))
    _report(scheduler, failed, 4, 0.1)
    scheduler.on_trial_error(None, failed)
    scheduler.on_trial_remove(None, removed)
    _report(scheduler, retried, 3, 0.5)
    scheduler.on_trial_error(None, retried)
    scheduler.on_trial_add(None, retried)  # Tune adds it again
    assert _report(scheduler, retried, 4, 0.5) == CONTINUE
    scheduler.on_trial_complete(None, retried, {EPOCH: 4, SCORE: 0.5})


def test_metric_and_mode_are_the_searchs_own() -> None:
    assert _scheduler().set_search_properties("something", "min")
    assert "2 arms" in _scheduler().debug_string()


def test_a_report_of_several_epochs_is_ranked_epoch_by_epoch() -> None:
    def bulk(scheduler: ArmScheduler, trial: Trial, scores: list[float]) -> str:
        history = [{EPOCH: epoch, SCORE: score} for epoch, score in enumerate(scores, 1)]
        return _report(scheduler, trial, len(scores), scores[-1], history=history)

    scheduler = _scheduler()
    _peers(scheduler, [0.5, 0.6, 0.7])
    late = _add(scheduler, 4)
    assert bulk(scheduler, late, [0.1] * 4 + [0.9] * 3) == STOP, (
        "its 4 epochs are held against the others' 4"
    )
    early = _add(scheduler, 5)
    assert bulk(scheduler, early, [0.9] * 4 + [0.1] * 3) == CONTINUE
    over = _add(scheduler, 6)
    assert bulk(scheduler, over, [0.1] * EPOCHS) == CONTINUE, "nothing is left to save"
    history = [{EPOCH: epoch, SCORE: 0.1} for epoch in range(1, EPOCHS + 1)]
    scheduler.on_trial_complete(None, over, {EPOCH: EPOCHS, SCORE: 0.1, "history": history})
