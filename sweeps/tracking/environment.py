"""What a command and the driver set once, before anything is imported that reads it."""

from __future__ import annotations

import os

from cluster.process import check_temporary_folder, give_home, open_many_files, past_proxies

# MLflow's.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # "Downloading artifacts: 100%"
    # Two lines for each run that ends on a server.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # MLflow's own, 7 retries and 120 s each, would keep the end of a sweep waiting for a dead
    # server for minutes; and where the answer was lost, a retry would make a second run. Delivery
    # retries by itself, and looks first at what the server has.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


def prepare_process() -> None:
    """Make this process's environment one that all libraries can live with, and its children's.

    Of MLflow's variables, those that are set already stay.

    Raises:
        Refused: No library could live with it.
    """
    check_temporary_folder()
    give_home()
    past_proxies()
    open_many_files()
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
