"""What MLflow shows beside a sweep's numbers: the views of its experiment, the answer, pictures.

None of it is the sweep's record, so a failure here is a line, and the sweep goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.runner.plan import Plan
from sweeps.tracking.calling import how_to_call
from sweeps.tracking.chosen import own_store
from sweeps.tracking.store import one_line

if TYPE_CHECKING:
    from sweeps.report.findings import Findings

NOTE = "mlflow.note.content"


def set_views(
    plan: Plan, manifest: Mapping[str, Any], tracking_uri: str, say: Callable[[str], None]
) -> None:
    """Give the study's experiment views of this sweep."""
    from sweeps.tracking.experiment import show_views
    from sweeps.tracking.views import views

    try:
        show_views(tracking_uri, plan.study.name, views(plan.name, manifest))
    except Exception as error:  # noqa: BLE001
        say(f"MLflow's views were not set ({one_line(error)}): `dvt ui` tries again.")


def note(plan: Plan, findings: Findings, model: str, say: Callable[[str], None]) -> dict[str, str]:
    """Return the tag that is the description of the sweep's run; none where that fails.

    Args:
        plan: The sweep.
        findings: What its report says.
        model: URI of the model that it ships; empty where it ships none.
        say: Shows a line.
    """
    from sweeps.report.note import described  # what it imports, the report has loaded

    try:
        calling = ""
        if model:
            calling = how_to_call(model, plan.options.tracking_uri or own_store(plan.storage))
        return {NOTE: described(findings, calling)}
    except Exception as error:  # noqa: BLE001
        say(f"MLflow's description of the sweep was not written ({one_line(error)}).")
        return {}


def pictures(plan: Plan, findings: Findings, say: Callable[[str], None]) -> dict[str, Path]:
    """Write the champion's worst mistakes and example images; return them by artifact path."""
    from sweeps.report.sheets import write_sheets

    try:
        return write_sheets(findings, plan.folder)
    except OSError:  # a full disk stops the sweep cleanly
        raise
    except Exception as error:  # noqa: BLE001
        say(f"The pictures for MLflow were not written ({one_line(error)}).")
        return {}
