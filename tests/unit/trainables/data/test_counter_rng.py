"""Looked-up random numbers: they look random, and depend on nothing but their names."""

import pytest
import torch
from scipy import stats

from trainables.data import counter_rng
from trainables.data.counter_rng import normal, uniform

SAMPLES = torch.arange(20_000)


def correlation(a, b):
    return torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1].abs().item()


@pytest.mark.parametrize("epoch", [0, 1, 19])
def test_uniform_numbers_are_uniform(epoch):
    u = uniform(0, epoch, SAMPLES, 5, "test").double()
    assert u.min() >= 0
    assert u.max() < 1
    assert u.mean().item() == pytest.approx(1 / 2, abs=0.004)  # 4 standard errors
    assert u.var().item() == pytest.approx(1 / 12, abs=0.001)
    for draw in range(5):
        counts = torch.histc(u[:, draw], bins=100, min=0, max=1)
        assert 1e-4 < stats.chisquare(counts.numpy()).pvalue < 1 - 1e-4


def test_each_of_the_24_bits_is_fair():
    bits = (uniform(1, 0, SAMPLES, 4, "test") * 2**24).long()
    shares = torch.stack([(bits >> i & 1).double().mean() for i in range(24)])
    assert (shares - 0.5).abs().max() < 0.009  # 5 standard errors of 80,000 coins


def test_neighbours_in_sample_draw_epoch_seed_and_role_are_not_correlated():
    u = uniform(0, 0, SAMPLES, 8, "test")
    limit = 0.013  # 5 standard errors of 160,000 pairs
    assert correlation(u[1:], u[:-1]) < limit
    assert correlation(u[2:], u[:-2]) < limit
    assert correlation(u[:, 1:], u[:, :-1]) < limit
    assert correlation(u[1:, :-1], u[:-1, 1:]) < limit
    assert correlation(u, uniform(0, 1, SAMPLES, 8, "test")) < limit
    assert correlation(u, uniform(1, 0, SAMPLES, 8, "test")) < limit
    assert correlation(u, uniform(0, 0, SAMPLES, 8, "other")) < limit


def test_no_two_samples_share_their_numbers():
    keys = (uniform(0, 0, SAMPLES, 2, "test").double() * 2**24).long()
    assert len((keys[:, 0] << 24 | keys[:, 1]).unique()) == len(SAMPLES)


def test_numbers_depend_on_their_names_and_not_on_the_batch():
    whole = uniform(7, 3, SAMPLES[:100], 6, "test")
    torch.manual_seed(5)
    order = torch.randperm(100)
    assert torch.equal(uniform(7, 3, order, 6, "test"), whole[order])
    for rows in (slice(0, 1), slice(17, 20), slice(40, 47)):
        assert torch.equal(uniform(7, 3, SAMPLES[:100][rows], 6, "test"), whole[rows])


def test_more_draws_leave_the_first_ones_as_they_are():
    assert torch.equal(uniform(0, 0, SAMPLES, 9, "test")[:, :4], uniform(0, 0, SAMPLES, 4, "test"))


def test_numbers_stay_the_same_from_machine_to_machine():
    expected = [
        [0.15892565250396729, 0.6880753636360168],
        [0.48856621980667114, 0.26863229274749756],
    ]
    # Checked with Python's integers.
    assert uniform(0, 0, torch.tensor([0, 10**12]), 2, "test").tolist() == expected
    assert normal(0, 0, torch.tensor([3]), 2, "test").tolist() == [
        [-1.374523639678955, -1.083065152168274]
    ]


def test_the_hash_is_splitmix64():
    # The first outputs of the reference implementation for seed 0
    # (https://prng.di.unimi.it/splitmix64.c).
    states = torch.arange(1, 4) * counter_rng._GAMMA
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert [x % 2**64 for x in counter_rng._mix(states).tolist()] == expected


@pytest.mark.parametrize("count", [1, 1000, 65_536, 65_537, 200_000])
def test_noise_is_standard_normal_at_any_length(count):
    noise = normal(0, 0, torch.arange(4), count, "noise")
    assert noise.shape == (4, count)
    assert noise.dtype == torch.float32
    if count >= 1000:
        error = 5 / (4 * count) ** 0.5
        assert noise.mean().item() == pytest.approx(0, abs=error)
        assert noise.std().item() == pytest.approx(1, abs=error)
        assert stats.kstest(noise[0].numpy()[:20_000], "norm").pvalue > 1e-3


def test_noise_of_other_samples_and_epochs_is_not_correlated():
    a, b = normal(0, 0, torch.tensor([0, 1]), 27_648, "noise")
    c = normal(0, 1, torch.tensor([0]), 27_648, "noise")[0]
    assert max(correlation(a, b), correlation(a, c), correlation(b, c)) < 0.03  # 5 standard errors


def test_noise_depends_on_its_names_and_not_on_the_batch():
    samples = torch.tensor([5, 2, 9, 2])
    whole = normal(0, 4, samples, 70_000, "noise")
    assert torch.equal(whole[1], whole[3])
    counter_rng._normal_table.cache_clear()  # as in another process
    for i in range(4):
        assert torch.equal(normal(0, 4, samples[i : i + 1], 70_000, "noise")[0], whole[i])
