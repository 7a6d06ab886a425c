"""`dvt doctor`: checks that this machine is ready, one line each, with a fix for each failure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import click
from rich.text import Text

from cluster.addresses import without_password
from cluster.session import environment, session
from sweeps.checks.convolutions import convolutions
from sweeps.checks.finding import Finding, Subject, either
from sweeps.checks.table import TABLE, findings
from sweeps.checks.table import Check as Row
from sweeps.commands import kit
from sweeps.runner.folders import cache_folder
from sweeps.runner.options import READING_FLAGS
from sweeps.runner.study import PRESETS, Preset
from sweeps.terminal.json_text import json_text
from sweeps.terminal.screen import screen, wrapped
from sweeps.terminal.waiting import waiting
from sweeps.tracking.chosen import named_store
from sweeps.tracking.store import TrackingError, artifact_location, one_line, prepare_store
from trainables.data.reading import ReadOptions
from trainables.quick_imports import quick_imports

EXPERIMENT = "dvt-doctor"
COLORS = {"ok": "green", "warning": "yellow", "failed": "red"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """All that a sweep with these flags would use."""

    subject: Subject
    tracking_uri: str | None
    preset: Preset
    data: str
    how: ReadOptions
    weights: str


Check: TypeAlias = Callable[[Asked], Iterator[Finding]]


def examine(asked: Asked) -> Iterator[tuple[str, Finding]]:
    """Yield every check's name and findings, as they come; a check that raises has failed."""
    for name, (check, mend) in CHECKS.items():
        with waiting(f"Checking {name}"):
            found = list(findings(check, asked, mend))
        for finding in found:
            yield name, finding


def _ray(asked: Asked) -> Iterator[Finding]:
    """Check that Ray answers and that a node sees as many GPUs as torch does here."""
    address = asked.subject.address
    if address == "local":
        return
    from trainables.device import count_gpus

    with environment(address), session(address, cpus=0, gpus=0) as nodes:
        here = count_gpus()
    cpus = sum(node_cpus for node_cpus, _ in nodes)
    there = [gpus for _, gpus in nodes]
    found = (
        f"{len(nodes)} nodes with {cpus} CPUs and {sum(there)} GPUs; torch sees {here} GPUs here"
    )
    mend = f"start Ray on this node with --num-gpus {here}, and where torch sees its GPUs."
    yield either(here == 0 or here in there, found, mend)


def _mlflow(asked: Asked) -> Iterator[Finding]:
    """Check that MLflow takes what a sweep will ask of it, and leave nothing there."""
    from mlflow import MlflowClient  # seconds
    from mlflow.exceptions import MlflowException

    from sweeps.tracking.experiment import ensure_experiment
    from sweeps.tracking.rehearsal import rehearse

    storage = asked.subject.storage
    try:
        moved: list[str] = []
        uri = prepare_store(asked.tracking_uri, storage, moved.append)
        client = MlflowClient(uri)
        # An experiment that is deleted keeps its name: an earlier check's is taken back.
        place = artifact_location(uri, storage, EXPERIMENT)
        number = ensure_experiment(client, EXPERIMENT, place, "")
        try:
            notes = [*moved, *rehearse(uri, storage, EXPERIMENT, EXPERIMENT)]
        finally:
            client.delete_experiment(number)
    except TrackingError as error:
        yield Finding("failed", str(error))
        return
    except MlflowException as error:
        found = f"{without_password(asked.tracking_uri or 'MLflow')}: {one_line(error)}"
        yield Finding("failed", found, "fix its permissions, or give another --tracking-uri.")
        return
    for note in notes:
        yield Finding("warning", note)
    yield Finding("ok", f"{without_password(uri)}, which takes runs, files and models")


def _data(asked: Asked) -> Iterator[Finding]:
    """Check that the data can be split as the preset asks."""
    from trainables.data import dataset
    from trainables.data.cifar10 import ARCHIVE, FOLDER

    preset = asked.preset
    caps = dataset.Caps(
        train=preset.train_per_class, val=preset.val_per_class, test=preset.test_per_class
    )

    # All that a sweep would refuse before it decodes.
    try:
        summary = dataset.inspect(
            asked.data, caps=caps, seed=0, cache=asked.subject.cache, how=asked.how
        )
    except dataset.DataError as error:
        for problem in error.problems:
            yield Finding("failed", problem)
        return
    splits = []
    for split, counts in summary.counts.items():
        splits.append(f"{sum(counts.values())} {split}")
    found = f"{asked.data}: {len(summary.classes)} classes, {', '.join(splits)} images"

    # The one data set that is downloaded.
    folder = asked.subject.cache / "datasets"
    here = (folder / FOLDER).exists() or (folder / ARCHIVE).exists()
    if asked.data == "cifar10" and not here:
        mend = f"the first sweep downloads it, 170 MB; offline, put {ARCHIVE} into {folder}."
        yield Finding("warning", f"{found}, not on this machine yet", mend)
    else:
        yield Finding("ok", found)


def _weights(asked: Asked) -> Iterator[Finding]:
    """Check that weights are there and fit a backbone."""
    from trainables import source_model

    chosen = asked.weights
    path = Path(chosen).expanduser()
    if chosen == "imagenet":
        yield _downloaded()
    elif chosen == source_model.NAME:
        yield _sources(asked.subject.cache)
    elif chosen == "none":
        yield Finding("ok", "none: random ones")
    elif not path.exists():
        mend = f"pass imagenet, none, {source_model.NAME}, a file, or a folder of <backbone>.pt."
        yield Finding("failed", f"--weights must exist, but there is no {path}", mend)
    elif path.is_file():
        yield _weights_file(path)
    else:
        yield _weights_folder(path, chosen)


