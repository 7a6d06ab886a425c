"""The code that decides a trial's numbers and the search, as a digest: has it changed since?"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
# A study's own space is compared as it is defined.
DECIDES = (
    "trainables/**/*.py",
    "search_spaces/space.py",
    "search_spaces/to_optuna.py",
    "sweeps/records/history.py",
    "sweeps/records/results.py",
    "sweeps/records/score.py",
    "sweeps/records/champion.py",
    "sweeps/records/design.py",
    "sweeps/runner/*.py",
    "sweeps/runner/finalists/*.py",
    # Which comparisons are open, and so what is trained on.
    "sweeps/report/effects.py",
    "sweeps/report/finalists.py",
    "sweeps/report/findings.py",
    "sweeps/report/runs.py",
    "sweeps/report/strata.py",
    "sweeps/report/turns.py",
    "sweeps/report/variance.py",
    "sweeps/report/verdicts.py",
)
# Of those, what only reads flags, shows, starts and ends; a file that is new counts.
DECIDES_NOT = {
    "sweeps/runner/cli.py",
    "sweeps/runner/course.py",
    "sweeps/runner/description.py",
    "sweeps/runner/dry_run.py",
    "sweeps/runner/ending.py",
    "sweeps/runner/finalists/ahead.py",
    "sweeps/runner/flag_values.py",
    "sweeps/runner/interrupt.py",
    "sweeps/runner/keeping.py",
    "sweeps/runner/launch.py",
    "sweeps/runner/misuse.py",
    "sweeps/runner/notify.py",
    "sweeps/runner/options.py",
    "sweeps/runner/process.py",
    "sweeps/runner/progress.py",
    "sweeps/runner/retraining.py",
    "sweeps/runner/shown.py",
    "sweeps/runner/study_help.py",
    "sweeps/runner/typed.py",
    "sweeps/runner/view.py",
    "sweeps/runner/folders.py",
    "trainables/data/problems.py",
    "trainables/files.py",
    "trainables/problems.py",
    "trainables/quick_imports.py",
    "trainables/streams.py",
}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# The form of the code's digest. Earlier versions took the bytes of files: 16 digits alone.
CODE_FORM = "syntax-1:"


def code_digest(root: Path = ROOT) -> str:
    """Return a hash of the code that decides a trial's numbers: its form, and 16 hex digits.

    It is of what the code does: comments, docstrings and layout are not in it.
    """
    digest = hashlib.sha256()
    for pattern in DECIDES:
        for path in sorted(root.glob(pattern)):
            name = path.relative_to(root).as_posix()
            if name not in DECIDES_NOT:
                digest.update(f"{name}\n{_syntax(path.read_bytes())}\n".encode())
    return CODE_FORM + digest.hexdigest()[:16]


@cache
def _syntax(source: bytes) -> str:
    """Return what a file says to Python, as text; the source itself where that is no Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return repr(source)
    for node in ast.walk(tree):
        # A body's first statement, where it is a text, is the docstring.
        body = getattr(node, "body", None)
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del body[0]  # type: ignore[union-attr]
    return _text(tree)


def _text(part: object) -> str:
    """Return a part of a syntax tree as text, the same in each release of Python.

    `ast.dump` is not: newer ones leave out or add fields that hold nothing.
    """
    if isinstance(part, list):
        return f"[{','.join(map(_text, part))}]"
    if not isinstance(part, ast.AST):
        return repr(part)
    held = [(name, value) for name, value in ast.iter_fields(part) if value not in (None, [])]
    return f"{type(part).__name__}({','.join(f'{name}={_text(value)}' for name, value in held)})"


def code_change(before: str, now: str) -> str:
    """Return the line for code whose digest is another; one of another form tells nothing."""
    if before.startswith(CODE_FORM):
        return f"code of this project: {before} is now {now}"
    return (
        f"code of this project: whether it changed is not known, since {before} is the digest of "
        f"an earlier version, now {now}"
    )
