"""`dvt doctor`: checks that this machine is ready, one line each, with a fix for each failure."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import click
from rich.filesize import decimal

from cluster.addresses import without_password
from cluster.session import environment, session
from sweeps.commands import kit, machine
from sweeps.commands.machine import Finding, either
from sweeps.runner.options import READING_FLAGS, cache_folder
from sweeps.runner.study import PRESETS, Preset
from sweeps.tracking.chosen import named_store
from sweeps.tracking.store import SERVERS, TrackingError, one_line, prepare_store
from trainables.data.reading import ReadOptions

EXPERIMENT = "dvt-doctor"
LITTLE_DISK = 5 * 10**9  # bytes
COLORS = {"ok": "green", "warning": "yellow", "failed": "red"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """All that a sweep would use."""

    tracking_uri: str | None
    address: str
    storage: Path
    cache: Path
    preset: Preset
    data: str
    how: ReadOptions
    weights: str


Check: TypeAlias = Callable[[Subject], Iterator[Finding]]


def examine(subject: Subject) -> Iterator[tuple[str, Finding]]:
    """Yield every check's name and findings, as they come; a check that raises has failed."""
    for name, (check, mend) in CHECKS.items():
        try:
            for finding in check(subject):
                yield name, finding
        except Exception as error:  # noqa: BLE001 - of the machine anything may be broken
            kind = "" if isinstance(error, ValueError) else f"{type(error).__name__}: "
            yield name, Finding("failed", f"{kind}{one_line(error)}", mend)


def _ray(subject: Subject) -> Iterator[Finding]:
    """Check that Ray answers and that a node sees as many GPUs as torch does here."""
    address = subject.address
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


def _folders(subject: Subject) -> Iterator[Finding]:
    """Check that storage and cache can be written, and have room."""
    yield _written(subject.storage, "give another --storage, or change its permissions.")
    yield _written(
        subject.cache, "choose another place with DVT_CACHE_DIR, or change its permissions."
    )


def _mlflow(subject: Subject) -> Iterator[Finding]:
    """Check that MLflow takes an experiment and a run, and delete them."""
    from mlflow import MlflowClient  # seconds
    from mlflow.exceptions import MlflowException

    try:
        moved: list[str] = []
        uri = prepare_store(subject.tracking_uri, subject.storage, moved.append)
    except TrackingError as error:
        yield Finding("failed", str(error))
        return

    for line in moved:
        yield Finding("ok", line)

    # A server decides itself where artifacts go.
    where = without_password(uri)
    place = None
    if not uri.startswith(SERVERS):
        place = (subject.storage / "artifacts" / EXPERIMENT).as_uri()

    # An experiment that is deleted keeps its name: an earlier check's is taken back.
    try:
        client = MlflowClient(uri)
        known = client.get_experiment_by_name(EXPERIMENT)
        if known and known.lifecycle_stage == "deleted":
            client.restore_experiment(known.experiment_id)
        number = known.experiment_id if known else client.create_experiment(EXPERIMENT, place)
        try:
            client.delete_run(client.create_run(number).info.run_id)
        finally:
            client.delete_experiment(number)
    except MlflowException as error:
        found = f"{where} answers, but takes no run ({one_line(error)})"
        yield Finding("failed", found, "fix its permissions, or give --tracking-uri.")
        return
    yield Finding("ok", f"{where}, a run was made and deleted")


