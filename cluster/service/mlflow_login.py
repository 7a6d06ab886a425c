"""The way into the MLflow of this user's own service: by the token's file, not by its value.

MLflow finds `Login` as an entry point, and asks it once `MLFLOW_TRACKING_AUTH` names it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cluster.refused import Refused
from cluster.service import state as service
from cluster.service.mlflow_gate import NAME

CHOSEN = "MLFLOW_TRACKING_AUTH"


def let_in(uri: str) -> None:
    """Have MLflow's client use the token where an address is that of the service.

    A login of the user's own stays.
    """
    # A state that cannot be read is no login: MLflow asks for one, and the user is told that.
    with suppress(Refused):
        state = service.load()
        if state and uri.rstrip("/") == state.tracking:
            os.environ.setdefault(CHOSEN, NAME)


class Login:
    """The login that MLflow finds as an entry point, its "request auth provider"."""

    def get_name(self) -> str:
        """Return the name by which `MLFLOW_TRACKING_AUTH` chooses it."""
        return NAME

    def get_auth(self) -> Callable[[Any], Any]:
        """Return what `requests` calls with each request that is to be sent."""
        return sign


def sign(request: Any) -> Any:
    """Put the token into a request to the service, and into no other.

    It is read each time, since a new `up` makes another.
    """
    state = service.load()
    if state and request.url.startswith(f"{state.tracking}/"):
        request.headers["Authorization"] = f"Bearer {service.token_path().read_text().strip()}"
    return request
