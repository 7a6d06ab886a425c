"""MLflow's server behind the service's token.

`mlflow server --app-name depth-vs-tricks` finds it as an entry point. MLflow's own `basic-auth`
would need another package, a second database and users to look after.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

NAME = "depth-vs-tricks"
TOKEN = "RAY_AUTH_TOKEN_PATH"
OPEN = ("/health", "/version")
"""The paths that everybody may ask: whether the server is there."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def create_app() -> App:
    """Return MLflow's own application, closed to everybody without the token.

    That is in the file that `RAY_AUTH_TOKEN_PATH` names.

    Raises:
        OSError: There is no such file.
        ValueError: It is empty.
    """
    # Here, since MLflow's command looks for this function, and so imports this file, without it.
    from mlflow.server.fastapi_app import app

    return gate(app, Path(os.environ[TOKEN]).read_text().strip())


def gate(app: App, token: str) -> App:
    """Return an application that passes on requests with the token, and refuses others.

    Programs send it as `Bearer`; browsers ask their user for it, as the password of a login with
    any name.
    """
    if not token:
        raise ValueError("the token must not be empty.")

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _allowed(scope, token):
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(send)

    return guarded


def _allowed(scope: Scope, token: str) -> bool:
    if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and scope["path"] in OPEN:
        return True
    # Two headers could mean two things to two readers.
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    return len(given) == 1 and hmac.compare_digest(_secret(given[0]), token.encode())


def _secret(header: bytes) -> bytes:
    """Return the token in a header of authorization, whichever way it was sent."""
    kind, _, value = header.strip().partition(b" ")
    if kind.lower() == b"bearer":
        return value.strip()
    if kind.lower() == b"basic":
        try:
            return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
        except binascii.Error:
            pass
    return b""


async def _refuse(send: Send) -> None:
    body = b"This MLflow needs the token of its service: `dvt service status` names the file.\n"
    headers = [
        (b"content-type", b"text/plain"),
        (b"www-authenticate", b'Basic realm="MLflow: the token is the password"'),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})
