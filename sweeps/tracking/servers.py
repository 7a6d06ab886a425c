"""A look at MLflow's server by a request of its API: with the login and the certificates it needs.

MLflow's own client sends it, so that all of MLflow's variables count.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus

from cluster.addresses import without_password, without_passwords

PROBE_SECONDS = 3.0
_MAX_REASON = 200  # characters
_LOGIN = (
    "check the login: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
    "or MLFLOW_TRACKING_TOKEN."
)
_START = "start the server (mlflow server), or correct the address."
_ADDRESS = "correct the address; a path prefix belongs to it."
_CERTIFICATE = "name the file of the authority that signed it by MLFLOW_TRACKING_SERVER_CERT_PATH."
# Parts of what the libraries below MLflow say, and what to do; the first that is found counts.
_MENDS = (
    ("CERTIFICATE_VERIFY_FAILED", _CERTIFICATE),
    ("CA certificate bundle", "correct MLFLOW_TRACKING_SERVER_CERT_PATH or REQUESTS_CA_BUNDLE."),
    ("client_cert_path|TLS certificate file", "correct MLFLOW_TRACKING_CLIENT_CERT_PATH."),
    ("WRONG_VERSION_NUMBER|record layer failure", "it speaks no TLS: begin with http://."),
    ("ProxyError|proxy", "correct the proxy, or put the server's name into NO_PROXY."),
    ("ignore_tls_verification", "unset one of the two variables."),
)


def problem(uri: str) -> str:
    """Ask a server for its experiments, and return why it cannot be used; empty where it can.

    The text holds no password. It takes `PROBE_SECONDS` where nothing answers.
    """
    from mlflow.exceptions import MlflowException  # here, since MLflow takes two seconds to import
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    shown = without_password(uri)
    must = f"MLflow's server must answer within {PROBE_SECONDS:g} s, but {shown}"
    try:
        response = http_request(
            get_default_host_creds(uri),  # type: ignore[no-untyped-call]
            "/api/2.0/mlflow/experiments/search",
            "POST",
            json={"max_results": 1},
            timeout=PROBE_SECONDS,
            max_retries=0,
            raise_on_status=False,
        )
    # Of requests, of files of certificates, of an address that is none.
    except (MlflowException, OSError, ValueError) as error:
        return _no_answer(must, str(error))
    status = response.status_code
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"MLflow's server must let us in, but {shown} answers HTTP {status}: {_LOGIN}"
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return f"{must} is behind a proxy that wants a login: put it into the proxy's address."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"{must} answers HTTP {status}: look at its log."
    if status != HTTPStatus.OK or not _is_object(response.text):
        kind = f"HTTP {status}" if status != HTTPStatus.OK else "a page"
        return f"MLflow's API must be at {shown}, but {kind} is what answers there: {_ADDRESS}"
    return ""


def _no_answer(must: str, said: str) -> str:
    """Return what a request that failed means, and what to do."""
    for pattern, mend in _MENDS:
        if re.search(pattern, said):
            return f"{must} did not ({_reason(said)}): {mend}"
    return f"{must} did not ({_reason(said)}): {_START}"


def _reason(said: str) -> str:
    """Return the innermost cause out of a sentence of 400 characters."""
    for pattern in (
        r"\[Errno -?\d+\] ([^'\")]+)",
        r"(CERTIFICATE_VERIFY_FAILED\][^'\")(]*)",
        r"\[SSL: (\w+)\]",
        r"invalid path: (\S.*?)['\")]*$",
        r"(Read timed out|timed out)",
        r"Caused by \w+\(['\"](.+?)['\"]",
    ):
        found = re.search(pattern, said)
        if found:
            return found[1].replace("CERTIFICATE_VERIFY_FAILED] ", "").strip()
    line = said.strip().splitlines()[0] if said.strip() else "no reason given"
    return without_passwords(line)[:_MAX_REASON]


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
