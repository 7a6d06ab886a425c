"""The demo of every study ends well, and its table is the one that MLflow's records give."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from sweeps.records.history import read_history
from tests.integration.conftest import ROOT, Ran, run
from trainables.metrics import SCORE, TEST_ACCURACY

pytestmark = pytest.mark.timeout(900)

SEEDS = 5
FEWER_SEEDS = 2
FEWER = ("--trials", "4", "--seeds", str(FEWER_SEEDS))
TABLE = ["arm", "group", "trial_id", "score", "test_accuracy"]
DEMOS = {  # arms of each
    "two_stage": ["one", "two"],
    "depth_on_dogs": ["resnet18", "resnet34"],
    "backbone_comparison": ["resnet18", "resnet34"],
    "augmentation_and_schedulers": [
        "crop_flip/constant",
        "crop_flip/cosine",
        "none/constant",
        "none/cosine",
    ],
    "find_best": ["tuned"],
}
# Of another study than the flagship, few trials run with every change.
FIRST = ("two_stage", FEWER)
CASES = [
    pytest.param(FIRST, id="two_stage, few trials"),
    *(pytest.param((name, ()), marks=pytest.mark.slow, id=name) for name in DEMOS),
]


@pytest.fixture(scope="module", params=CASES)
def demo(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, cache: str
) -> tuple[str, Ran, int]:
    """A study, what its demo did in a folder of its own, and its number of seeds."""
    name, fewer = request.param
    command = ("--preset", "demo", "--name", "first", *fewer)
    study = ROOT / "sweeps" / f"{name}.py"
    cwd = tmp_path_factory.mktemp(name)
    ran = run(cwd, *command, study=study, timeout=800, DVT_CACHE_DIR=cache)
    return name, ran, FEWER_SEEDS if fewer else SEEDS


def folder(ran: Ran) -> Path:
    return ran.cwd / "mlruns" / "sweeps" / "first"


def finalists(ran: Ran) -> pd.DataFrame:
    """The finalists' rows of `results.csv`."""
    table = pd.read_csv(folder(ran) / "results.csv")
    return table[table.role == "finalist"][TABLE].sort_values("trial_id", ignore_index=True)


def finalists_of_mlflow(ran: Ran, study: str) -> pd.DataFrame:
    """The same rows, from the runs in MLflow's database."""
    client = MlflowClient(f"sqlite:///{ran.cwd}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name(study)
    assert experiment
    runs = client.search_runs([experiment.experiment_id], "tags.`sweep.role` = 'finalist'")
    rows = [
        [
            *(run.data.tags[f"sweep.{name}"] for name in TABLE[:3]),
            run.data.metrics[SCORE],
            run.data.metrics[TEST_ACCURACY],
        ]
        for run in runs
    ]
    return pd.DataFrame(rows, columns=TABLE).sort_values("trial_id", ignore_index=True)


def test_it_ends_well_and_leaves_table_report_and_champion(demo: tuple[str, Ran, int]) -> None:
    _, ran, _ = demo
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert {"results.csv", "report.html", "sweep.json", "champion"} <= {
        path.name for path in folder(ran).iterdir()
    }


def test_each_arm_has_its_default_over_all_seeds_and_its_best_in_turn(
    demo: tuple[str, Ran, int],
) -> None:
    name, ran, seeds = demo
    table = finalists(ran)
    turns = read_history(folder(ran) / "trials.jsonl").recipes
    assert sorted(set(table.arm)) == DEMOS[name]
    for arm, rows in table.groupby("arm"):
        groups = rows.groupby("group").size()
        assert f"{arm}/000" in groups.index, "as published"
        assert groups[f"{arm}/000"] == seeds
        # Each seed trained one of the best, too; the default may be one of them.
        best = rows[rows.trial_id.str.rpartition("/")[0].isin(turns[arm])]
        assert {name.rpartition("/")[2] for name in best.trial_id} == {
            f"s{number}" for number in range(seeds)
        }


def test_the_table_recomputed_from_mlflow_is_that_of_results_csv(
    demo: tuple[str, Ran, int],
) -> None:
    name, ran, _ = demo
    table, recomputed = finalists(ran), finalists_of_mlflow(ran, name)
    assert len(recomputed)
    pd.testing.assert_frame_equal(recomputed, table, check_exact=False, rtol=1e-9)
    means = [
        frame.groupby(["arm", "group"])[["score", "test_accuracy"]].mean()
        for frame in (table, recomputed)
    ]
    pd.testing.assert_frame_equal(*means, rtol=1e-9)


def test_what_the_study_states_stands_in_the_sweeps_record_and_on_its_page(
    demo: tuple[str, Ran, int],
) -> None:
    _, ran, _ = demo
    described = json.loads((folder(ran) / "sweep.json").read_text())
    page = (folder(ran) / "report.html").read_text()
    assert described["question"] in page
    assert bool(described["published"]) <= ("Published numbers" in page)
    assert described["assumptions"]
    assert "Assumptions" in page
