"""A request whose answer is lost is not sent again blindly.

MLflow may have made the run, and would make a second one.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from sweeps.tracking.store import is_refusal


@pytest.fixture
def dying() -> Iterator[tuple[str, Counter[str]]]:
    """A server that takes every request, and dies before it answers.

    Its address and what it took.
    """
    taken: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            taken[self.path] += 1
            self.close_connection = True

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", taken
        server.shutdown()
        thread.join()


def test_a_run_is_asked_for_once(dying: tuple[str, Counter[str]]) -> None:
    address, taken = dying
    with pytest.raises(MlflowException) as error:
        MlflowClient(address).create_run("0")
    assert taken == {"/api/2.0/mlflow/runs/create": 1}
    assert not is_refusal(error.value), "delivery looks what MLflow has, and then asks again"
