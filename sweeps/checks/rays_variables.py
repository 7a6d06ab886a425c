"""Checks of the variables by which Ray is told where it runs and who may come in."""

from __future__ import annotations

import os
from collections.abc import Iterator

from cluster.token import has_token
from sweeps.checks.finding import Finding, Subject

MODES = ("token", "disabled")


def variables(subject: Subject) -> Iterator[Finding]:
    """Check that Ray's variables fit what was asked for."""
    bad = [*_address(subject), *_mode(subject)]
    yield from bad or [Finding("ok", f"--address {subject.address} fits Ray's variables")]


def _address(subject: Subject) -> Iterator[Finding]:
    """Say that a cluster that is named is not used; a submitted job names `auto` itself."""
    named = os.environ.get("RAY_ADDRESS")
    if named and subject.address == "local":
        found = f"RAY_ADDRESS is {named!r}, but this sweep starts a Ray of its own"
        yield Finding("warning", found, "pass --address auto to use that one.")


def _mode(subject: Subject) -> Iterator[Finding]:
    mode = os.environ.get("RAY_AUTH_MODE", "")
    # Ray takes every other word for `disabled`: anybody on the network would be let in.
    if mode and mode.lower() not in MODES:
        found = f"RAY_AUTH_MODE must be {' or '.join(MODES)}, but is {mode!r}"
        yield Finding("failed", found, "correct it, or take it out: unset RAY_AUTH_MODE.")
        return
    if mode.lower() != "token" or has_token():
        return
    path = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if path:
        found = f"RAY_AUTH_TOKEN_PATH must be a file with Ray's token, but {path} is not"
        yield Finding("failed", found, "correct it, or take it out: unset RAY_AUTH_TOKEN_PATH.")
    elif subject.address != "local":
        found = "RAY_AUTH_MODE=token needs the cluster's token, but there is none"
        yield Finding("failed", found, "pass its file as RAY_AUTH_TOKEN_PATH.")
