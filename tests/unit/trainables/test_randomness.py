"""Random numbers are seeded by what they are for."""

import subprocess
import sys

from trainables.randomness import named_seed


def test_seeds_are_the_same_in_every_process_and_version() -> None:
    # Values of the release: another one would change every recorded result.
    assert named_seed(0, "order", 1) == int.from_bytes(_blake("0\0order\0" + "1")) >> 1
    code = "from trainables.randomness import named_seed; print(named_seed(0, 'order', 1))"
    for hash_seed in ("0", "1"):
        answer = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(answer.stdout) == named_seed(0, "order", 1)


def test_every_other_name_gives_another_seed() -> None:
    seeds = [
        named_seed(seed, role, epoch)
        for seed in range(5)
        for role in ("order", "head", "init")
        for epoch in range(50)
    ]
    seeds += [
        named_seed(0, "order"),
        named_seed(0, "ord", "er", 1),
        named_seed(0, "order", 1, 0),
        named_seed(0, 1, "order"),
    ]
    assert len(set(seeds)) == len(seeds)


def test_names_do_not_run_into_each_other() -> None:
    assert named_seed(1, "2", "3") != named_seed(12, "3") != named_seed(1, "23")


def test_a_seed_has_63_bits_and_uses_them() -> None:
    seeds = [named_seed(0, "x", i) for i in range(2000)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    for bit in range(63):
        ones = sum(seed >> bit & 1 for seed in seeds)
        assert abs(ones - 1000) < 5 * 500**0.5  # five standard deviations


def _blake(key: str) -> bytes:
    import hashlib

    return hashlib.blake2b(key.encode(), digest_size=8).digest()