def _downloaded() -> Finding:
    """Check what torchvision has downloaded of each backbone's ImageNet weights."""
    import torch
    from torchvision.models import get_model_weights

    from trainables.backbones import BACKBONES
    from trainables.weights import check_cached

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    files = {name: Path(get_model_weights(name).IMAGENET1K_V1.url).name for name in BACKBONES}
    there = [name for name, file in files.items() if (folder / file).is_file()]
    # A download that broke off has another digest than its name.
    for name in there:
        check_cached(name)
    if there:
        found = f"imagenet: {', '.join(there)} in {folder}; a sweep downloads others that it needs"
        return Finding("ok", found)
    mend = (
        f"the first sweep downloads what it needs; offline, put {', '.join(files.values())} there."
    )
    return Finding("warning", f"imagenet: none of them is in {folder} yet", mend)


def _sources(cache: Path) -> Finding:
    """Say which of the demo's source models are in the cache."""
    from trainables import source_model
    from trainables.backbones import BACKBONES

    there = [name for name in BACKBONES if source_model.path(name, cache).is_file()]
    made = ", ".join(there) or "none"
    return Finding(
        "ok",
        f"{source_model.NAME}: {made} made; a sweep makes those it lacks, half a minute each",
    )


def _weights_file(path: Path) -> Finding:
    """Check which backbones the tensors of a file fit."""
    from trainables import weights
    from trainables.backbones import BACKBONES

    weights.check(path)
    tensors = weights.read(path)
    fitting = ", ".join(weights.fitting(tensors))
    fit = f"for {fitting}" if fitting else "which fit no known backbone"
    mend = f"pass weights of {', '.join(BACKBONES)}, under torchvision's names."
    return either(bool(fitting), f"{path}: {len(tensors)} tensors, {fit}", mend)


def _weights_folder(path: Path, chosen: str) -> Finding:
    """Check that each file in a folder of weights fits the backbone that it is named after."""
    from trainables import weights
    from trainables.backbones import BACKBONES, build
    from trainables.recipe import Recipe

    there = [name for name in BACKBONES if weights.in_folder(path, name).is_file()]
    for name in there:
        file = weights.in_folder(path, name)
        weights.check(file)
        weights.load(build(Recipe(backbone=name, weights=chosen), 2), file, name)
    found = f"{path}: {', '.join(there) or 'no weights'}"
    return either(bool(there), found, "put <backbone>.pt there, or give a file.")


def _convolutions(asked: Asked) -> Iterator[Finding]:
    """Check that torch convolves rightly at the preset's size."""
    return convolutions(asked.subject.cache, asked.preset.image_size)


def _of_table(check: Row, asked: Asked) -> Iterator[Finding]:
    """Make a check that a sweep's start may share."""
    return check.look(asked.subject)


# A check, and what to do where it raises.
CHECKS: Mapping[str, tuple[Check, str]] = {
    **{name: (partial(_of_table, check), check.mend) for name, check in TABLE.items()},
    "convolutions": (_convolutions, "choose another place with DVT_CACHE_DIR."),
    "ray": (_ray, "start Ray there, or pass --address local."),
    "data": (_data, "give another --data."),
    "weights": (_weights, "give other --weights."),
    "mlflow": (_mlflow, "install MLflow again: pip install --force-reinstall mlflow."),
}


@kit.command("dvt doctor")
@kit.flags("preset", "data", *READING_FLAGS, "weights", "storage", "tracking_uri", "address")
@kit.json_flag
def command(
    preset: str | None,
    data: str | None,
    weights: str | None,
    storage: Path | None,
    tracking_uri: str | None,
    address: str | None,
    as_json: bool,
    **how: Any,
) -> int:
    """Check that this machine is ready for a sweep with these options.

    One line per check, with a fix for each failure. Exit status: 0 it is ready, 1 a check failed, 2
    invalid arguments.
    """
    # What a study with these flags would use.
    size = PRESETS[preset or "full"]
    folder = kit.storage_of(storage)
    uri = tracking_uri or named_store(folder)
    subject = Subject(
        address=address or "local",
        storage=folder,
        cache=cache_folder(folder),
        own_store=uri is None,
    )
    asked = Asked(
        subject=subject,
        tracking_uri=uri,
        preset=size,
        data=data or size.data,
        how=kit.reading(how),
        weights=weights or size.weights,
    )

    # Each finding as it comes: some checks take seconds.
    found = []
    with quick_imports():
        for name, finding in examine(asked):
            found.append(_plain(name, finding))
            if not as_json:
                _show(name, finding)
    if as_json:
        click.echo(json_text(found))
    failed = any(finding["state"] == "failed" for finding in found)
    return kit.FAILED if failed else kit.DONE


def _plain(name: str, finding: Finding) -> dict[str, str | None]:
    """Return a finding as docs/json.md has it."""
    return {
        "check": name,
        "state": finding.state,
        "found": finding.found,
        "fix": finding.mend or None,
    }


def _show(name: str, finding: Finding) -> None:
    """Print a finding and what to do."""
    console = screen()
    head = f"{finding.state:<8} {name:<12} "
    lines = list(wrapped(f"{head}{finding.found}", console.width, len(head)))
    if finding.mend:
        lines += wrapped(finding.mend, console.width, len(head) + 3, f"{'':>{len(head)}}-> ")
    for number, line in enumerate(lines):
        shown = Text(line)
        if number == 0:
            shown.stylize(COLORS[finding.state], 0, len(finding.state))
        console.print(shown, soft_wrap=True)
