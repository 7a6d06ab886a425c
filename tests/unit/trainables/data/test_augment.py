"""Views: named randomness to the last bit, and geometry and colours as torchvision has them."""

import pytest
import torch
import torchvision.transforms.v2.functional as TF

from trainables.data import augment, color, counter_rng, trivial
from trainables.data.augment import normalise, plain_view, resample, view

AUGMENTATIONS = ("none", "crop_flip", "crop_flip_color", "trivial")
RANDOM = AUGMENTATIONS[1:]


def stored(count=40, size=40, seed=0):
    """Smooth random images (with some texture), uint8 [B, S, S, 3]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    images = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    images = (images + 0.1 * torch.rand(count, 3, size, size, generator=generator)).clamp(0, 1)
    return (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def show(images, samples, augmentation="crop_flip_color", image_size=32, seed=0, epoch=0):
    return view(
        images, samples, augmentation=augmentation, image_size=image_size, seed=seed, epoch=epoch
    )


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
@pytest.mark.parametrize(("size", "image_size"), [(40, 32), (32, 32), (8, 32), (41, 33)])
def test_views_are_equal_to_the_bit_in_any_batch_and_order(augmentation, size, image_size):
    images, samples = stored(size=size), torch.arange(1000, 1040)
    expected = show(images, samples, augmentation, image_size, epoch=2)
    for batch_size in (1, 3, 7):
        parts = [
            show(*batch, augmentation, image_size, epoch=2)
            for batch in zip(images.split(batch_size), samples.split(batch_size), strict=True)
        ]
        assert torch.equal(torch.cat(parts), expected)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    assert torch.equal(
        show(images[order], samples[order], augmentation, image_size, epoch=2), expected[order]
    )


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_one_piece_of_64_equals_chunks_and_any_number_of_threads(augmentation, monkeypatch):
    images, samples = stored(64, 60), torch.arange(64)
    expected = show(images, samples, augmentation, 48)
    threads = torch.get_num_threads()
    try:
        for chunk in (1, 5, 64):  # 64 is how CUDA gets it
            monkeypatch.setattr(augment, "_CPU_CHUNK", chunk)
            for count in (1, 2):
                torch.set_num_threads(count)
                assert torch.equal(show(images, samples, augmentation, 48), expected)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_views_do_not_depend_on_what_ran_before(augmentation):
    images, samples = stored(8), torch.arange(8)
    expected = show(images, samples, augmentation, epoch=3)
    torch.manual_seed(123)
    state = torch.get_rng_state()
    for epoch in (0, 1, 2):
        show(images, samples + 5, augmentation, epoch=epoch)
    assert torch.equal(torch.get_rng_state(), state)  # and take nothing from the global generator
    for cached in (counter_rng._normal_table, trivial._tables, augment._moments):
        cached.cache_clear()  # as after a resume
    assert torch.equal(show(images, samples, augmentation, epoch=3), expected)


@pytest.mark.parametrize("augmentation", RANDOM)
def test_another_epoch_sample_or_seed_gives_another_view(augmentation):
    images, samples = stored(1).expand(24, -1, -1, -1), torch.arange(24)
    views = show(images, samples, augmentation)
    others = [
        show(images, samples, augmentation, epoch=1),
        show(images, samples, augmentation, seed=1),
        views.roll(1, 0),
    ]
    for other in others:
        same = (views == other).flatten(1).all(1).float().mean()
        # Identity and weak strengths may meet.
        assert same <= (0.25 if augmentation == "trivial" else 0)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
@pytest.mark.parametrize("size", [8, 32, 40])
def test_views_are_float32_in_0_to_1_of_the_right_shape(augmentation, size):
    for images in (stored(9, size), torch.full((9, size, size, 3), 255, dtype=torch.uint8)):
        views = show(images, torch.arange(9), augmentation)
        assert views.shape == (9, 3, 32, 32)
        assert views.dtype == torch.float32
        assert views.min() >= 0
        assert views.max() <= 1


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_an_empty_batch_has_no_views(augmentation):
    assert show(stored(1)[:0], torch.arange(0), augmentation).shape == (0, 3, 32, 32)


def test_none_is_the_plain_view_and_that_is_x_over_255_at_equal_size():
    images = stored(5, 40)
    assert torch.equal(show(images, torch.arange(5), "none"), plain_view(images, 32))
    assert torch.equal(plain_view(images, 40), images.permute(0, 3, 1, 2).float() / 255)


@pytest.mark.parametrize("size", [8, 40, 100])
def test_the_plain_view_is_torchvisions_antialiased_resize(size):
    images = stored(5, size)
    expected = TF.resize(images.permute(0, 3, 1, 2).float() / 255, [32, 32], antialias=True)
    torch.testing.assert_close(plain_view(images, 32), expected, atol=1e-6, rtol=0)


def box(*values):
    return (torch.tensor([value]) for value in values)


@pytest.mark.parametrize(
    ("top", "left", "height", "width"),
    [(0, 0, 40, 40), (3, 5, 32, 32), (8, 8, 32, 32), (2, 0, 34, 39)],
)
def test_a_crop_is_torchvisions_resized_crop(top, left, height, width):
    images = stored(1)
    expected = TF.resized_crop(
        images.permute(0, 3, 1, 2).float() / 255,
        top,
        left,
        height,
        width,
        [32, 32],
        antialias=False,
    )
    boxes = box(left / 40, top / 40, width / 40, height / 40)
    views = resample(images, *boxes, torch.tensor([False]), 32)
    # The outermost pixels read over the box's edge here; positions in float32 are good to 1e-5 of a
    # pixel.
    torch.testing.assert_close(views[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=1e-5, rtol=0)


def test_a_flip_mirrors_to_the_bit():
    images = stored(1)
    flipped, straight = (
        resample(images, *box(0.1, 0.2, 0.8, 0.7), torch.tensor([flip]), 32)
        for flip in (True, False)
    )
    assert torch.equal(flipped, straight.flip(-1))
    assert not torch.equal(flipped, straight)


@pytest.mark.parametrize("augmentation", ["crop_flip", "crop_flip_color"])
def test_boxes_keep_064_to_1_of_the_area_and_lie_inside(augmentation, monkeypatch):
    boxes = []

    def record(images, left, top, width, height, flip, image_size):
        boxes.append(torch.stack([left, top, width, height, flip.float()]))
        return torch.zeros(len(images), 3, image_size, image_size)

    monkeypatch.setattr(augment, "resample", record)
    show(torch.zeros(4000, 8, 8, 3, dtype=torch.uint8), torch.arange(4000), augmentation, 8)
    left, top, width, height, flip = torch.cat(boxes, 1)
    area, aspect = width * height, width / height
    assert area.min() >= 0.64 - 1e-6
    assert area.max() <= 1
    assert min(left.min(), top.min()) >= 0
    assert max((left + width).max(), (top + height).max()) <= 1 + 1e-6
    assert flip.mean().item() == pytest.approx(0.5, abs=0.04)
    if augmentation == "crop_flip":
        assert torch.equal(width, height)
        quantiles = torch.quantile(area, torch.tensor([0.1, 0.5, 0.9]))
        # Quantiles of a uniform distribution.
        torch.testing.assert_close(quantiles, torch.tensor([0.676, 0.82, 0.964]), atol=0.01, rtol=0)
    else:
        assert aspect.min() >= 3 / 4 - 1e-6
        assert aspect.max() <= 4 / 3 + 1e-6
        assert aspect.log().mean().item() == pytest.approx(0, abs=0.01)


def test_noise_has_the_stated_sigma():
    images = torch.full((8, 32, 32, 3), 128, dtype=torch.uint8)
    noise = show(images, torch.arange(8), "crop_flip") - 128 / 255
    assert noise.std().item() == pytest.approx(augment.NOISE_SIGMA, rel=0.03)
    assert noise.mean().item() == pytest.approx(0, abs=5e-4)


@pytest.mark.parametrize(("ours", "reference", "values"), [
    (color.brightness, TF.adjust_brightness, (0.6, 1.0, 1.4)),
    (color.contrast, TF.adjust_contrast, (0.6, 1.0, 1.4)),
    (color.saturation, TF.adjust_saturation, (0.6, 1.0, 1.4)),
    (color.hue, TF.adjust_hue, (-0.1, 0.0, 0.1, 0.5)),
])  # fmt: skip
def test_colours_are_torchvisions_for_each_image_its_own_strength(ours, reference, values):
    images = stored(len(values)).permute(0, 3, 1, 2).float() / 255
    images[:, :, :4] = 0.5  # grey, where hue has no meaning
    changed = ours(images, torch.tensor(values))
    for image, value, result in zip(images, values, changed, strict=True):
        torch.testing.assert_close(result, reference(image, value), atol=2e-5, rtol=0)


def test_normalise_is_torchvisions_with_imagenets_moments():
    views = plain_view(stored(3), 32)
    torch.testing.assert_close(
        normalise(views), TF.normalize(views, list(augment.MEAN), list(augment.STD))
    )


def test_an_unknown_augmentation_is_refused_with_the_known_names():
    with pytest.raises(
        ValueError,
        match=r"Did you mean 'crop_flip'.*Known: none, crop_flip, crop_flip_color, trivial",
    ):
        show(stored(1), torch.arange(1), "cropflip")


def test_images_too_large_for_the_view_are_refused():
    with pytest.raises(ValueError, match=r"at most 1.25 x image_size = 40 px wide, but got 41"):
        show(stored(1, 41), torch.arange(1))


def test_a_large_view_of_odd_size_has_noise_in_several_pieces():
    assert show(stored(2, 32), torch.arange(2), "crop_flip", 211).shape == (2, 3, 211, 211)