def _data(subject: Subject) -> Iterator[Finding]:
    """Check that the data can be split as the preset asks."""
    from trainables.data import dataset
    from trainables.data.cifar10 import ARCHIVE, FOLDER

    preset = subject.preset
    caps = dataset.Caps(
        train=preset.train_per_class, val=preset.val_per_class, test=preset.test_per_class
    )

    # All that a sweep would refuse before it decodes.
    try:
        summary = dataset.inspect(
            subject.data, caps=caps, seed=0, cache=subject.cache, how=subject.how
        )
    except dataset.DataError as error:
        for problem in error.problems:
            yield Finding("failed", problem)
        return
    splits = []
    for split, counts in summary.counts.items():
        splits.append(f"{sum(counts.values())} {split}")
    found = f"{subject.data}: {len(summary.classes)} classes, {', '.join(splits)} images"

    # The one data set that is downloaded.
    folder = subject.cache / "datasets"
    here = (folder / FOLDER).exists() or (folder / ARCHIVE).exists()
    if subject.data == "cifar10" and not here:
        mend = f"the first sweep downloads it, 170 MB; offline, put {ARCHIVE} into {folder}."
        yield Finding("warning", f"{found}, not on this machine yet", mend)
    else:
        yield Finding("ok", found)


def _weights(subject: Subject) -> Iterator[Finding]:
    """Check that weights are there and fit a backbone."""
    from trainables import source_model

    chosen = subject.weights
    path = Path(chosen).expanduser()
    if chosen == "imagenet":
        yield _downloaded()
    elif chosen == source_model.NAME:
        yield _sources(subject.cache)
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


def _written(folder: Path, mend: str) -> Finding:
    """Check that a folder, or the one that it would be made in, can be written, and its room."""
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=parent) as file:
            file.write(bytes(4096))
    except OSError as error:
        found = f"{folder} must be writable, but {parent} is not ({error.strerror})"
        return Finding("failed", found, mend)
    free = shutil.disk_usage(parent).free
    found = f"{folder} can be written to, {decimal(free)} free"
    if free < LITTLE_DISK:
        return Finding("warning", found, "make room: dvt clean shows what takes it.")
    return Finding("ok", found)


# A check, and what to do where it raises.
CHECKS: Mapping[str, tuple[Check, str]] = {
    "python": (lambda _: machine.python(), "pip install -e . in the project's folder."),
    "packages": (lambda _: machine.packages(), "pip install -e . in the project's folder."),
    "code": (lambda _: machine.code(), "pip install -e . in the project's folder."),
    "CPU": (lambda _: machine.cpu(), "mount /proc and /sys: CPUs and memory are read there."),
    "disk": (_folders, "give another --storage, or another place with DVT_CACHE_DIR."),
    "GPUs": (
        lambda _: machine.gpus(),
        "reload NVIDIA's driver, or leave a broken GPU out with CUDA_VISIBLE_DEVICES.",
    ),
    "precision": (
        lambda _: machine.precision(),
        "install torch again: pip install --force-reinstall torch torchvision.",
    ),
    "ray": (_ray, "start Ray there, or pass --address local."),
    "data": (_data, "give another --data."),
    "weights": (_weights, "give other --weights."),
    "mlflow": (_mlflow, "install MLflow again: pip install --force-reinstall mlflow."),
}


@kit.command("dvt doctor")
@kit.flags("preset", "data", *READING_FLAGS, "weights", "storage", "tracking_uri", "address")
def command(
    preset: str | None,
    data: str | None,
    weights: str | None,
    storage: Path | None,
    tracking_uri: str | None,
    address: str | None,
    **how: Any,
) -> int:
    """Check that this machine is ready for a sweep with these flags.

    One line per check, with a fix for each failure. Exit status: 0 all is well, 1 a check failed.
    """
    # What a study with these flags would use.
    size = PRESETS[preset or "full"]
    folder = kit.storage_of(storage)
    subject = Subject(
        tracking_uri=tracking_uri or named_store(folder),
        address=address or "local",
        storage=folder,
        cache=cache_folder(folder),
        preset=size,
        data=data or size.data,
        how=kit.reading(how),
        weights=weights or size.weights,
    )

    # Each finding as it comes: some checks take seconds.
    failed = False
    for name, finding in examine(subject):
        failed |= finding.state == "failed"
        state = click.style(f"{finding.state:<8}", fg=COLORS[finding.state])
        click.echo(f"{state} {name:<10} {finding.found}")
        if finding.mend:
            click.echo(f"{'':>19} -> {finding.mend}")
    return kit.FAILED if failed else kit.DONE
