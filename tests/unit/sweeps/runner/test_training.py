"""Finalists that are left are trained: what a worker is sent, and what the journal is told."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from search_spaces.depth_vs_tricks import SPACE
from sweeps.records.events import Event, FinalistsChosen
from sweeps.records.history import Trial
from sweeps.records.results import Finalist, Outcome, Results
from sweeps.runner.driver import Run
from sweeps.runner.finalists import training
from sweeps.runner.finalists.candidates import Candidate, Entry, seeded
from sweeps.runner.trials import Batch, Place
from tests.unit.sweeps.journals import ended, epochs, finalist_started, history_of
from trainables.recipe import Recipe

ARMS = [arm.name for arm in SPACE.matching("resnet18/*")]
PLAIN, TRICKS = (
    arm.default_recipe() for arm in SPACE.with_fixed(weights="none").matching("resnet18/*")
)
SEEDS = (7, 8)
NAMES = {"resnet18/plain": ("resnet18/plain/001", "resnet18/plain/000")}


def candidate(arm: str, number: int, recipe: Recipe) -> Candidate:
    group = f"{arm}/{number:03d}"
    return Candidate(finalist=Finalist(group), arm=arm, number=number, recipe=recipe)


CANDIDATES = (
    candidate("resnet18/plain", 1, replace(PLAIN, stage2_lr=2e-3)),
    candidate("resnet18/plain", 0, PLAIN),
    candidate("resnet18/tricks", 0, TRICKS),
)
WANTED = seeded(CANDIDATES, range(2), SEEDS)


TOLD = {"resnet18/plain": 2}
CHOSEN = training.Chosen(WANTED, NAMES, TOLD)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Note what workers are sent; all of it completes."""
    noted: list[dict[str, Any]] = []

    def run_trials(run: Run, batch: Batch) -> Outcome:
        while isinstance(config := batch.searcher.suggest(""), dict):
            noted.append(config)
            finalist = Finalist(config["finalist"]["group"], config["finalist"]["without"])
            name = config["trial_id"]
            record = batch.results.start(name, config["arm"], 0, config["recipe"], finalist)
            record.outcome = Outcome.COMPLETED
        return Outcome.COMPLETED

    def trial_config(run: Run, past: Any, place: Place, recipe: Recipe, data: Any) -> Any:
        shared = {"folder": "prefix", "sweep": "night", "views": True}
        config = {"trial_id": place.trial_id, "arm": place.arm, "recipe": recipe, "data": data}
        return {**config, "shared": shared, "sample": {"stage2_lr": 0.1}}

    monkeypatch.setattr(training, "run_trials", run_trials)
    monkeypatch.setattr(training, "trial_config", trial_config)
    return noted


def running(folder: Path, past: Iterable[Trial] = (), *, over: bool = False) -> Any:
    study = SimpleNamespace(log_epochs=False)
    plan = SimpleNamespace(name="night", folder=folder, study=study, finalist_seeds=(7, 8))
    draws = SimpleNamespace(
        data=lambda seed: f"draw {seed}",
        told=lambda seeds: {str(seed): {"digest": f"d{seed}"} for seed in sorted(set(seeds))},
    )
    told: list[Event] = []
    return SimpleNamespace(
        plan=plan,
        draws=draws,
        told=told,
        tell=told.append,
        earlier=lambda role: tuple(past),
        over=lambda: over,
        say=print,
        progress=MagicMock(),
        doing=lambda what: nullcontext(),
    )


def finals() -> Results:
    return Results(dict.fromkeys(ARMS, 0))


def test_activations_of_a_seed_are_kept_for_all_groups_of_that_seed_and_for_no_other(
    sent: list[dict[str, Any]], tmp_path: Path
) -> None:
    assert training.train(running(tmp_path), CHOSEN, finals()) is Outcome.COMPLETED
    kept = [(each["trial_id"], each["shared"]["sweep"], each["shared"]["views"]) for each in sent]
    assert kept == [
        ("resnet18/plain/001/s0", "night@s0", True),
        ("resnet18/plain/000/s0", "night@s0", True),
        ("resnet18/tricks/000/s0", "night@s0", False),
        ("resnet18/plain/001/s1", "night@s1", True),
        ("resnet18/plain/000/s1", "night@s1", True),
        ("resnet18/tricks/000/s1", "night@s1", False),
    ]


