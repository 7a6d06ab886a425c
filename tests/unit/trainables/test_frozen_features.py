"""Activations of frozen layers are shared between trials, and change no number of any trial."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from trainables.backbones import build
from trainables.compute import Compute
from trainables.feature_store import FeatureStore
from trainables.frozen_features import Shared, cuts_of
from trainables.network import Network
from trainables.recipe import LAYER_GROUPS, Recipe
from trainables.weights import Weights

Run = Callable[..., list[dict[str, Any]]]
CUTS = ("layer3", "layer4", "fc")


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shared:
    monkeypatch.setattr(
        FeatureStore, "decide", lambda *_: None
    )  # by the clock, which decides nothing in a test
    return Shared(store=FeatureStore(tmp_path / "prefix", sweep="first"), cuts=CUTS)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Where each pass of more than one image through frozen groups starts and what it takes."""
    seen: list[tuple[str, ...]] = []
    through = Network.through

    def spy(self: Network, inputs: torch.Tensor, cuts: Any, *, start: str = "stem") -> Any:
        if len(inputs) > 1:  # one image is asked for its shape alone
            seen.append((start, *sorted(cuts, key=LAYER_GROUPS.index)))
        return through(self, inputs, cuts, start=start)

    monkeypatch.setattr(Network, "through", spy)
    return seen


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("augmentation", ["none", "crop_flip_color"])
@pytest.mark.parametrize(("k", "stage1_epochs"), [(1, 0), (2, 1), (3, 0), (3, 1), (5, 1), (6, 0)])
def test_with_and_without_the_store_a_trial_gives_the_same_numbers_to_the_last_bit(
    k: int,
    stage1_epochs: int,
    augmentation: str,
    precision: Any,
    tiny: Recipe,
    run: Run,
    shared: Shared,
    tmp_path: Path,
) -> None:
    recipe = replace(
        tiny, trainable_layers=k, stage1_epochs=stage1_epochs, augmentation=augmentation, epochs=3
    )
    compute = Compute(precision=precision)
    alone = run(recipe, compute=compute, checkpoints=tmp_path / "alone")
    assert run(recipe, compute=compute, shared=shared, checkpoints=tmp_path / "first") == alone
    assert run(recipe, compute=compute, shared=shared, checkpoints=tmp_path / "second") == alone
    states = [
        torch.load(max((tmp_path / name).glob("last-*.pt")))["state_dict"]
        for name in ("alone", "first", "second")
    ]
    assert all(torch.equal(states[0][key], other[key]) for other in states[1:] for key in states[0])


def test_the_second_trial_computes_nothing_and_nested_cuts_come_from_one_pass(
    tiny: Recipe, run: Run, shared: Shared, passes: list[Any]
) -> None:
    heads = replace(tiny, trainable_layers=1)
    run(heads, shared=shared)
    assert set(passes) == {("stem", *CUTS)}
    assert len(passes) == 1 + 2, "29 and 40 images in chunks of 32: train and val, once each"
    del passes[:]
    run(heads, shared=shared)
    run(replace(tiny, trainable_layers=3, stage1_epochs=1), shared=shared)
    assert passes == []


def test_a_deeper_cut_is_computed_from_a_stored_shallower_one(
    tiny: Recipe, run: Run, shared: Shared, passes: list[Any]
) -> None:
    run(replace(tiny, trainable_layers=3), shared=shared)
    assert set(passes) == {("stem", "layer3")}
    del passes[:]
    deeper = run(replace(tiny, trainable_layers=1), shared=shared)
    assert set(passes) == {("layer3", "layer4", "fc")}
    assert deeper == run(replace(tiny, trainable_layers=1))


