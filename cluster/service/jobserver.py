"""The job server of a Ray cluster: asked with a token, refused where it does not fit."""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import os
import platform
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cluster.refused import Refused
from cluster.service import state as service

TIMEOUT_S = 10.0
VERSION = "/api/version"
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


class Silent(Refused):
    """Nothing answers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What is known of a submitted job.

    Attributes:
        name: Its name, Ray's "submission id".
        status: PENDING, RUNNING, or one of `ENDED`.
        exit_code: Its driver's, once that has ended.
        message: What Ray says of its state.
        started: Seconds since 1970; None of one that has not begun.
        ended: Seconds since 1970.
        study: The study's file.
        resume: The command that resumes its sweep.
    """

    name: str
    status: str
    exit_code: int | None = None
    message: str = ""
    started: float | None = None
    ended: float | None = None
    study: str = ""
    resume: str = ""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.status in ENDED


@dataclass(frozen=True, kw_only=True, slots=True)
class JobServer:
    """The server to which jobs are submitted.

    Attributes:
        address: `http://HOST:PORT`.
        token_file: The file that holds the token; None where there is none.
        state: This user's own service, where it is that one.
        token: The token; kept out of every message.
    """

    address: str
    token_file: Path | None
    state: service.State | None
    token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The header that lets in."""
        if not self.token:
            return {}
        return {"Authorization": f"Bearer {self.token}"}

    def ask(self, path: str) -> Any:
        """Return its answer to a request, decoded from JSON.

        Raises:
            Refused: Nothing answers, the token is missing or wrong, or there is no such thing.
        """
        request = urllib.request.Request(f"{self.address}{path}", headers=self.headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return json.loads(_whole(answer))
        except urllib.error.HTTPError as error:
            said = error.read(300).decode(errors="replace")
            raise self._refused(error.code, said, path) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._silent(error) from error

    def job(self, name: str) -> Job:
        """Return what is known of a job.

        Raises:
            Refused: There is none of that name, or as `ask`.
        """
        with self._client(name) as client:
            return _job(client.get_job_info(_quoted(name)))

    def jobs(self) -> list[Job]:
        """Return the submitted jobs, newest first.

        Raises:
            Refused: As `ask`.
        """
        with self._client() as client:
            listed = client.list_jobs()
        submitted = [_job(details) for details in listed if details.submission_id]
        return sorted(submitted, key=lambda job: job.started or 0, reverse=True)

    def stop(self, name: str) -> None:
        """Ask a job to stop cleanly: its driver gets SIGTERM.

        Raises:
            Refused: As `job`.
        """
        with self._client(name) as client:
            client.stop_job(_quoted(name))

    def log(self, name: str) -> str:
        """Return what a job has written so far.

        Raises:
            Refused: As `job`.
        """
        with self._client(name) as client:
            return str(client.get_job_logs(_quoted(name)))

    def tail(self, name: str, shown: int, show: Callable[[str], None]) -> int:
        """Show what a job writes until it ends, or the connection does.

        Args:
            name: The job's name.
            shown: Characters of its log that were shown before.
            show: Shows a piece.

        Returns:
            Characters of its log that were shown by now.
        """
        # Here, since it is for this alone; Ray's client needs it, too.
        import aiohttp

        seen = 0

        async def run(client: Any) -> None:
            nonlocal seen
            async for piece in client.tail_job_logs(_quoted(name)):
                new = piece[max(0, shown - seen) :]
                if new:
                    show(new)
                seen += len(piece)

        # Whoever asks for the job's state next sees whether the server is away.
        with suppress(Refused, aiohttp.ClientError), self._client(name) as client:
            asyncio.run(run(client))
        return max(seen, shown)

    def submit(
        self,
        *,
        name: str,
        entrypoint: str,
        archive: Path,
        variables: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> None:
        """Run a command on the cluster.

        Args:
            name: The job's name.
            entrypoint: A line for its shell.
            archive: A ZIP file; the job, and so its workers, start in a folder with its content.
            variables: Variables of its environment. They are on record, as is the line: no secrets.
            metadata: Whatever else is on record.

        Raises:
            Refused: It was not accepted.
        """
        runtime = {"working_dir": str(archive), "env_vars": dict(variables)}
        with self._client() as client:
            client.submit_job(
                entrypoint=entrypoint,
                submission_id=name,
                runtime_env=runtime,
                metadata=dict(metadata),
            )

    def check_versions(self) -> None:
        """Compare Ray and Python with this side's: a job is sent and read in one version's words.

        Raises:
            Refused: They differ, or it is no job server.
        """
        # Ray's jobs of another version may have other fields.
        theirs = self._ray_version()
        ours = version("ray")
        if theirs != ours:
            raise Refused(
                f"Ray must be the same here and in the cluster, but is {ours} here and {theirs} at "
                f"{self.address}: install ray=={theirs} here, or {ours} there."
            )
        # Functions and classes are pickled, which another minor version may not read.
        try:
            python = str(self.ask("/api/v0/cluster_metadata")["data"]["pythonVersion"])
        except (LookupError, TypeError) as error:
            raise self._other("it does not say its Python") from error
        own = platform.python_version()
        major, minor, *_ = python.split(".")
        if own.split(".")[:2] != [major, minor]:
            raise Refused(
                f"Python must be the same here and in the cluster, but is {own} here and {python} "
                f"at {self.address}: submit with Python {major}.{minor}."
            )

    def _ray_version(self) -> str:
        """Return the version of its Ray.

        Raises:
            Refused: It is no job server, or as `ask`.
        """
        answer = self.ask(VERSION)
        if not isinstance(answer, dict) or not isinstance(answer.get("ray_version"), str):
            raise self._other("it does not say its Ray")
        return str(answer["ray_version"])

    @contextmanager
    def _client(self, name: str = "") -> Iterator[Any]:
        """Lend Ray's own client, whose errors become refusals.

        It sets no time limits, so the server is first asked by `ask` whether it answers.

        Args:
            name: The job that the server is asked about.

        Raises:
            Refused: The server does not answer, or not as it should.
        """
        self._ray_version()
        # It would go there instead.
        for variable in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
            os.environ.pop(variable, None)
        # Here, since Ray takes half a second to import.
        from ray.exceptions import AuthenticationError
        from ray.job_submission import JobSubmissionClient

        # They say what is uploaded, and where to.
        for logger in ("ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk"):
            logging.getLogger(logger).setLevel(logging.ERROR)
        try:
            yield JobSubmissionClient(self.address, headers=self.headers)
        except AuthenticationError as error:
            raise self._refused(403 if self.token else 401, "", "") from error
        except OSError as error:
            # The errors of requests, too.
            raise self._silent(error) from error
        except (RuntimeError, ValueError, TypeError, LookupError) as error:
            # Ray's client falls over answers in other words, too. It puts a status into
            # the text: "Request failed with status code 404: …".
            reason = " ".join(str(error).split())[:300]
            if name and "status code 404" in reason:
                raise Refused(
                    f"a job must be one of `dvt jobs`, but {self.address} knows no {name!r}."
                ) from error
            raise Refused(
                f"{self.address} must do what it is asked, but does not: {reason}"
            ) from error

    def _other(self, what: str) -> Refused:
        """Return the refusal of a server that is not Ray's."""
        return Refused(
            f"a Ray job server must answer at {self.address}, but something else does ({what}): "
            "correct --address."
        )

    def _silent(self, error: Exception) -> Silent:
        # Of JSON, or of UTF-8.
        if isinstance(error, ValueError):
            error = ValueError("what answers is no JSON")
        reason = " ".join(str(getattr(error, "reason", error)).split())
        mend = "start it there, or correct --address."
        if self.state:
            mend = "`dvt service status` says what is up."
        return Silent(
            f"a Ray job server must answer at {self.address}, but does not ({reason}): {mend}"
        )

    def _refused(self, status: int, said: str, path: str) -> Refused:
        """Return what an HTTP status means, as a refusal."""
        if status == 401:
            return Refused(
                f"{self.address} needs a token, but none was found: put it into a file of mode "
                "600, and name that with RAY_AUTH_TOKEN_PATH."
            )
        if status == 403 and self.token:
            where = self.token_file or "RAY_AUTH_TOKEN"
            return Refused(
                f"{self.address} does not know the token in {where}: name the right file with "
                "RAY_AUTH_TOKEN_PATH."
            )
        # A Ray that is ill says 5xx.
        if path == VERSION and status < 500:
            return self._other(f"HTTP {status}")
        reason = " ".join(said.split())[:200] or "no reason given"
        return Refused(f"{self.address} answers HTTP {status} to {path}: {reason}.")


def _whole(answer: http.client.HTTPResponse) -> bytes:
    """Return an answer's body.

    Raises:
        TimeoutError: It goes on and on; a socket's own limit is for each piece.
    """
    deadline = time.monotonic() + TIMEOUT_S
    pieces = []
    while piece := answer.read1(1 << 16):
        if time.monotonic() > deadline:
            raise TimeoutError(f"its answer takes more than {TIMEOUT_S:g} s")
        pieces.append(piece)
    return b"".join(pieces)


def _quoted(name: str) -> str:
    """Return a job's name as a part of a path, as which Ray's client takes it."""
    return urllib.parse.quote(name, safe="")


def _job(details: Any) -> Job:
    """Return what Ray's client says of a job, whose times are in milliseconds."""
    metadata = details.metadata or {}
    return Job(
        name=details.submission_id or details.job_id,
        status=str(details.status),
        exit_code=details.driver_exit_code,
        message=details.message or "",
        started=details.start_time and details.start_time / 1000,
        ended=details.end_time and details.end_time / 1000,
        study=metadata.get("study", ""),
        resume=metadata.get("resume", ""),
    )
