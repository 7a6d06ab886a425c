"""Checking comes first, cheap before dear: from options to a plan, from a plan to data and weights. Nothing is started here."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

from cluster.refused import Refused, collect
from cluster.resources import Slots, cluster_slots, cpu_slots, gpu_slots
from cluster.session import Nodes
from search_spaces.space import Arm, Value
from sweeps.records.score import decide
from sweeps.runner.options import Options, cache_folder
from sweeps.runner.pretrained import check_weights, locate, pretrained_of
from sweeps.runner.speed import (
    CACHE_SHARE,
    REPORT_EVERY,
    cache_share,
    choose_compute,
    not_shared,
    report_every,
)
from sweeps.runner.study import Preset, Study
from trainables.compute import Compute
from trainables.cpus import available_cpus
from trainables.data import dataset
from trainables.data.dataset import Caps, Dataset, Summary
from trainables.device import count_gpus
from trainables.metrics import Score
from trainables.randomness import named_seed
from trainables.weights import RANDOM, Weights

LEAST_FREE = 20 * 2**20
"""Bytes that a sweep's record and MLflow's database need; with less there is no point in starting."""


class Origin(TypedDict):
    """What decoded data are made of."""

    source: str
    digest: str
    image_size: int
    caps: dict[str, Any]
    how: dict[str, Any]
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What will run, where, and where its results go."""

    study: Study
    options: Options
    preset: Preset
    preset_name: str
    arms: tuple[Arm, ...]
    trials_per_arm: int
    finalist_seeds: tuple[int, ...]
    epochs: int
    data: str
    summary: Summary  # what the data would give
    weights: str
    caps: Caps
    score: Score  # what decides which epoch, trial and recipe is best
    score_line: str  # says so; decided again by `launch`, once copies are known
    name: str
    storage: Path
    cache: Path
    cache_share: float  # of the free disk, for stored activations
    report_every: float  # seconds, where epochs are shorter
    slots: Slots
    notes: tuple[str, ...]  # visible lines

    @property
    def folder(self) -> Path:
        """The sweep's own folder."""
        return self.storage / "sweeps" / self.name

    @property
    def pretrained(self) -> tuple[tuple[str, str], ...]:
        """Weights and backbone of all recipes, each pair once."""
        return pretrained_of(self.arms)

    @property
    def image_size(self) -> int:
        """Pixels a side, the same in all recipes."""
        return int(self.arms[0].possible("image_size")[0])

    def origin(self, data: Dataset) -> Origin:
        """What the data are made of, so that they can be made again."""
        here = Path(self.data).expanduser()
        return {
            "source": str(here.resolve()) if here.exists() else self.data,
            "digest": data.digest,
            "image_size": self.image_size,
            "caps": asdict(self.caps),
            "how": self.options.how.as_dict(),
            "seed": self.options.seed,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Materials:
    """Decoded data and the weights of each backbone, on this machine's disk."""

    data: Dataset
    weights: dict[tuple[str, str], Weights]  # by weights and backbone, as a recipe names them
    compute: Compute


def make_plan(study: Study, options: Options) -> Plan:
    """Check everything that needs neither data nor Ray.

    Raises:
        Refused: Everything that is wrong.
    """
    problems: list[str] = []
    preset_name = options.preset or "full"
    preset = study.presets[preset_name]
    storage = options.storage.absolute()
    name = options.name or f"{study.name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    arms = collect(problems, lambda: _arms(study, options, preset_name)) or ()
    slots, notes = collect(problems, lambda: local_slots(options)) or (cpu_slots(1), ())
    trials_per_arm = options.trials or preset.trials_per_arm or study.trials_per_arm
    collect(problems, lambda: _check_storage(storage, None if options.resume else options.name))
    weights_notes = collect(problems, lambda: check_weights(options.weights, arms)) or ()
    number = (
        study.finalist_seeds
        if preset.finalist_seeds is None
        else min(preset.finalist_seeds, study.finalist_seeds)
    )
    seeds = finalist_seeds(options.seed, number)
    if options.ablate and not seeds:
        problems.append(
            f"--ablate compares finalists, but {study.name} has none (finalist_seeds=0): leave it out."
        )
    if not seeds and (idle := [arm.name for arm in arms if not arm.tuned]):
        problems.append(
            f"an arm must have something to tune or finalists, but {', '.join(idle)} has neither."
        )
    if len(sizes := {size for arm in arms for size in arm.possible("image_size")}) > 1:
        problems.append(
            f"image_size must be the same in all arms, since they share their data, but got {sorted(sizes)}."
        )
    if options.tracking_uri is not None:
        collect(problems, partial(_check_tracking, options.tracking_uri))
    data = options.data or preset.data
    caps = Caps(train=preset.train_per_class, val=preset.val_per_class, test=preset.test_per_class)
    cache = collect(problems, lambda: cache_folder(storage)) or storage
    share = collect(problems, cache_share) or CACHE_SHARE
    every = collect(problems, report_every)
    if not data:
        problems.append(
            f"--data must name {study.own_data}: {study.name} has no images of its own to fall back on."
        )
    look = partial(
        dataset.inspect, data, caps=caps, seed=options.seed, cache=cache, how=options.how
    )
    summary = collect(problems, look) if data else None
    if problems or summary is None:
        raise Refused(*list(dict.fromkeys(problems)))
    decision = decide(
        options.score, study.score, summary.counts["val"], resumed=options.resume is not None
    )
    return Plan(
        study=study,
        options=options,
        preset=preset,
        preset_name=preset_name,
        arms=arms,
        trials_per_arm=trials_per_arm,
        finalist_seeds=seeds,
        epochs=max(epochs for arm in arms for epochs in arm.possible("epochs")),
        data=data,
        summary=summary,
        weights=", ".join(dict.fromkeys(chosen for chosen, _ in pretrained_of(arms))),
        caps=caps,
        score=decision.score,
        score_line=decision.line,
        name=name,
        storage=storage,
        cache=cache,
        cache_share=share,
        report_every=REPORT_EVERY if every is None else every,
        slots=slots,
        notes=(*notes, *weights_notes, *not_shared(arms)),
    )


def gather(
    plan: Plan,
    say: Callable[[str], None],
    compute: Compute | None = None,
    also: Iterable[tuple[str, str]] = (),
) -> Materials:
    """Decode the data and locate, fetch or make all weights; this writes to the cache only.

    Args:
        plan: Says which.
        say: Shows a line before what takes long.
        compute: Of a sweep that is resumed, for which nothing is chosen anew.
        also: Weights and backbones that trials of an earlier run had, which the study may not have any more.

    Raises:
        Refused: Everything that is wrong with them.
    """
    problems: list[str] = []
    data = collect(
        problems,
        lambda: dataset.prepare(
            plan.data,
            image_size=plan.image_size,
            caps=plan.caps,
            seed=plan.options.seed,
            cache=plan.cache,
            how=plan.options.how,
        ),
    )
    found: dict[tuple[str, str], Weights] = {}
    for chosen, backbone in dict.fromkeys((*plan.pretrained, *also)):
        path = collect(problems, partial(locate, chosen, backbone, plan.cache, say))
        found[chosen, backbone] = collect(problems, partial(Weights.of, path)) or RANDOM
    if problems or data is None:
        raise Refused(*problems)
    return Materials(
        data=data,
        weights=found,
        compute=compute
        or choose_compute(
            plan.arms, len(data.classes), plan.slots.device, plan.slots.cpus, plan.cache, say
        ),
    )


def finalist_seeds(seed: int, number: int) -> tuple[int, ...]:
    """New seeds for head, order and augmentation, which no trial of the search had."""
    return tuple(named_seed(seed, "finalist", index) % 2**31 for index in range(number))


def local_slots(options: Options) -> tuple[Slots, tuple[str, ...]]:
    """Slots of this machine, and the line to show where a GPU was hoped for.

    Raises:
        ValueError: More GPUs are asked for than torch sees.
    """
    cpus, found = available_cpus(), count_gpus()
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


def slots_on(plan: Plan, nodes: Nodes) -> Slots:
    """Slots of a cluster that was joined.

    Raises:
        Refused: It has fewer GPUs than are asked for, or a trial fits on no node.
    """
    gpus = sum(node_gpus for _, node_gpus in nodes)
    wanted = gpus if plan.options.gpus is None else plan.options.gpus
    if wanted > gpus:
        raise Refused(
            f"--gpus must be at most the GPUs of the cluster, but {wanted} are asked for and {gpus} found: "
            f"pass --gpus {gpus}, or add nodes."
        )
    if not wanted and plan.options.gpus_per_trial is not None:
        raise Refused("--gpus-per-trial needs a GPU, but the cluster has none: leave it out.")
    try:
        return cluster_slots(nodes, wanted, plan.options.gpus_per_trial or 1.0)
    except ValueError as error:
        raise Refused(str(error)) from error


def _arms(study: Study, options: Options, preset_name: str) -> tuple[Arm, ...]:
    if options.weights is not None and "weights" in study.space.swept():
        raise ValueError("--weights cannot be given where a study varies weights: leave it out.")
    preset = study.presets[preset_name]
    values: dict[str, Value] = {
        "image_size": preset.image_size,
        "epochs": preset.epochs,
        "batch_size": preset.batch_size,
    }
    if preset_name == "full":  # a study's own sizes are its full ones
        values |= {name: study.space.fixed[name] for name in values if name in study.space.fixed}
    values["weights"] = options.weights or study.space.fixed.get("weights") or preset.weights
    values["seed"] = options.seed
    # What a study varies, neither a preset nor a flag may set.
    for name in study.space.swept():
        values.pop(name, None)
    space = study.space.with_fixed(**values)
    arms = space.matching(options.arms or (study.demo_arms if preset_name == "demo" else "*"))
    for arm in arms:
        arm.default_recipe()
    return arms


def _check_storage(storage: Path, name: str | None) -> None:
    """Raise where nothing can be written below the nearest existing folder, or the name is taken; leaves nothing behind."""
    if name and (storage / "sweeps" / name).exists():
        raise ValueError(
            f"--name must be new, but {storage / 'sweeps' / name} exists: choose another name."
        )
    parent = next(path for path in (storage, *storage.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=parent):
            pass
        free = shutil.disk_usage(parent).free
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(
            f"--storage must be a folder that can be written to, but {parent} cannot ({reason})."
        ) from error
    if free < LEAST_FREE:
        raise ValueError(
            f"--storage must have {LEAST_FREE >> 20} MiB of free space, but {parent} has {free >> 20}: make room."
        )


def _check_tracking(uri: str) -> None:
    from sweeps.tracking.store import check_uri  # MLflow takes seconds to import

    check_uri(uri)
