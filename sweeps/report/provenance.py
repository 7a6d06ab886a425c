"""How a sweep was made: all that one needs to reproduce its numbers."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweeps.records.results import Outcome
from sweeps.report.blocks import Facts
from sweeps.report.data_section import texts
from sweeps.report.findings import Findings
from sweeps.report.formats import listed, named, seeds
from sweeps.report.results_csv import RESULTS
from sweeps.report.runs import Run, number, whole_numbers
from sweeps.report.suspects import SUSPECTS
from trainables.problems import counted


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
    if not lines:
        return None
    return Facts([("Assumptions", lines)])


def _facts(findings: Findings) -> Iterator[tuple[str, Sequence[str]]]:
    run = findings.run
    machine = run.part("machine")
    # In the order in which somebody who repeats it needs them.
    hardware = [str(machine[name]) for name in ("processor", "system") if machine.get(name)]
    finalists = ", ".join(map(str, whole_numbers(run.described.get("finalist_seeds"))))
    yield "Command", [run.text("command"), *_resumed(run)]
    yield "Started", [_moment(run.text("started"))]
    yield "Left out of the plan", list(_left_out(findings))
    yield "Commit", [run.text("machine", "commit"), _headed("code digest", run.text("code"))]
    yield "Versions", [_plain(run.part("versions"))]
    yield "Hardware", [", ".join(hardware), _slots(run)]
    yield "Python", [run.text("machine", "python")]
    yield "Numerics", [_numerics(run)]
    yield "Data", _data(run)
    yield "Weights", list(_weights(run))
    yield "Seeds", [_headed("sweep", run.text("seed")), _headed("finalists", finalists)]
    yield "Champion's recipe", [_recipe(findings), _retrain(run)]
    yield "Records", [_records(run)]


def _left_out(findings: Findings) -> Iterator[str]:
    """Yield what was planned and not trained, and why: the same for all trials of an arm."""
    run = findings.run
    if run.part("options").get("exact"):
        yield "nothing (--exact): every trial runs to its end, every arm over all seeds"
        return
    # Of the search.
    stopped = run.rows("trial", outcome=Outcome.PRUNED)
    planned = float(run.rows("trial")["epochs"].sum())
    saved = float((stopped["epochs"] - stopped["epochs_done"]).sum())
    if saved > 0:
        yield (
            f"{counted(int(saved), 'epoch')} of the search's {planned:,.0f}: "
            f"{counted(len(stopped), 'trial')} stopped for being among the worse half of its own arm"
        )
    # Of the comparison; a sweep that broke off has not left out what it did not come to.
    if not run.history.complete:
        return
    design = findings.design
    for arm in findings.arms:
        had = run.history.turns.get(arm, design.seeds)
        default = findings.default.get(arm)
        if default and len(default.seeds) == design.default_seeds < had:
            yield (
                f"{seeds(had - design.default_seeds)} of the default of {arm}: no planned "
                "comparison is of it"
            )
        if had < design.seeds:
            yield (
                f"{seeds(design.seeds - had)} of {arm}: with {had}, "
                "each of its comparisons is decided, or no comparison is planned"
            )


def _recipe(findings: Findings) -> str:
    """Return the champion's recipe, whole but for its seed."""
    if findings.champion is None:
        return ""
    recipe = dict(findings.champion.recipe)
    recipe.pop("seed", None)
    return named(recipe)


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
    # What each trial has of the machine.
    of_each = []
    if cpus > 0:
        of_each.append(counted(int(cpus), "CPU core"))
    if gpus > 1:
        of_each.append(f"{gpus:g} GPUs")
    elif gpus > 0:  # a fraction where trials share one
        of_each.append(f"{gpus:g} GPU")
    trials = f"{counted(int(count), 'trial')} at a time"
    return f"{trials}, {listed(of_each)} each" if of_each else trials


def _numerics(run: Run) -> str:
    compute = run.part("compute")
    return named({name: compute[name] for name in compute if isinstance(compute[name], str | int)})


def _data(run: Run) -> list[str]:
    counts = _by_split(run.part("data", "images"))
    limits = _by_split(run.part("data", "caps"))
    classes = run.part("data").get("classes")
    name = run.text("data", "name")
    source = run.text("data", "source")
    described = name
    if source not in ("", name):
        described = f"{name}, from {source}"
    return [
        described,
        _headed("digest", run.text("data", "digest")),
        _headed("images:", counts),
        _headed("at most per class:", limits),
        counted(len(classes), "class") if isinstance(classes, list) else "",
    ]


def _by_split(numbers: Mapping[str, Any]) -> str:
    """Return `100 train, 50 val`."""
    return ", ".join(f"{number} {split}" for split, number in numbers.items())


def _weights(run: Run) -> Iterator[str]:
    for entry in _objects(run.described.get("weights")):
        of_backbone = f"{entry.get('weights', '')} of {entry.get('backbone', '')}"
        yield f"{of_backbone}, digest {entry.get('digest') or 'none'}"


def _headed(name: str, value: str) -> str:
    return f"{name} {value}" if value else ""


def _objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects in what should be a list of them."""
    if not isinstance(value, list):
        return []
    return [entry for entry in value if isinstance(entry, dict)]


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return named({name: _plain(inner) for name, inner in value.items()})
    return str(value)
