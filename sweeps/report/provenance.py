"""How a sweep was made: all that somebody needs who wants to get its numbers again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeps.report.blocks import Facts
from sweeps.report.findings import Findings
from sweeps.report.formats import counted
from sweeps.report.results_csv import RESULTS
from sweeps.report.runs import Run, whole_numbers
from sweeps.report.suspects import SUSPECTS


def provenance(findings: Findings) -> Facts:
    """Terms with their lines; what is not recorded is left out."""
    facts = [(term, [line for line in lines if line]) for term, lines in _facts(findings)]
    return Facts([(term, lines) for term, lines in facts if lines])


def assumptions(run: Run) -> Facts | None:
    """What the source texts leave open, or is done otherwise here; None where the study says nothing."""
    lines = _lines(run.described.get("assumptions"))
    return Facts([("Assumptions", lines)]) if lines else None


def _facts(findings: Findings) -> Iterator[tuple[str, Sequence[str]]]:
    run = findings.run
    machine = run.part("machine")
    yield "Command", [run.text("command"), *_resumed(run)]
    yield "Started", [_moment(run.text("started"))]
    yield "Commit", [run.text("machine", "commit"), _named("code digest", run.text("code"))]
    yield "Versions", [", ".join(f"{name} {value}" for name, value in run.part("versions").items())]
    yield (
        "Hardware",
        [
            ", ".join(str(machine[name]) for name in ("processor", "system") if machine.get(name)),
            _slots(run),
        ],
    )
    yield "Python", [run.text("machine", "python")]
    yield (
        "Numerics",
        [
            ", ".join(
                f"{name} {value}"
                for name, value in run.part("compute").items()
                if isinstance(value, (str, int))
            )
        ],
    )
    yield "Data", _data(run)
    yield "Weights", list(_weights(run))
    yield (
        "Seeds",
        [_named("sweep", run.text("seed")), _named("finalists", ", ".join(map(str, _seeds(run))))],
    )
    champion = findings.champion
    recipe = (
        ", ".join(f"{name} {value}" for name, value in champion.recipe.items() if name != "seed")
        if champion
        else ""
    )
    yield "Champion's recipe", [recipe, _trained_again(run)]
    folder = run.folder.absolute()
    yield (
        "Records",
        [
            f"{folder}: sweep.json, trials.jsonl (the journal), {RESULTS}, {SUSPECTS}, predictions/, champion/"
        ],
    )


def _trained_again(run: Run) -> str:
    """The command that trains the champion again, where its recipe was kept."""
    path = run.folder.absolute() / "champion" / "recipe.json"
    return (
        f"to train it again: python -m trainables {shlex.quote(str(path))}"
        if path.is_file()
        else ""
    )


def _moment(written: str) -> str:
    """`2025-11-22 01:06:00 UTC`."""
    return written.replace("T", " ").replace("+00:00", " UTC")


def _resumed(run: Run) -> Iterator[str]:
    listed = run.described.get("resumed")
    for again in listed if isinstance(listed, list) else []:
        if isinstance(again, dict):
            changed = "; ".join(["", *_lines(again.get("changes"))])
            yield f"{again.get('command', '')} (resumed {_moment(str(again.get('at', '')))}{changed})"


def _slots(run: Run) -> str:
    slots = run.part("slots")
    return ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in slots.items())


def _data(run: Run) -> list[str]:
    images, caps = run.part("data", "images"), run.part("data", "caps")
    classes = run.part("data").get("classes")
    counts = ", ".join(f"{count} {split}" for split, count in images.items())
    limits = ", ".join(f"{cap} {split}" for split, cap in caps.items())
    name, source = run.text("data", "name"), run.text("data", "source")
    return [
        name if source in ("", name) else f"{name}, from {source}",
        _named("digest", run.text("data", "digest")),
        f"images: {counts}" if counts else "",
        f"at most a class: {limits}" if limits else "",
        counted(len(classes), "class") if isinstance(classes, list) else "",
    ]


def _weights(run: Run) -> Iterator[str]:
    listed = run.described.get("weights")
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict):
            yield f"{entry.get('weights', '')} of {entry.get('backbone', '')}, digest {entry.get('digest') or 'none'}"


def _seeds(run: Run) -> list[int]:
    return whole_numbers(run.described.get("finalist_seeds"))


def _named(name: str, value: str) -> str:
    return f"{name} {value}" if value else ""


def _lines(value: Any) -> list[str]:
    return [line for line in value if isinstance(line, str)] if isinstance(value, list) else []


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
    return str(value)
