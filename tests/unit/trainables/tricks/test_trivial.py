"""TrivialAugmentWide: each operation against torchvision's, drawn for each image."""

import pytest
import torch
from PIL import Image, ImageOps
from torchvision.transforms import InterpolationMode, TrivialAugmentWide
from torchvision.transforms.autoaugment import _apply_op
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from trainables.data import trivial
from trainables.data.trivial import BINS, OPERATIONS, apply, trivial_augment

SPACE = TrivialAugmentWide()._augmentation_space(BINS)


def pictures(count, size=32):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 5, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    return (
        (smooth * 200 + 40 * torch.rand(count, 3, size, size, generator=generator))
        .round()
        .to(torch.uint8)
    )


def test_the_operations_and_strengths_are_torchvisions():
    assert tuple(SPACE) == OPERATIONS
    strengths, _ = trivial._tables(32, torch.device("cpu"))
    for i, (name, (magnitudes, signed)) in enumerate(SPACE.items()):
        expected = magnitudes.double().expand(BINS)
        if name == "Posterize":
            expected = 2 ** (8 - expected)  # we keep the width of a level
        torch.testing.assert_close(strengths[i, 0].double(), expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(
            strengths[i, 1].double(), -expected if signed else expected, atol=1e-4, rtol=0
        )


# A value may differ by 0.01 of a level, but for the pixels whose nearest neighbour is decided by
# the last bit of a position.
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_torchvisions(name):
    magnitudes, signed = SPACE[name]
    images = pictures(2 * BINS)
    bins, negative = torch.arange(2 * BINS) % BINS, torch.arange(2 * BINS) // BINS
    ours = (
        apply(images / 255, torch.full((2 * BINS,), OPERATIONS.index(name)), bins, negative) * 255
    )
    for image, result, strength_bin, minus in zip(images, ours, bins, negative, strict=True):
        # Rounded, because torchvision's float32 has 15.999999 for a translation by 16, and cuts it
        # to 15.
        magnitude = round(float(magnitudes[strength_bin]), 4) if magnitudes.ndim else 0.0
        magnitude = -magnitude if signed and minus else magnitude
        if name in ("Posterize", "Solarize", "Equalize"):  # defined on bytes
            reference = _apply_op(image, name, magnitude, InterpolationMode.NEAREST, None).float()
        else:  # on floats, torchvision does not round in between
            reference = (
                _apply_op(image / 255, name, magnitude, InterpolationMode.NEAREST, None) * 255
            )
        wrong = ((result - reference).abs() > 0.01).any(0).float().mean()
        assert wrong <= (0.01 if name in ("ShearX", "ShearY", "Rotate") else 0), (
            f"bin {strength_bin}, minus {minus}"
        )


def test_equalize_is_pils():
    images = pictures(6)
    images[0] = 7  # one value: stays
    result = apply(
        images / 255,
        torch.full((6,), OPERATIONS.index("Equalize")),
        torch.zeros(6).long(),
        torch.zeros(6).long(),
    )
    for image, ours in zip(images, result, strict=True):
        expected: Image.Image = ImageOps.equalize(to_pil_image(image))
        assert torch.equal((ours * 255).round().to(torch.uint8), pil_to_tensor(expected))


def test_each_image_gets_its_own_operation_and_identity_changes_nothing():
    images = pictures(1).expand(len(OPERATIONS), -1, -1, -1) / 255
    results = apply(
        images, torch.arange(len(OPERATIONS)), torch.full((14,), 20), torch.zeros(14).long()
    )
    assert torch.equal(results[0], images[0])
    assert len({tuple(result.flatten().tolist()) for result in results}) == len(OPERATIONS)


def test_draws_name_operation_strength_and_sign_uniformly(monkeypatch):
    seen = {}
    monkeypatch.setattr(trivial, "apply", lambda _images, *chosen: seen.update(chosen=chosen))
    steps = (torch.arange(14 * BINS * 2) + 0.5) / (14 * BINS * 2)
    draws = torch.stack([steps, steps, steps], 1)
    draws[-1] = 1 - 2**-24  # the greatest draw stays in range
    trivial_augment(torch.zeros(1), draws)
    operation, strength_bin, negative = seen["chosen"]
    assert operation.bincount().tolist() == [BINS * 2] * 14
    assert strength_bin.bincount().tolist() == [14 * 2] * BINS
    assert negative.sum() == 14 * BINS


def test_the_images_given_are_left_as_they_are():
    images = pictures(28) / 255
    before = images.clone()
    apply(images, torch.arange(28) % 14, torch.full((28,), 15), torch.arange(28) // 14)
    assert torch.equal(images, before)
