"""How a sweep was made: all that one needs to reproduce its numbers."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeps.report.blocks import Facts
from sweeps.report.data_section import texts
from sweeps.report.findings import Findings
from sweeps.report.formats import counted
from sweeps.report.results_csv import RESULTS
from sweeps.report.runs import Run, number, whole_numbers
from sweeps.report.suspects import SUSPECTS


def provenance(findings: Findings) -> Facts:
    """Return terms with their lines; what is not recorded is left out."""
    facts = []
    for term, lines in _facts(findings):
        known = list(filter(None, lines))
        if known:
            facts.append((term, known))
    return Facts(facts)


def assumptions(run: Run) -> Facts | None:
    """Return what the source texts leave open, or is done otherwise here.

    None where the study says nothing.
    """
    lines = texts(run.described.get("assumptions"))
    return Facts([("Assumptions", lines)]) if lines else None


def _facts(findings: Findings) -> Iterator[tuple[str, Sequence[str]]]:
    run = findings.run
    machine = run.part("machine")
    hardware = [str(machine[name]) for name in ("processor", "system") if machine.get(name)]
    finalists = ", ".join(map(str, whole_numbers(run.described.get("finalist_seeds"))))
    yield "Command", [run.text("command"), *_resumed(run)]
    yield "Started", [_moment(run.text("started"))]
    yield "Commit", [run.text("machine", "commit"), _named("code digest", run.text("code"))]
    yield "Versions", [_plain(run.part("versions"))]
    yield "Hardware", [", ".join(hardware), _slots(run)]
    yield "Python", [run.text("machine", "python")]
    yield "Numerics", [_numerics(run)]
    yield "Data", _data(run)
    yield "Weights", list(_weights(run))
    yield "Seeds", [_named("sweep", run.text("seed")), _named("finalists", finalists)]
    yield "Champion's recipe", [_recipe(findings), _retrain(run)]
    yield "Records", [_records(run)]


def _recipe(findings: Findings) -> str:
    """Return the champion's recipe, whole but for its seed."""
    if findings.champion is None:
        return ""
    recipe = findings.champion.recipe
    return ", ".join(f"{name} {value}" for name, value in recipe.items() if name != "seed")


def _retrain(run: Run) -> str:
    """Return the command that retrains the champion, where its recipe was kept."""
    path = run.folder.absolute() / "champion" / "recipe.json"
    if not path.is_file():
        return ""
    return f"to retrain it: python -m trainables {shlex.quote(str(path))}"


def _records(run: Run) -> str:
    return (
        f"{run.folder.absolute()}: sweep.json, trials.jsonl (the journal), {RESULTS}, {SUSPECTS}, "
        "predictions/, champion/"
    )


def _moment(written: str) -> str:
    """Return `2025-11-22 01:06:00 UTC`."""
    return written.replace("T", " ").replace("+00:00", " UTC")


def _resumed(run: Run) -> Iterator[str]:
    for again in _objects(run.described.get("resumed")):
        when = _moment(str(again.get("at", "")))
        changed = "; ".join(["", *texts(again.get("changes"))])
        yield f"{again.get('command', '')} (resumed {when}{changed})"


def _slots(run: Run) -> str:
    """Return `2 trials at a time, 1 CPU core each`; nothing where the number is not recorded."""
    slots = run.part("slots")
    count = number(slots.get("count"))
    cpus = number(slots.get("cpus"))
    gpus = number(slots.get("gpus"))
    if not count > 0:
        return ""
    of_each = []
    if cpus > 0:
        of_each.append(f"{cpus:g} CPU {'core' if cpus == 1 else 'cores'}")
    if gpus > 0:
        of_each.append(f"{gpus:g} {'GPUs' if gpus > 1 else 'GPU'}")
    room = f", {' and '.join(of_each)} each" if of_each else ""
    return f"{counted(int(count), 'trial')} at a time{room}"


def _numerics(run: Run) -> str:
    known = []
    for name, value in run.part("compute").items():
        if isinstance(value, (str, int)):
            known.append(f"{name} {value}")
    return ", ".join(known)


def _data(run: Run) -> list[str]:
    counts = ", ".join(f"{count} {split}" for split, count in run.part("data", "images").items())
    limits = ", ".join(f"{cap} {split}" for split, cap in run.part("data", "caps").items())
    classes = run.part("data").get("classes")
    name = run.text("data", "name")
    source = run.text("data", "source")
    return [
        name if source in ("", name) else f"{name}, from {source}",
        _named("digest", run.text("data", "digest")),
        _named("images:", counts),
        _named("at most per class:", limits),
        counted(len(classes), "class") if isinstance(classes, list) else "",
    ]


def _weights(run: Run) -> Iterator[str]:
    for entry in _objects(run.described.get("weights")):
        of_backbone = f"{entry.get('weights', '')} of {entry.get('backbone', '')}"
        yield f"{of_backbone}, digest {entry.get('digest') or 'none'}"


def _named(name: str, value: str) -> str:
    return f"{name} {value}" if value else ""


def _objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects in what should be a list of them."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
    return str(value)
