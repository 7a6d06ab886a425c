"""Checking comes first, cheap before dear: from options to a plan, from a plan to data and weights. Nothing is started here."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from cluster.resources import Slots, cpu_slots, gpu_slots
from cluster.session import local_cpus
from search_spaces.space import Arm
from sweeps.runner.options import Options, Refused
from sweeps.runner.study import PRESETS, Preset, Sweep
from trainables import source_model, weights
from trainables.backbones import build
from trainables.data import dataset
from trainables.data.dataset import Caps, Dataset
from trainables.device import count_gpus
from trainables.recipe import Recipe

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What will run, where, and where its results go."""

    study: Sweep
    options: Options
    preset: Preset
    preset_name: str
    arms: tuple[Arm, ...]
    trials_per_arm: int
    epochs: int
    data: str
    weights: str
    caps: Caps
    name: str
    storage: Path
    cache: Path
    slots: Slots
    notes: tuple[str, ...]  # visible lines

    @property
    def folder(self) -> Path:
        """The sweep's own folder."""
        return self.storage / "sweeps" / self.name

    @property
    def backbones(self) -> tuple[str, ...]:
        """Backbones of all recipes, each once."""
        return backbones_of(self.arms)


@dataclass(frozen=True, kw_only=True, slots=True)
class Materials:
    """Decoded data and the weights of each backbone, on this machine's disk."""

    data: Dataset
    weights: dict[str, Path | None]


def make_plan(study: Sweep, options: Options) -> Plan:
    """Check everything that needs neither data nor Ray.

    Raises:
        Refused: Everything that is wrong.
    """
    problems: list[str] = []
    preset_name = options.preset or "full"
    preset = PRESETS[preset_name]
    storage = options.storage.absolute()
    name = options.name or f"{study.name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    arms = _collect(problems, lambda: _arms(study, options, preset)) or ()
    slots, notes = _collect(problems, lambda: local_slots(options)) or (cpu_slots(1), ())
    if options.name and (storage / "sweeps" / options.name).exists():
        problems.append(f"--name must be new, but {storage / 'sweeps' / options.name} exists: choose another name.")
    _collect(problems, lambda: _check_writable(storage))
    chosen = options.weights or preset.weights
    _collect(problems, lambda: _check_weights(chosen, arms))
    if options.tracking_uri is not None:
        _collect(problems, partial(_check_tracking, options.tracking_uri))
    plan = Plan(
        study=study,
        options=options,
        preset=preset,
        preset_name=preset_name,
        arms=arms,
        trials_per_arm=options.trials or preset.trials_per_arm or study.trials_per_arm,
        epochs=max((epochs for arm in arms for epochs in arm.possible("epochs")), default=0),
        data=options.data or preset.data,
        weights=chosen,
        caps=Caps(train=preset.train_per_class, val=preset.val_per_class, test=preset.test_per_class),
        name=name,
        storage=storage,
        cache=Path(os.environ.get("DVT_CACHE_DIR") or storage / "cache").expanduser().absolute(),
        slots=slots,
        notes=notes,
    )
    _collect(problems, lambda: inspect_data(plan))
    if problems:
        raise Refused(list(dict.fromkeys(problems)))
    return plan


def inspect_data(plan: Plan) -> dataset.Summary:
    """What the data would give, without decoding, downloading or writing anything.

    Raises:
        DataError: Everything that is wrong with it.
    """
    return dataset.inspect(plan.data, caps=plan.caps, seed=plan.options.seed, cache=plan.cache)


def gather(plan: Plan, say: Callable[[str], None]) -> Materials:
    """Decode the data and locate, fetch or make all weights; this writes to the cache only.

    Args:
        plan: Says which.
        say: Shows a line before what takes long.

    Raises:
        Refused: Everything that is wrong with them.
    """
    problems: list[str] = []
    data = _collect(
        problems,
        lambda: dataset.prepare(
            plan.data, image_size=image_size(plan), caps=plan.caps, seed=plan.options.seed, cache=plan.cache
        ),
    )
    found: dict[str, Path | None] = {}
    for backbone in plan.backbones:
        found[backbone] = _collect(problems, partial(_locate, plan, backbone, say))
    if problems or data is None:
        raise Refused(problems)
    return Materials(data=data, weights=found)


def image_size(plan: Plan) -> int:
    """Pixels a side for which data is decoded: the largest of the arms'."""
    return max(int(size) for arm in plan.arms for size in arm.possible("image_size"))


def backbones_of(arms: Sequence[Arm]) -> tuple[str, ...]:
    """Backbones that the arms' recipes can have, each once."""
    return tuple(dict.fromkeys(name for arm in arms for name in arm.possible("backbone")))


