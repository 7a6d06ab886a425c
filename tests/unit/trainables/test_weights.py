"""Where weights come from, and what is said when they cannot be had, cannot be read or do not fit.

No network is used.
"""

import hashlib
import pickle
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor

from trainables.backbones import Network, build
from trainables.recipe import Recipe
from trainables.weights import RANDOM, Weights, WeightsError, load, locate, read

State = dict[str, Tensor]


@pytest.fixture
def network(tiny: Recipe) -> Network:
    return build(tiny, 3)


@pytest.fixture
def donor(tiny: Recipe) -> State:
    """A state dict of the same backbone with other values and a head of 1000 classes."""
    return build(replace(tiny, seed=5), 1000).torchvision_state_dict()


@pytest.fixture
def save(tmp_path: Path) -> Callable[[object], Path]:
    def write(content: object) -> Path:
        torch.save(content, tmp_path / "tiny.pt")
        return tmp_path / "tiny.pt"

    return write


# Which file


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_none_is_no_file(name: str) -> None:
    assert locate("none", name) is None


def test_a_file_is_taken_for_every_backbone_and_a_folder_by_the_backbones_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("resnet18.pt", "resnet34.pt", "mine.pth"):
        (tmp_path / name).touch()
    assert locate(str(tmp_path / "mine.pth"), "resnet34") == tmp_path / "mine.pth"
    assert locate(str(tmp_path), "resnet18") == tmp_path / "resnet18.pt"
    assert locate(str(tmp_path), "resnet34") == tmp_path / "resnet34.pt"
    monkeypatch.chdir(tmp_path)
    # Absolute: workers have another working folder.
    assert locate("mine.pth", "resnet18") == tmp_path / "mine.pth"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("~/mine.pth", "resnet18") == tmp_path / "mine.pth"


def test_a_file_that_is_not_there_is_named_with_what_may_be_passed(tmp_path: Path) -> None:
    for weights, missing in ((tmp_path / "no.pt", "no.pt"), (tmp_path, "resnet50.pt")):
        with pytest.raises(
            WeightsError,
            match=f"there is no {tmp_path / missing}.*imagenet, none, a file, or a folder",
        ):
            locate(str(weights), "resnet50")


def test_an_unknown_backbone_is_refused_before_anything_is_looked_for() -> None:
    with pytest.raises(ValueError, match="unknown backbone 'resnet19'"):
        locate("none", "resnet19")


# What is in it


@pytest.mark.parametrize("classes", [1000, 3, None])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_head_in_the_file_is_passed_over_and_everything_else_is_loaded(
    classes: int | None,
    wrapped: bool,
    network: Network,
    donor: State,
    save: Callable[[object], Path],
) -> None:
    head = {
        "fc.weight": network.torchvision_state_dict()["fc.weight"].clone(),
        "fc.bias": torch.zeros(3),
    }
    state = {key: value for key, value in donor.items() if not key.startswith("fc.")}
    if classes:
        state |= {"fc.weight": torch.ones(classes, 6), "fc.bias": torch.ones(classes)}
    before = {key: value.clone() for key, value in network.torchvision_state_dict().items()}
    load(network, save({"state_dict": state, "epoch": 3} if wrapped else state), "tiny")
    for key, value in network.torchvision_state_dict().items():
        assert torch.equal(value, before[key] if key in head else donor[key]), key


def test_any_head_is_passed_over_for_a_mobilenet_too(tmp_path: Path) -> None:
    recipe = Recipe(backbone="mobilenet_v2", weights="none")
    network, donor = build(recipe, 3), torchvision.models.mobilenet_v2().state_dict()
    bare = {key: value for key, value in donor.items() if not key.startswith("classifier.")}
    for head in (
        {},
        {"classifier.1.weight": torch.ones(9, 1280)},
        {"classifier.weight": torch.ones(2)},
    ):
        torch.save(bare | head, tmp_path / "m.pt")
        load(network, tmp_path / "m.pt", "mobilenet_v2")
    assert torch.equal(
        network.torchvision_state_dict()["features.18.0.weight"], donor["features.18.0.weight"]
    )


def test_torchvisions_own_state_dict_loads_and_half_precision_is_converted(tmp_path: Path) -> None:
    model = torchvision.models.resnet18(num_classes=7).half()
    torch.save(model.state_dict(), tmp_path / "r.pt")
    network = build(Recipe(backbone="resnet18", weights="none"), 3)
    load(network, tmp_path / "r.pt", "resnet18")
    loaded = network.torchvision_state_dict()
    assert torch.equal(loaded["layer4.1.conv2.weight"], model.layer4[1].conv2.weight.float())
    assert {value.dtype for value in loaded.values()} == {torch.float32, torch.int64}


