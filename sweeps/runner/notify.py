"""`--notify`: one message at the end of a sweep, however it came, by a command or by apprise.

What is given may hold a token, so it is shown nowhere and kept in no file; a resume gives it again.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cluster.addresses import without_passwords
from cluster.refused import BROKEN_OFF, DONE, FAILED, INTERRUPTED
from trainables.problems import one_line

WITHIN_S = 30.0
OUTCOMES = {
    DONE: "done",
    INTERRUPTED: "interrupted",
    BROKEN_OFF: "broken off",
    FAILED: "failed",
}
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """The end of a sweep.

    Attributes:
        status: The exit status.
        said: What came of it, in a sentence; empty where nothing did.
        report: The report's page; None where there is none.
    """

    status: int
    said: str = ""
    report: Path | None = None


def check(target: str) -> None:
    """Refuse what could not be sent.

    Raises:
        ValueError: The rule that it breaks; nothing of what is given but a scheme or a program.
    """
    url = _URL.match(target)
    if url:
        _check_url(target, f"{url['scheme']}://***")
        return
    try:
        words = shlex.split(target)
    except ValueError as error:
        raise ValueError(
            f"--notify must be a URL or a command as a shell takes it ({error}): quote it."
        ) from error
    if not words:
        raise ValueError("--notify must be a URL or a command, not an empty text.")
    if shutil.which(words[0]) is None:
        raise ValueError(
            f"--notify must be a URL or a command that is there, but {words[0]!r} is not: "
            "install it, or give its path."
        )


def send(target: str, sweep: str, ending: Ending) -> str:
    """Send the message.

    Returns:
        Why it could not be sent, as a line; empty where it was.
    """
    outcome = OUTCOMES.get(ending.status, "failed")
    title = f"Sweep {sweep}: {outcome}"
    report = str(ending.report) if ending.report else ""
    body = "\n".join(filter(None, (ending.said, report)))
    if _URL.match(target):
        problem = _in_time(lambda: _post(target, title, body or title))
    else:
        said = {"SWEEP": sweep, "OUTCOME": outcome, "VERDICT": ending.said, "REPORT": report}
        problem = _run(target, "\n".join(filter(None, (title, body))), said)
    return f"--notify: the message was not sent ({problem})." if problem else ""


def _check_url(target: str, shown: str) -> None:
    """Refuse a URL that apprise does not know.

    Raises:
        ValueError: That, or apprise is not installed.
    """
    try:
        import apprise
    except ImportError as error:
        raise ValueError(
            f"--notify {shown} needs apprise, which is not installed: pip install apprise, "
            "or give a command."
        ) from error
    if apprise.Apprise.instantiate(target) is None:
        raise ValueError(
            f"--notify must be a URL as apprise takes it, but it does not know {shown} as it is "
            "given: see `apprise --details`, or give a command."
        )


def _post(target: str, title: str, body: str) -> str:
    """Send by apprise; return what is wrong."""
    import apprise

    service = apprise.Apprise()
    service.add(target)
    return "" if service.notify(title=title, body=body) else "the service did not take it"


def _in_time(act: Callable[[], str]) -> str:
    """Return what an act returns or raises, or that it takes too long."""
    problems: list[str] = []

    def run() -> None:
        try:
            problems.append(act())
        except Exception as error:  # noqa: BLE001  Whatever a service's plugin raises.
            problems.append(without_passwords(one_line(str(error))) or type(error).__name__)

    thread = threading.Thread(target=run, name="notify", daemon=True)
    thread.start()
    thread.join(WITHIN_S)
    return problems[0] if problems else f"no answer within {WITHIN_S:g} s"


def _run(target: str, text: str, said: dict[str, str]) -> str:
    """Run a command with the text as its last argument; return what is wrong.

    In its environment are DVT_SWEEP, DVT_OUTCOME, DVT_VERDICT and DVT_REPORT. A Ctrl-C in this
    terminal does not reach it.
    """
    variables = {f"DVT_{name}": value for name, value in said.items()}
    try:
        done = subprocess.run(
            [*shlex.split(target), text],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=WITHIN_S,
            env={**os.environ, **variables},
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the command did not end within {WITHIN_S:g} s"
    except OSError as error:
        return f"the command cannot be run: {error.strerror or type(error).__name__}"
    if not done.returncode:
        return ""
    last = (done.stderr.strip().splitlines() or [""])[-1]
    reason = f": {without_passwords(last)}" if last else ""
    return f"the command ended with {done.returncode}{reason}"
