"""Optuna suggests an arm's active dimensions within bounds, and the default exactly as written."""

import optuna
import pytest

from search_spaces.depth_vs_tricks import SPACE
from search_spaces.space import Arm, Choice, Float, Int, SearchSpace
from search_spaces.to_optuna import suggest

CONDITIONAL = SearchSpace(
    arms={"backbone": ("resnet18",)},
    tuned={
        "optimizer": Choice(options=("sgd", "adamw"), default="adamw"),
        "nesterov": Choice(options=(False, True), default=True, when={"optimizer": ("sgd",)}),
        "weight_decay": Float(
            low=1e-7, high=0.1, default=1e-3 / 3, log=True, when={"optimizer": ("adamw",)}
        ),
        "batch_size": Int(low=8, high=512, default=100, log=True),
        "trainable_layers": Int(low=2, high=5, default=3),
    },
)
ARMS = {arm.name: arm for arm in (*SPACE.grid()[:2], *CONDITIONAL.grid())}


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _study(seed: int = 0) -> optuna.Study:
    return optuna.create_study(
        direction="maximize", sampler=optuna.samplers.RandomSampler(seed=seed)
    )


@pytest.mark.parametrize("arm", ARMS.values(), ids=ARMS)
def test_suggestions_are_active_within_bounds_and_make_recipes(arm: Arm) -> None:
    study, seen = _study(), set()
    for _ in range(60):
        trial = study.ask()
        sample = suggest(arm, trial)
        assert sample == trial.params
        assert sample == arm.sample_with(sample), "all active dimensions, and no other"
        for name, value in sample.items():
            dim = arm.tuned[name]
            assert value in dim.options if isinstance(dim, Choice) else dim.low <= value <= dim.high
            assert not isinstance(dim, Int) or type(value) is int
        arm.recipe(sample)
        seen.add(tuple(sample))
    assert len(seen) == (2 if arm.name == "resnet18" else 1)


@pytest.mark.parametrize("arm", ARMS.values(), ids=ARMS)
def test_an_enqueued_default_comes_back_exactly(arm: Arm, recwarn: pytest.WarningsRecorder) -> None:
    study = _study()
    study.enqueue_trial(arm.default_sample())
    sample = suggest(arm, study.ask())
    assert sample == arm.default_sample()
    assert {name: type(value) for name, value in sample.items()} == {
        n: type(v) for n, v in arm.default_sample().items()
    }
    assert arm.recipe(sample) == arm.default_recipe()
    assert not recwarn.list