def test_files_from_before_batches_were_counted_load(
    network: Network, donor: State, save: Callable[[object], Path]
) -> None:
    load(
        network,
        save({key: value for key, value in donor.items() if "num_batches" not in key}),
        "tiny",
    )
    assert torch.equal(network.torchvision_state_dict()["conv1.weight"], donor["conv1.weight"])


def test_missing_and_unexpected_keys_and_wrong_shapes_are_all_named_and_nothing_is_loaded(
    network: Network, donor: State, save: Callable[[object], Path]
) -> None:
    state = dict(donor)
    del state["layer2.0.bn1.running_var"]
    state["layer9.weight"] = torch.zeros(2)
    state["conv1.weight"] = torch.zeros(6, 3, 3, 3)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    path = save(state)
    with pytest.raises(WeightsError) as refusal:
        load(network, path, "tiny")
    for word in (
        str(path),
        "tiny",
        "layer2.0.bn1.running_var",
        "layer9.weight",
        "conv1.weight",
        "[6, 3, 3, 3]",
        "[6, 3, 7, 7]",
    ):
        assert word in str(refusal.value)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_another_backbones_weights_are_refused_in_few_words(
    network: Network, tmp_path: Path
) -> None:
    torch.save(torchvision.models.mobilenet_v2().state_dict(), tmp_path / "m.pt")
    with pytest.raises(WeightsError, match=r"and \d+ more") as refusal:
        load(network, tmp_path / "m.pt", "tiny")
    assert len(str(refusal.value)) < 800


# Files that cannot be read


class Intruder:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_file_does_not_run(legacy: bool, network: Network, tmp_path: Path) -> None:
    witness, path = tmp_path / "witness", tmp_path / "evil.pt"
    torch.save({"conv1.weight": Intruder(witness)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match=f"{path} cannot be read as weights"):
        load(network, path, "tiny")
    path.write_bytes(pickle.dumps(Intruder(witness), protocol=2))
    with pytest.raises(WeightsError, match="cannot be read"):
        read(path)
    assert not witness.exists()
    pickle.loads(path.read_bytes())
    assert witness.exists()  # what a plain unpickler would have done


def test_a_damaged_file_is_refused_with_its_name(
    donor: State, save: Callable[[object], Path], tmp_path: Path
) -> None:
    whole = save(donor).read_bytes()
    header = (
        b"\x10\x00\x00\x00\x00\x00\x00\x00"
        + b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    )
    contents = {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "short": whole[:-1],
        "first": whole[:1],
        "text": b"these are no weights\n",
        "html": b"<!DOCTYPE html><title>404</title>",
        "safetensors": header + bytes(8),
        "zip": b"PK\x03\x04",
        "get": b"h\x07",  # IndexError and others inside torch's reader
        "int": b"\x80\x02J1",
        "legacy": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.pt"
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=rf"{path} cannot be read as weights \(.+\): save"):
            read(path)


@pytest.mark.filterwarnings("ignore")
def test_random_bytes_and_flipped_bits_never_escape_as_another_error(tmp_path: Path) -> None:
    rng, path = random.Random(0), tmp_path / "x.pt"
    torch.save({"a": torch.zeros(2)}, path, _use_new_zipfile_serialization=False)
    legacy = path.read_bytes()
    for _ in range(150):
        flipped = bytearray(legacy)
        for _ in range(3):
            flipped[rng.randrange(len(flipped))] = rng.randrange(256)
        for content in (
            rng.randbytes(rng.randrange(1, 99)),
            b"\x80\x02" + rng.randbytes(20),
            flipped,
        ):
            path.write_bytes(content)
            with suppress(WeightsError):  # a flipped bit may also leave a file that can be read
                read(path)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (torch.zeros(3), "holds a Tensor"),
        ([torch.zeros(3)], "holds a list"),
        ({}, "holds a dict"),
        ({"state_dict": {}}, "holds a dict"),
        ({"state_dict": {"a": 1.5}}, "holds a dict of 'state_dict'"),
        ({"epoch": 3, "lr": 0.1}, "holds a dict of 'epoch', 'lr'"),
        ({3: torch.zeros(1)}, "holds a dict of 3"),
    ],
)
def test_a_file_without_a_state_dict_says_what_it_holds(
    content: object, word: str, save: Callable[[object], Path]
) -> None:
    with pytest.raises(WeightsError, match=word):
        read(save(content))


def test_a_file_that_went_away_is_refused(network: Network, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.pt cannot be read"):
        load(network, tmp_path / "gone.pt", "tiny")


def test_a_digest_is_that_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"weights")
    weights = Weights.of(tmp_path / "a")
    assert weights == Weights(tmp_path / "a", hashlib.sha256(b"weights").hexdigest()[:16])
    assert Weights.of(None) == RANDOM == Weights(None, "none")


def test_a_file_without_a_digest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"must be in a readable file, but .*gone\.pt"):
        Weights.of(tmp_path / "gone.pt")