def test_a_random_augmentation_has_a_view_an_epoch_that_other_trials_read(
    tiny: Recipe, run: Run, shared: Shared, passes: list[Any]
) -> None:
    recipe = replace(tiny, trainable_layers=2, augmentation="crop_flip", epochs=3)
    run(recipe, shared=shared)
    assert len(passes) == 3 * 1 + 2
    del passes[:]
    run(replace(recipe, stage2_lr=0.001, label_smoothing=0.1), shared=shared)
    assert passes == []
    run(replace(recipe, epochs=4), shared=shared)
    assert len(passes) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"backbone": "wider"},
        {"image_size": 40},
        {"augmentation": "crop_flip"},
        {"seed": 1},  # which decides the frozen layers where no weights are given
    ],
)
def test_what_changes_frozen_activations_is_part_of_their_key(
    other: dict[str, Any],
    tiny: Recipe,
    run: Run,
    shared: Shared,
    passes: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from trainables.backbones import BACKBONES

    monkeypatch.setitem(BACKBONES, "wider", BACKBONES["tiny"])
    run(tiny, shared=shared)
    del passes[:]
    with_store = run(replace(tiny, **other), shared=shared)
    assert ("stem", "layer3") in passes
    assert with_store == run(replace(tiny, **other))


def test_seeds_share_the_plain_view_of_the_same_weights(
    tiny: Recipe, run: Run, shared: Shared, tmp_path: Path, passes: list[Any]
) -> None:
    torch.save(build(tiny, 3).torchvision_state_dict(), tmp_path / "tiny.pt")
    weights = Weights.of(tmp_path / "tiny.pt")
    run(tiny, weights=weights, shared=shared)
    del passes[:]
    run(replace(tiny, seed=5), weights=weights, shared=shared)
    assert passes == []


def test_with_batch_statistics_nothing_is_stored_and_with_mixup_val_alone(
    tiny: Recipe, run: Run, shared: Shared, tmp_path: Path, passes: list[Any]
) -> None:
    run(replace(tiny, batchnorm="batch_stats"), shared=shared)
    assert passes == []
    assert not (tmp_path / "prefix").exists()
    mixed = replace(tiny, mixup=0.3)
    first = run(mixed, shared=shared)
    del passes[:]
    assert run(mixed, shared=shared) == first == run(mixed)
    assert len(_entries(tmp_path)) == 1


def test_a_damaged_entry_is_computed_again(
    tiny: Recipe, run: Run, shared: Shared, tmp_path: Path
) -> None:
    first = run(tiny, shared=shared)
    for entry in _entries(tmp_path):
        damaged = bytearray(entry.read_bytes())
        damaged[-1] ^= 1
        entry.unlink()
        entry.write_bytes(damaged)
    assert (
        run(
            tiny,
            shared=Shared(store=FeatureStore(tmp_path / "prefix", sweep="next"), cuts=CUTS),
        )
        == first
    )


def test_where_nothing_fits_or_reading_does_not_pay_the_trial_computes_the_same(
    tiny: Recipe, run: Run, shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(tiny, augmentation="trivial")
    alone = run(recipe)
    monkeypatch.setattr(FeatureStore, "decision", lambda *_: False)
    assert run(recipe, shared=shared) == alone
    assert len(_entries(tmp_path)) == 1, "val has one view"
    monkeypatch.setattr(FeatureStore, "fill", lambda *_, **__: "full")
    recipe = replace(recipe, image_size=40)
    assert run(recipe, shared=shared) == run(recipe)
    assert len(_entries(tmp_path)) == 1


def test_the_cache_may_be_deleted_between_epochs(
    tiny: Recipe, run: Run, shared: Shared, tmp_path: Path
) -> None:
    import shutil

    recipe = replace(tiny, augmentation="crop_flip", epochs=4, stage1_epochs=2)
    whole = run(recipe)
    run(recipe, shared=shared, checkpoints=tmp_path / "trial", stop_after=2)
    shutil.rmtree(tmp_path / "prefix")
    assert run(recipe, shared=shared, checkpoints=tmp_path / "trial") == whole[1:]


@pytest.mark.parametrize(
    ("k", "stage1_epochs", "cuts"),
    [
        (1, 0, {"fc"}),
        (1, 2, {"fc"}),
        (3, 0, {"layer3"}),
        (3, 2, {"layer3", "layer4"}),
        (6, 0, set()),
        (6, 1, {"layer4"}),
    ],
)
def test_the_cuts_of_a_recipe_are_where_its_stages_begin(
    k: int, stage1_epochs: int, cuts: set[str]
) -> None:
    assert cuts_of(k, stage1_epochs) == cuts


@pytest.mark.parametrize("cut", LAYER_GROUPS[1:])
def test_an_image_has_the_same_activations_whatever_is_beside_it(cut: str, tiny: Recipe) -> None:
    from trainables.backbones import build

    network = build(replace(tiny, backbone="resnet18"), 3)
    network.precision = "bf16"
    network.train_groups(len(LAYER_GROUPS) - LAYER_GROUPS.index(cut), batch_stats=False)
    images = torch.rand(40, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    together = network.activations(images)
    assert torch.equal(together[[33, 2, 7]], network.activations(images[[33, 2, 7]]))
    assert not together.requires_grad


def _entries(folder: Path) -> list[Path]:
    return sorted((folder / "prefix").glob("[0-9a-f]*/activations.npy"))


@pytest.mark.parametrize("keep", [True, False])
def test_whether_random_views_are_stored_is_measured_once_and_remembered(
    keep: bool, tiny: Recipe, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided: list[bool] = []
    decide = FeatureStore.decide

    def spy(self: FeatureStore, family: Any, _measured: bool) -> None:
        decided.append(keep)
        decide(self, family, keep)

    monkeypatch.setattr(FeatureStore, "decide", spy)
    store = FeatureStore(tmp_path / "prefix", sweep="first")
    run(
        replace(tiny, augmentation="crop_flip", epochs=4),
        shared=Shared(store=store, cuts=CUTS),
    )
    assert decided == [keep]
    assert len(_entries(tmp_path)) == 1 + (4 if keep else 1), (
        "val, and the views up to the decision"
    )
