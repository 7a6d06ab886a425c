"""What the demo sweep leaves: the terminal, MLflow's records, the champion."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import Run

from sweeps.records.palette import PALETTE
from sweeps.records.variation import varied_fields
from tests.integration.conftest import Ran, environment, run
from trainables import metrics as names
from trainables.checkpoint import load_best
from trainables.compute import Compute
from trainables.data import dataset
from trainables.finetune import evaluate
from trainables.recipe import Recipe

ARMS = ("resnet18/plain", "resnet18/tricks")
EPOCHS, TRIALS, SEEDS = 6, 12, 5
RECIPES = 5  # fewer than the better half of 12

pytestmark = pytest.mark.timeout(1100)


def client(demo: Ran) -> MlflowClient:
    # Where the client looks up a run's models.
    mlflow.set_tracking_uri(f"sqlite:///{demo.cwd}/mlruns/mlflow.db")
    return MlflowClient()


def runs(demo: Ran, role: str) -> list[Run]:
    found = client(demo)
    ids = [experiment.experiment_id for experiment in found.search_experiments()]
    return list(found.search_runs(ids, f"tags.`sweep.role` = '{role}'"))


def test_it_ends_well_and_prints_no_noise_of_the_libraries(demo: Ran) -> None:
    assert demo.code == 0, demo.err
    assert demo.err == ""
    assert "No GPU found (CUDA_VISIBLE_DEVICES is ''): training on the CPU." in demo.out
    assert f"Equal trials: {TRIALS} in each arm." in demo.out
    for noise in ("WARNING", "Warning", "ray::", "[I ", "INFO", "Trial status", "Traceback"):
        assert noise not in demo.out


def test_every_arm_has_the_same_number_of_trials_and_every_trial_one_run(demo: Ran) -> None:
    trials = runs(demo, "trial")
    assert Counter(trial.data.tags["sweep.arm"] for trial in trials) == dict.fromkeys(ARMS, TRIALS)
    assert {trial.data.tags["sweep.trial_id"] for trial in trials} == {
        f"{arm}/{n:03d}" for arm in ARMS for n in range(TRIALS)
    }
    (sweep,) = runs(demo, "sweep")
    assert {trial.data.tags["mlflow.parentRunId"] for trial in trials} == {sweep.info.run_id}
    assert sweep.info.status == "FINISHED"


def test_each_epoch_of_a_trial_stands_in_mlflow_once_with_all_metrics(demo: Ran) -> None:
    database = sqlite3.connect(demo.cwd / "mlruns" / "mlflow.db")
    for trial in runs(demo, "trial"):
        outcome = trial.data.tags["sweep.outcome"]
        assert (outcome, trial.info.status) in {
            ("completed", "FINISHED"),
            ("pruned", "FINISHED"),
            ("diverged", "FAILED"),
        }
        of_val = (*names.VAL_SCORES.values(), names.VAL_LOSS)
        for metric in (*of_val, names.TRAIN_ACCURACY, names.TRAIN_LOSS, names.LR, names.STAGE):
            query = "select step from metrics where run_uuid = ? and key = ? order by step"
            steps = [step for (step,) in database.execute(query, (trial.info.run_id, metric))]
            assert steps == list(range(1, len(steps) + 1)), (trial.info.run_name, metric)
            if outcome == "completed":
                assert len(steps) == EPOCHS


def test_a_run_has_what_varies_its_sweep_the_rest_and_both_the_data(demo: Ran) -> None:
    (sweep,) = runs(demo, "sweep")
    described = json.loads((demo.cwd / "mlruns/sweeps/first/sweep.json").read_text())
    varied = varied_fields(described["definition"])
    assert {"stage2_lr", "augmentation"} <= set(varied)
    assert sweep.data.params["image_size"] == "32"
    assert sweep.data.params["backbone"] == "resnet18"
    for trial in runs(demo, "trial"):
        assert set(trial.data.params) == set(varied)
        assert {*varied, *sweep.data.params} >= set(Recipe.field_names())
    for finalist in runs(demo, "finalist"):
        assert set(finalist.data.params) == {*varied, "seed"}
    digest = sweep.inputs.dataset_inputs[0].dataset.digest
    for trial in runs(demo, "trial"):
        assert trial.inputs.dataset_inputs[0].dataset.digest == digest
        assert trial.data.metrics["wall_seconds"] > 0
        assert trial.data.metrics["device_seconds"] > 0


def test_every_run_has_its_image_passes_in_the_table_and_in_mlflow(demo: Ran) -> None:
    folder = demo.cwd / "mlruns/sweeps/first"
    table = pd.read_csv(folder / "results.csv").set_index("trial_id")
    images = json.loads((folder / "sweep.json").read_text())["data"]["images"]
    expected = table.epochs_done * (3 * images["train"] + images["val"])
    expected += (table.role == "finalist") * (images["val"] + images["test"])
    pd.testing.assert_series_equal(table.image_passes, expected, check_names=False)
    for trained in [*runs(demo, "trial"), *runs(demo, "finalist")]:
        name = trained.data.tags["sweep.trial_id"]
        assert trained.data.metrics["image_passes"] == table.image_passes[name]


def test_trial_0_of_each_arm_is_its_default_recipe_and_ran_to_its_end(demo: Ran) -> None:
    first = [
        trial for trial in runs(demo, "trial") if trial.data.tags["sweep.trial_id"].endswith("/000")
    ]
    assert len(first) == len(ARMS)
    for trial in first:
        assert trial.data.tags["sweep.outcome"] == "completed"
        plain = trial.data.tags["sweep.arm"].endswith("plain")
        assert trial.data.params["stage2_lr"] == ("0.001" if plain else "0.0001")
        assert trial.data.params["trainable_layers"] == "3"


def test_each_seed_trains_one_of_the_best_recipes_and_the_default_of_each_arm(demo: Ran) -> None:
    table = pd.read_csv(demo.cwd / "mlruns/sweeps/first/results.csv")
    trials, finals = table[table.role == "trial"], table[table.role == "finalist"]
    assert len(trials) == len(ARMS) * TRIALS
    completed = trials[trials.outcome == "completed"].sort_values(
        ["score", "number"], ascending=[False, True]
    )
    for arm, of_arm in completed.groupby("arm"):
        best = set(of_arm.trial_id.head(RECIPES))
        had = finals[finals.arm == arm]
        assert best <= set(had.group) <= {*best, f"{arm}/000"}
        assert set(had[had.group == f"{arm}/000"].seed_number) == set(range(SEEDS))
        # In turn: each seed has another of the best.
        turns = had[had.group.isin(best)].groupby("group").seed_number.apply(set)
        assert set.union(*turns) == set(range(SEEDS))
    assert set(finals.outcome) == {"completed"}
    assert not set(finals.seed) & set(trials.seed)
    runs_of = {run.data.tags["sweep.trial_id"]: run for run in runs(demo, "finalist")}
    assert {
        name: run.data.metrics[names.TEST_ACCURACY] for name, run in runs_of.items()
    } == pytest.approx(dict(zip(finals.trial_id, finals.test_accuracy, strict=True)))
    assert {name: run.data.tags["sweep.group"] for name, run in runs_of.items()} == dict(
        zip(finals.trial_id, finals.group, strict=True)
    )


def test_each_seed_has_its_own_draw_which_all_arms_share_and_one_test_split(
    demo: Ran, cache: str
) -> None:
    table = pd.read_csv(demo.cwd / "mlruns/sweeps/first/results.csv")
    finals = table[table.role == "finalist"]
    draws = finals.groupby("seed_number").draw.agg(["nunique", "first"])
    assert list(draws["nunique"]) == [1] * SEEDS
    assert draws["first"].nunique() == SEEDS
    tested = []
    for path in sorted((demo.cwd / "mlruns/sweeps/first/predictions").iterdir()):
        with np.load(path) as file:
            tested.append(file["test_labels"])
    assert all(np.array_equal(tested[0], others) for others in tested[1:])


def test_the_champion_is_the_cheapest_of_what_val_cannot_tell_from_the_best(demo: Ran) -> None:
    table = pd.read_csv(demo.cwd / "mlruns/sweeps/first/results.csv")
    finals = table[table.role == "finalist"]
    scores = finals.pivot_table(index="seed_number", columns="group", values="score").dropna(axis=1)
    champion = json.loads((demo.cwd / "mlruns/sweeps/first/champion/recipe.json").read_text())
    group = champion["trial"].rpartition("/")[0]
    leader = scores.mean().idxmax()
    gaps = scores[leader] - scores[group]
    assert gaps.mean() <= gaps.std() / np.sqrt(len(gaps)) + 1e-12
    parameters = finals.groupby("group").parameters.first()
    assert parameters[group] <= parameters[leader]
    seeds = finals[finals.group == group]
    assert champion["score"] == pytest.approx(seeds.score.max())
    (sweep,) = runs(demo, "sweep")
    assert sweep.data.metrics[names.TEST_ACCURACY] == pytest.approx(seeds.test_accuracy.mean())
    assert sweep.data.metrics[names.TEST_BALANCED_ACCURACY] == pytest.approx(
        seeds.test_balanced_accuracy.mean()
    )
    assert sweep.data.metrics[names.TEST_MACRO_F1] == pytest.approx(seeds.test_macro_f1.mean())
    assert sweep.data.tags["sweep.champion"] == champion["trial"]
    assert sweep.data.tags["sweep.score"] == champion["metric"] == "accuracy"
    assert "Score: accuracy, since val has 25 images per class.\n" in demo.out
    page = (demo.cwd / "mlruns/sweeps/first/report.html").read_text()
    assert f"{100 * seeds.test_accuracy.mean():.1f}% of the test images correctly" in page
    kept = {item.path for item in client(demo).list_artifacts(sweep.info.run_id)}
    tables = {"results.csv", "comparisons.csv", "suspects.csv"}
    assert {"report.html", "sweep.json", "champion", *tables} <= kept
    artifacts = {
        item.path
        for item in client(demo).list_artifacts(runs(demo, "sweep")[0].info.run_id, "champion")
    }
    assert artifacts == {"champion/recipe.json"}, "its weights are the registered model's"


def test_each_comparison_has_a_verdict_on_the_terminal_in_its_table_and_in_mlflow(
    demo: Ran,
) -> None:
    table = pd.read_csv(demo.cwd / "mlruns/sweeps/first/comparisons.csv")
    # Of depth there is nothing to say: the demo leaves resnet50 out.
    assert list(table.comparison) == ["tricks"]
    (row,) = table.to_dict("records")
    assert row["n"] == SEEDS
    assert f"Tricks: {row['verdict']}" in demo.out
    (sweep,) = runs(demo, "sweep")
    assert sweep.data.tags["sweep.verdict.tricks"] == row["verdict"]
    assert sweep.data.metrics["comparison/tricks"] == pytest.approx(row["estimate"])
    assert sweep.data.metrics["spread/images"] > 0


def test_mlflow_opens_on_the_answer(demo: Ran) -> None:
    (sweep,) = runs(demo, "sweep")
    said = sweep.data.tags["mlflow.note.content"]
    verdict = said.splitlines()[0]
    assert verdict in demo.out
    for arm in ARMS:
        assert f"| {arm} |" in said or f"| **{arm}** |" in said
    assert "models:/depth_vs_tricks-digits-demo@champion" in said
    # Each arm has one color, in all of its runs.
    colors = {
        (run.data.tags["sweep.arm"], run.data.tags["mlflow.runColor"])
        for run in (*runs(demo, "trial"), *runs(demo, "finalist"))
    }
    assert colors == set(zip(ARMS, PALETTE, strict=False))
    # Pictures, the views of the experiment, and what the machine did.
    found = client(demo)
    kept = {item.path for item in found.list_artifacts(sweep.info.run_id, "pictures")}
    assert kept == {"pictures/examples.png", "pictures/worst_mistakes.png"}
    tags = found.get_experiment(sweep.info.experiment_id).tags
    assert "tags.`sweep.name` = 'first'" in tags["mlflow.sharedViewState.trials"]
    cpus = found.get_metric_history(sweep.info.run_id, "system/cpu_utilization_percentage")
    assert len({point.step for point in cpus}) == len(cpus) > 1
    # The registered model and its version say how they are called.
    model = found.get_registered_model("depth_vs_tricks-digits-demo")
    assert "mlflow.pyfunc.load_model" in model.description
    version = found.get_model_version(model.name, "1")
    assert version.description.startswith(sweep.data.tags["sweep.champion"])
    assert f'load_model("models:/{model.name}/1")' in version.description


def test_the_champions_checkpoint_has_the_score_that_is_claimed_for_it(
    demo: Ran, cache: str
) -> None:
    folder = demo.cwd / "mlruns/sweeps/first/champion"
    claimed = json.loads((folder / "recipe.json").read_text())
    network, recipe, classes = load_best(folder / "best.pt")
    assert classes == ("5", "6", "7", "8", "9")
    caps = dataset.Caps(**claimed["data"]["caps"])
    data = dataset.prepare(
        "digits",
        image_size=32,
        caps=caps,
        seed=claimed["data"]["seed"],
        cache=Path(cache),
        draw=claimed["data"]["draw"],
    )
    assert data.digest == claimed["data"]["digest"]
    assert data.draw is not None
    compute = Compute.from_dict(claimed["compute"])
    network.train_groups(recipe.trainable_layers, batch_stats=False)
    compute.install(network)
    found = evaluate(network, data.split("val"), recipe.image_size, torch.device("cpu"))
    assert found[names.VAL_ACCURACY] == pytest.approx(claimed["score"])


def test_the_champions_command_trains_it_again_to_the_same_score(demo: Ran) -> None:
    claimed = json.loads((demo.cwd / "mlruns/sweeps/first/champion/recipe.json").read_text())
    command = claimed["command"].split()
    assert command[0] == "python"
    done = subprocess.run(
        [sys.executable, *command[1:], "--out", "again"],
        cwd=demo.cwd,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    again = torch.load(demo.cwd / "again" / "best.pt", weights_only=True)
    assert again["score"] == claimed["score"]


def test_the_registered_model_answers_for_images_of_any_size(demo: Ran) -> None:
    client(demo)
    model = mlflow.pyfunc.load_model("models:/depth_vs_tricks-digits-demo@champion")
    assert model.metadata.metadata["classes"] == ["5", "6", "7", "8", "9"]
    for shape in ((1, 48, 64, 3), (3, 8, 8, 3)):
        probabilities = model.predict(np.zeros(shape, np.uint8))
        assert probabilities.shape == (shape[0], 5)
        np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


def test_only_the_champions_weights_stay_and_mlflow_holds_the_same_file(demo: Ran) -> None:
    folder = demo.cwd / "mlruns/sweeps/first"
    assert [path.name for path in folder.rglob("*.pt")] == ["best.pt"]
    assert "Kept: the champion's weights, " in demo.out
    assert not (folder / "ray").exists()
    (stored,) = (demo.cwd / "mlruns/artifacts").rglob("best.pt")
    assert stored.samefile(folder / "champion" / "best.pt")


def test_a_name_that_is_taken_is_refused_and_the_old_sweep_stays(demo: Ran, cache: str) -> None:
    before = (demo.cwd / "mlruns/sweeps/first/results.csv").read_bytes()
    second = run(demo.cwd, "--preset", "demo", "--name", "first", DVT_CACHE_DIR=cache)
    assert second.code == 2
    assert second.err.count("\n") == 1
    assert "--name must be new" in second.err
    assert (demo.cwd / "mlruns/sweeps/first/results.csv").read_bytes() == before
