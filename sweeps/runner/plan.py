"""From options to a plan, and from a plan to data and weights.

Checks come first, cheap before expensive. Nothing is started here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

from cluster.refused import Refused, collect
from cluster.resources import Slots, cluster_slots, cpu_slots, gpu_slots, in_memory
from cluster.session import Nodes
from search_spaces.space import Arm, Value
from sweeps.checks.finding import Subject
from sweeps.checks.machine import why_none
from sweeps.checks.table import check_start
from sweeps.records.score import decide
from sweeps.records.usable import check_name
from sweeps.runner import notify
from sweeps.runner.finalists.bounds import check_size
from sweeps.runner.finalists.candidates import finalist_seeds, sizes
from sweeps.runner.folders import cache_folder
from sweeps.runner.options import Options
from sweeps.runner.pretrained import check_weights, located, pretrained_of
from sweeps.runner.progress import Progress
from sweeps.runner.speed import (
    CACHE_SHARE,
    REPORT_EVERY,
    cache_share,
    choose_compute,
    not_shared,
    report_every,
)
from sweeps.runner.study import Preset, Study, new_name
from sweeps.tracking.chosen import notes as tracking_notes
from sweeps.tracking.store import check_uri
from trainables.compute import Compute
from trainables.cpus import available_cpus
from trainables.data import dataset
from trainables.data.dataset import Caps, Dataset, Summary
from trainables.device import count_gpus
from trainables.memory import available_memory
from trainables.metrics import Score
from trainables.problems import counted
from trainables.weights import Weights


class Origin(TypedDict):
    """All that decoded data are made from."""

    source: str
    digest: str
    image_size: int
    caps: dict[str, Any]
    how: dict[str, Any]
    seed: int
    draw: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A sweep that can run: what, where, and where its results go."""

    study: Study
    options: Options
    preset: Preset
    preset_name: str
    arms: tuple[Arm, ...]
    trials_per_arm: int
    finalist_recipes: int  # of each arm, at most
    finalist_seeds: tuple[int, ...]
    epochs: int
    data: str
    summary: Summary
    weights: str
    caps: Caps
    # What decides which epoch, trial and recipe is best; `launch` asks again once copies are known.
    score: Score
    score_line: str
    name: str
    storage: Path
    cache: Path
    cache_share: float  # of the free disk, for stored activations
    report_every: float  # seconds, where epochs are shorter
    slots: Slots
    notes: tuple[str, ...]  # lines to be shown

    @property
    def folder(self) -> Path:
        """The sweep's own folder."""
        return self.storage / "sweeps" / self.name

    @property
    def image_size(self) -> int:
        """Pixels per side, the same in all recipes."""
        return int(self.arms[0].possible("image_size")[0])

    def origin(self, data: Dataset) -> Origin:
        """Return all that the data are made from, so that they can be made again."""
        source = self.data
        path = Path(self.data).expanduser()
        if path.exists():
            source = str(path.resolve())
        return {
            "source": source,
            "digest": data.digest,
            "image_size": self.image_size,
            "caps": asdict(self.caps),
            "how": self.options.how.as_dict(),
            "seed": self.options.seed,
            "draw": data.draw,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Materials:
    """Decoded data and the weights of each backbone, on this machine's disk."""

    data: Dataset
    # By weights and backbone, as a recipe names them.
    weights: dict[tuple[str, str], Weights]
    compute: Compute


def make_plan(study: Study, options: Options) -> Plan:
    """Check everything that needs neither data nor Ray.

    Raises:
        Refused: Everything that is wrong.
    """
    problems: list[str] = []
    preset_name = options.preset or "full"
    preset = study.presets[preset_name]

    # Where it runs, and where its results go.
    storage = options.storage.absolute()
    name = options.name or new_name(study.name)
    arms = collect(problems, lambda: _arms(study, options, preset_name)) or ()
    slots, notes = collect(problems, lambda: local_slots(options)) or (cpu_slots(1), ())
    if options.name and not options.resume:
        collect(problems, partial(check_name, storage, options.name))
    cache = collect(problems, lambda: cache_folder(storage)) or storage
    subject = Subject(
        address=options.address,
        storage=storage,
        cache=cache,
        study=study.name,
        resumed=options.resume,
        own_store=options.tracking_uri is None,
    )
    machine_notes = collect(problems, lambda: check_start(subject)) or ()

    # What it trains, and how often.
    weights_notes = collect(problems, lambda: check_weights(options.weights, arms)) or ()
    recipes, most = collect(problems, lambda: sizes(study, preset, options.seeds)) or (1, 0)
    seeds = finalist_seeds(options.seed, most)
    problems += _problems(study, options, arms, seeds)

    # The services around it.
    if options.tracking_uri:
        collect(problems, partial(check_uri, options.tracking_uri))
    if options.notify is not None and not options.dry_run:
        collect(problems, partial(notify.check, options.notify))
    share = collect(problems, cache_share) or CACHE_SHARE
    every = collect(problems, report_every)

    # The data last: looking through folders takes longest.
    data = options.data or preset.data
    caps = Caps(train=preset.train_per_class, val=preset.val_per_class, test=preset.test_per_class)
    summary = collect(problems, lambda: _inspected(study, options, data, caps, cache))
    if summary:
        size = partial(check_size, options.bounds, arms, len(summary.classes))
        machine_notes += collect(problems, size) or ()
    if problems or summary is None:
        raise Refused(*dict.fromkeys(problems))
    resumed = options.resume is not None
    decision = decide(options.score, study.score, summary.counts["val"], resumed=resumed)
    return Plan(
        study=study,
        options=options,
        preset=preset,
        preset_name=preset_name,
        arms=arms,
        trials_per_arm=options.trials or preset.trials_per_arm or study.trials_per_arm,
        finalist_recipes=recipes,
        finalist_seeds=seeds,
        epochs=max(max(arm.possible("epochs")) for arm in arms),
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
        notes=(
            *machine_notes,
            *notes,
            *tracking_notes(study.name, options.tracking_uri, storage),
            *weights_notes,
            *not_shared(arms),
        ),
    )


def _inspected(study: Study, options: Options, data: str, caps: Caps, cache: Path) -> Summary:
    """Return what the data would give.

    Raises:
        ValueError: There are none, or they cannot be trained on.
    """
    if not data:
        raise ValueError(
            f"--data must name {study.own_data}: "
            f"{study.name} has no images of its own to fall back on."
        )
    return dataset.inspect(data, caps=caps, seed=options.seed, cache=cache, how=options.how)


def prepared(plan: Plan, draw: int | None = None) -> Dataset:
    """Return the data of the search, or of a draw, decoded; raise what `dataset.prepare` does."""
    return dataset.prepare(
        plan.data,
        image_size=plan.image_size,
        caps=plan.caps,
        seed=plan.options.seed,
        cache=plan.cache,
        how=plan.options.how,
        draw=draw,
    )


def gather(
    plan: Plan,
    progress: Progress,
    compute: Compute | None = None,
    also: Iterable[tuple[str, str]] = (),
) -> Materials:
    """Decode the data and locate, fetch or make all weights; this writes to the cache only.

    Args:
        plan: Says which.
        progress: Shows what takes long.
        compute: That of a sweep that is resumed: nothing is chosen again.
        also: Weights and backbones of an earlier run's trials, which the study may have no more.

    Raises:
        Refused: Everything that is wrong with them.
    """
    problems: list[str] = []
    with progress.doing("Decoding images"):
        data = collect(problems, partial(prepared, plan))
    pairs = (*pretrained_of(plan.arms), *also)
    files = collect(problems, partial(located, pairs, plan.cache, progress))
    if problems or data is None or files is None:
        raise Refused(*problems)

    # Convolutions are timed last, where all else is there.
    if compute is None:
        with progress.doing("Choosing how to compute"):
            classes = len(data.classes)
            compute = choose_compute(plan.arms, classes, plan.slots, plan.cache, progress.say)
    return Materials(data=data, weights=files, compute=compute)


def local_slots(options: Options) -> tuple[Slots, tuple[str, ...]]:
    """Return the slots of this machine, and lines to show where they are not what was hoped for.

    Raises:
        ValueError: More GPUs are asked for than torch sees.
    """
    cpus = available_cpus()
    gpus = count_gpus()
    # They are counted again once the cluster is joined.
    if options.address != "local":
        return cpu_slots(cpus), ()
    wanted = gpus if options.gpus is None else options.gpus
    if wanted > gpus:
        note = _too_few_gpus(options, wanted, gpus)
        return gpu_slots(cpus, wanted, options.gpus_per_trial or 1.0), (note,)
    if wanted:
        return gpu_slots(cpus, wanted, options.gpus_per_trial or 1.0), ()
    if options.gpus_per_trial is not None:
        raise ValueError("--gpus-per-trial needs a GPU, but this machine has none: leave it out.")
    slots, notes = _slots_in_memory(cpus)
    if options.gpus is None:
        notes = (f"No GPU found{why_none()}: training on the CPU.", *notes)
    return slots, notes


def _slots_in_memory(cpus: int) -> tuple[Slots, tuple[str, ...]]:
    """Return slots on this machine's CPUs, and a line where its memory holds fewer trials."""
    wanted = cpu_slots(cpus)
    memory = available_memory()
    slots = in_memory(wanted, memory)
    if slots == wanted:
        return slots, ()
    return slots, (
        f"{counted(slots.count, 'trial')} at a time instead of {wanted.count}: "
        f"{memory / 1e9:.1f} GB of memory holds no more.",
    )


def slots_on(plan: Plan, nodes: Nodes) -> Slots:
    """Return the slots of a cluster that was joined.

    Raises:
        Refused: It has fewer GPUs than are asked for, or a trial fits on no node.
    """
    gpus = sum(node_gpus for _, node_gpus in nodes)
    wanted = gpus if plan.options.gpus is None else plan.options.gpus
    if wanted > gpus:
        raise Refused(
            f"--gpus must be at most the GPUs of the cluster, but {wanted} are asked for and "
            f"{gpus} found: pass --gpus {gpus}, or add nodes."
        )
    if not wanted and plan.options.gpus_per_trial is not None:
        raise Refused("--gpus-per-trial needs a GPU, but the cluster has none: leave it out.")
    try:
        return cluster_slots(nodes, wanted, plan.options.gpus_per_trial or 1.0)
    except ValueError as error:
        raise Refused(str(error)) from error


def _too_few_gpus(options: Options, wanted: int, gpus: int) -> str:
    """Return a line for `--dry-run`, which needs no GPU; refuse all else."""
    if options.dry_run:
        return (
            f"This machine has {gpus} of the {wanted} GPUs: "
            "epochs are counted, hours cannot be estimated here."
        )
    on_cpu = " to train on the CPU" if gpus == 0 else ""
    raise ValueError(
        f"--gpus must be at most the GPUs of this machine, but {wanted} are asked for and {gpus} "
        f"found: pass --gpus {gpus}{on_cpu}, or --address for a cluster that has them."
    )


def _problems(
    study: Study, options: Options, arms: Sequence[Arm], seeds: Sequence[int]
) -> Iterator[str]:
    """Yield a line for each thing that is wrong with arms and finalists taken together."""
    if options.ablate and not seeds:
        yield (
            f"--ablate compares finalists, but {study.name} has none (finalist_seeds=0): "
            "leave it out."
        )
    idle = [arm.name for arm in arms if not arm.tuned]
    if idle and not seeds:
        names = ", ".join(idle)
        yield f"an arm must have something to tune or finalists, but {names} has neither."
    sizes = {size for arm in arms for size in arm.possible("image_size")}
    if len(sizes) > 1:
        yield (
            "image_size must be the same in all arms, since they share their data, "
            f"but got {sorted(sizes)}."
        )


def _arms(study: Study, options: Options, preset_name: str) -> tuple[Arm, ...]:
    """Return the study's arms that match, with the sizes of the preset.

    Raises:
        ValueError: Weights are given to a study that varies them, no arm matches, or a recipe
            breaks a rule.
    """
    if options.weights is not None and "weights" in study.space.swept():
        raise ValueError("--weights cannot be given where a study varies weights: leave it out.")
    preset = study.presets[preset_name]
    values: dict[str, Value] = {
        "image_size": preset.image_size,
        "epochs": preset.epochs,
        "batch_size": preset.batch_size,
    }
    # A study's own sizes are its full ones.
    if preset_name == "full":
        values |= {name: study.space.fixed[name] for name in values if name in study.space.fixed}
    values["weights"] = options.weights or study.space.fixed.get("weights") or preset.weights
    values["seed"] = options.seed
    # What a study varies, neither a preset nor a flag may set.
    for name in study.space.swept():
        values.pop(name, None)
    space = study.space.with_fixed(**values)
    pattern = study.demo_arms if preset_name == "demo" else "*"
    arms = space.matching(options.arms or pattern)
    # The default recipes check themselves.
    for arm in arms:
        arm.default_recipe()
    return arms