def test_a_worker_is_sent_the_recipe_with_its_seed_and_the_images_of_that_seed(
    sent: list[dict[str, Any]], tmp_path: Path
) -> None:
    training.train(running(tmp_path), CHOSEN, finals())
    for config in sent:
        entry = WANTED[config["trial_id"]]
        assert (config["recipe"], config["data"]) == (entry.candidate.recipe, f"draw {entry.seed}")
        assert config["recipe"].seed == SEEDS[entry.seed]
        assert config["sample"] == {}
        assert config["finalist"]["group"] == entry.candidate.finalist.group
        assert config["finalist"]["without"] is None
        file = config["trial_id"].replace("/", "-")
        assert config["finalist"]["predictions"] == str(tmp_path / "predictions" / f"{file}.npz")


def test_the_journal_is_told_all_that_is_wanted_with_recipes_and_draws(
    sent: list[dict[str, Any]], tmp_path: Path
) -> None:
    run = running(tmp_path)
    training.train(run, CHOSEN, finals())
    draws = {"0": {"digest": "d0"}, "1": {"digest": "d1"}}
    assert run.told == [
        FinalistsChosen(
            trial_ids=list(WANTED), recipes=NAMES, turns=dict(TOLD), draws=draws, seeds=2
        )
    ]


def test_what_was_trained_in_an_earlier_round_is_not_trained_again(
    sent: list[dict[str, Any]], tmp_path: Path
) -> None:
    run = running(tmp_path)
    results = finals()
    first = dict(list(WANTED.items())[:3])
    training.train(run, replace(CHOSEN, entries=first), results)
    training.train(run, CHOSEN, results)
    assert [config["trial_id"] for config in sent] == list(WANTED)
    assert (results.total, results.left) == (6, 0)
    training.train(run, CHOSEN, results)
    assert len(sent) == len(WANTED)


def earlier(entry: Entry, name: str, *, done: bool, **changed: Any) -> Trial:
    """Return what an earlier run left of a finalist."""
    recipe = replace(entry.candidate.recipe, **changed).as_dict()
    of = entry.candidate
    lines = [finalist_started(of.arm, of.number, seed=entry.seed, recipe=recipe)]
    if done:
        lines += [epochs(name, 1, score=0.8), ended(name, score=0.8)]
    return history_of(lines).trials[name]


def test_what_an_earlier_run_has_done_counts_and_what_it_began_comes_first(
    sent: list[dict[str, Any]], tmp_path: Path
) -> None:
    names = list(WANTED)
    past = [
        earlier(WANTED[names[0]], names[0], done=True),
        earlier(WANTED[names[4]], names[4], done=False),
    ]
    results = finals()
    training.train(running(tmp_path, past), CHOSEN, results)
    assert [each["trial_id"] for each in sent] == [names[4], names[1], names[2], names[3], names[5]]
    assert results[names[0]].score == 0.8
    assert (results.total, results.left) == (6, 0)


def test_a_finalist_whose_recipe_has_changed_since_is_trained_anew_without_its_checkpoint(
    sent: list[dict[str, Any]], tmp_path: Path
) -> None:
    name = next(iter(WANTED))
    past = [earlier(WANTED[name], name, done=True, stage2_lr=0.5)]
    left = tmp_path / "checkpoints" / name.replace("/", "-")
    left.mkdir(parents=True)
    training.train(running(tmp_path, past), CHOSEN, finals())
    assert [config["trial_id"] for config in sent] == list(WANTED)
    assert not left.exists()


def test_once_the_time_is_over_nothing_starts_and_it_is_still_planned(
    sent: list[dict[str, Any]], tmp_path: Path
) -> None:
    results = finals()
    run = running(tmp_path, over=True)
    assert training.train(run, CHOSEN, results) is Outcome.COMPLETED
    assert sent == []
    assert (results.total, results.left) == (6, 6)


def test_nothing_is_left_of_nothing(sent: list[dict[str, Any]], tmp_path: Path) -> None:
    results = finals()
    assert (
        training.train(running(tmp_path), training.Chosen({}, {}, {}), results) is Outcome.COMPLETED
    )
    assert (sent, results.total) == ([], 0)