def local_slots(options: Options) -> tuple[Slots, tuple[str, ...]]:
    """Slots of this machine, and the line to show where a GPU was hoped for.

    Raises:
        ValueError: More GPUs are asked for than torch sees.
    """
    cpus, found = local_cpus(), count_gpus()
    if options.address != "local":
        return cpu_slots(cpus), ()  # counted anew once the cluster is joined
    wanted = found if options.gpus is None else options.gpus
    if wanted > found:
        if options.dry_run:
            note = f"This machine has {found} of the {wanted} GPUs: epochs are counted, hours cannot be estimated here."
            return gpu_slots(cpus, wanted, options.gpus_per_trial or 1.0), (note,)
        raise ValueError(
            f"--gpus must be at most the GPUs of this machine, but {wanted} are asked for and {found} found: "
            f"pass --gpus {found}{' to train on the CPU' if found == 0 else ''}, or --address for a cluster that has them."
        )
    if wanted:
        return gpu_slots(cpus, wanted, options.gpus_per_trial or 1.0), ()
    if options.gpus_per_trial is not None:
        raise ValueError("--gpus-per-trial needs a GPU, but this machine has none: leave it out.")
    return cpu_slots(cpus), () if options.gpus == 0 else ("No GPU found: training on the CPU.",)


def cluster_slots(plan: Plan, cpus: int, gpus: int) -> Slots:
    """Slots of a cluster that was joined.

    Raises:
        Refused: It has fewer GPUs than are asked for, or no CPU.
    """
    wanted = gpus if plan.options.gpus is None else plan.options.gpus
    if wanted > gpus:
        raise Refused(
            [
                f"--gpus must be at most the GPUs of the cluster, but {wanted} are asked for and {gpus} found: "
                f"pass --gpus {gpus}, or add nodes."
            ]
        )
    if not wanted and plan.options.gpus_per_trial is not None:
        raise Refused(["--gpus-per-trial needs a GPU, but the cluster has none: leave it out."])
    if not cpus:
        raise Refused(["the cluster must have a CPU for each trial, but it has 0: add nodes."])
    return gpu_slots(cpus, wanted, plan.options.gpus_per_trial or 1.0) if wanted else cpu_slots(cpus)


def _arms(study: Sweep, options: Options, preset: Preset) -> tuple[Arm, ...]:
    if options.weights is not None and "weights" in study.space.swept():
        raise ValueError("--weights cannot be given where a study varies weights: leave it out.")
    space = study.space.with_fixed(
        image_size=preset.image_size,
        epochs=preset.epochs,
        batch_size=preset.batch_size,
        weights=options.weights or preset.weights,
        seed=options.seed,
    )
    arms = space.matching(options.arms or (study.demo_arms if preset is PRESETS["demo"] else "*"))
    for arm in arms:
        arm.default_recipe()
    return arms


def _check_writable(storage: Path) -> None:
    """Raise where nothing can be written below the nearest existing folder; leaves nothing behind."""
    parent = next(path for path in (storage, *storage.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(f"--storage must be a folder that can be written to, but {parent} cannot ({reason}).") from error


def _check_weights(chosen: str, arms: Sequence[Arm]) -> None:
    """Local weights are read and held against each network now; what is downloaded or made is looked at later."""
    names, backbones = (*weights.NAMES, source_model.NAME), backbones_of(arms)
    if chosen in names:
        return
    path = Path(chosen).expanduser()
    if not path.exists():
        raise ValueError(f"--weights must be {', '.join(names)} or an existing path, but got {chosen!r}.")
    if path.is_file() and len(backbones) > 1:
        raise ValueError(
            f"--weights is one file, but the arms have {', '.join(backbones)}: pass a folder of <backbone>.pt, "
            f"or one backbone's arms with --arms '{backbones[0]}/*'."
        )
    problems: list[str] = []
    for arm in {arm.default_recipe().backbone: arm for arm in arms}.values():
        for backbone in arm.possible("backbone"):
            recipe = replace(arm.default_recipe(), backbone=backbone)
            _collect(problems, partial(_load, recipe, chosen))
    if problems:
        raise Refused(problems)


def _load(recipe: Recipe, chosen: str) -> None:
    if path := weights.locate(chosen, recipe.backbone):
        weights.load(build(recipe, num_classes=2), path, recipe.backbone)


def _check_tracking(uri: str) -> None:
    from sweeps.runner.mlflow_store import check_uri  # MLflow takes seconds to import

    check_uri(uri)


def _locate(plan: Plan, backbone: str, say: Callable[[str], None]) -> Path | None:
    if plan.weights == source_model.NAME:
        if not source_model.path(backbone, plan.cache).is_file():
            say(f"Training the demo's source {backbone} on the digits 0-4: once, half a minute.")
        return source_model.ensure(backbone, plan.cache)
    return weights.locate(plan.weights, backbone)


def _collect(problems: list[str], check: Callable[[], T]) -> T | None:
    """Run a check; what it raises for the user becomes lines."""
    try:
        return check()
    except Refused as error:
        problems += error.problems
    except ValueError as error:
        problems += str(error).splitlines()
    return None
