"""Nothing but the token opens MLflow, and whether it is there may be asked without."""

import asyncio
import base64
from typing import Any

import pytest

from cluster.service.mlflow_gate import gate

TOKEN = "5ecre7"


def basic(login: str) -> bytes:
    return b"Basic " + base64.b64encode(login.encode())


def status(path: str = "/", *headers: bytes, method: str = "GET", kind: str = "http") -> Any:
    """What comes back: a status, `passed` where MLflow would have answered, or how it ended."""
    sent: list[Any] = []

    async def mlflow(scope: Any, receive: Any, send: Any) -> None:
        sent.append({"status": "passed"})

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {}

    scope = {
        "type": kind,
        "path": path,
        "method": method,
        "headers": [(b"authorization", header) for header in headers],
    }
    asyncio.run(gate(mlflow, TOKEN)(scope, receive, send))
    return sent[0].get("status") or sent[0]["type"]


@pytest.mark.parametrize(
    "header", [b"Bearer 5ecre7", b"bearer  5ecre7 ", basic(f"anybody:{TOKEN}"), basic(f":{TOKEN}")]
)
def test_the_token_opens_it_from_a_program_and_from_a_browser(header: bytes) -> None:
    assert status("/api/2.0/mlflow/runs/create", header, method="POST") == "passed"


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (b"",),
        (b"Bearer",),
        (b"Bearer ",),
        (b"Bearer 5ecre",),
        (b"Bearer 5ecre77",),
        (b"Bearer 5ECRE7",),
        (b"5ecre7",),
        (b"Basic 5ecre7",),
        (basic(TOKEN),),
        (basic(f"{TOKEN}:"),),
        (b"Bearer \xff\xfe",),
        (b"Bearer no", b"Bearer 5ecre7"),
    ],
)
def test_anything_else_does_not(headers: tuple[bytes, ...]) -> None:
    assert status("/", *headers) == 401


def test_a_browser_is_told_to_ask_for_it() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(
        gate(None, TOKEN)({"type": "http", "path": "/", "method": "GET", "headers": []}, None, send)
    )  # type: ignore[arg-type]
    assert dict(sent[0]["headers"])[b"www-authenticate"].startswith(b"Basic ")
    assert TOKEN.encode() not in sent[1]["body"]


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        ("/health", "GET", "passed"),
        ("/health", "POST", 401),
        ("/healthy", "GET", 401),
        ("/version", "HEAD", "passed"),
    ],
)
def test_only_whether_it_is_there_may_be_asked_by_all(
    path: str, method: str, expected: object
) -> None:
    assert status(path, method=method) == expected


def test_a_websocket_needs_it_too_and_the_servers_own_start_does_not() -> None:
    assert status(kind="websocket") == "websocket.close"
    assert status("/", b"Bearer 5ecre7", kind="websocket") == "passed"
    assert status(kind="lifespan") == "passed"


def test_an_empty_token_opens_nothing() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        gate(None, "")  # type: ignore[arg-type]
