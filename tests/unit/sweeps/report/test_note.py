"""The answer as MLflow shows it, in the description of the sweep's run."""

from __future__ import annotations

from sweeps.report.findings import Findings
from sweeps.report.headline import headline
from sweeps.report.note import LONGEST, described


def test_its_first_line_is_the_verdict_in_plain_text(found: Findings) -> None:
    first = described(found).splitlines()[0]
    assert first == headline(found)[0]
    assert not first.startswith(("#", "*", "|"))


def test_it_has_a_row_per_arm_and_the_champions_is_first_and_bold(found: Findings) -> None:
    rows = [line for line in described(found).splitlines() if line.startswith("|")]
    assert found.champion
    assert rows[2].startswith(f"| **{found.champion.name} (this model)** |")
    assert [line.split(" | ")[0].strip("| ") for line in rows[3:]] == list(found.run.arms)
    assert sum("**" in line for line in rows) == 1
    assert len({line.count("|") for line in rows}) == 1


def test_it_says_where_the_report_is_and_how_the_model_is_called(found: Findings) -> None:
    said = described(found, "### How to call it")
    assert str(found.run.folder) in said
    assert f"dvt report {found.run.name}" in said
    assert "### How to call it" in said


def test_what_is_too_long_for_mlflow_loses_its_end_and_not_the_described(found: Findings) -> None:
    said = described(found, "x" * LONGEST)
    assert len(said) <= LONGEST
    assert said.startswith(headline(found)[0])
    assert "xxx" not in said
