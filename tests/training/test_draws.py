"""Random numbers on the device: those of SplitMix64, each a function of its seed, step and stream."""

import numpy as np
from keras import ops
from scipy.stats import kstest

from training.keras import draws

SEEDS = np.array([3, 2**40 + 7, 0], dtype=np.int64)


def uniform(seeds=SEEDS, step=5, shape=(4000,)):
    seeds, step = ops.convert_to_tensor(seeds), ops.convert_to_tensor(step, "int64")
    return ops.convert_to_numpy(draws.uniform(seeds, step, shape)[0])


def normal(*args):
    return np.stack([ops.convert_to_numpy(part) for part in draws.normal(uniform(*args))])


def mix(word):
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % 2**64
    return word ^ (word >> 31)


def test_uniform_numbers_are_those_of_splitmix64_in_whole_numbers():
    key = mix((mix(2**40 + 7) + 5) % 2**64)
    expected = [mix((key + count * 0x9E3779B97F4A7C15) % 2**64) >> 40 for count in range(1, 9)]
    assert (uniform()[1, :8] * 2**24).tolist() == expected


def test_several_shapes_share_one_sequence():
    seeds, step = ops.convert_to_tensor(SEEDS), ops.convert_to_tensor(5, "int64")
    first, second = (ops.convert_to_numpy(part) for part in draws.uniform(seeds, step, (2, 3), (4,)))
    np.testing.assert_array_equal(np.hstack([first.reshape(3, 6), second]), uniform(shape=(10,)))


def test_uniform_numbers_are_uniform():
    for row in uniform():
        assert kstest(row, "uniform").pvalue > 1e-3
        assert 0 <= row.min() <= row.max() < 1


def test_normal_numbers_are_normal_and_the_two_arrays_independent():
    for first, second in zip(*normal(SEEDS, 5, (2, 4000)), strict=True):
        assert kstest(first, "norm").pvalue > 1e-3
        assert kstest(second, "norm").pvalue > 1e-3
        for one, other in ((first, second), (first**2, second**2)):
            assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(4000)


def test_no_two_seeds_or_steps_go_together():
    rows = [row for step in range(4) for row in uniform(np.array([0, 1, 2]), step)]
    correlations = np.corrcoef(rows) - np.eye(len(rows))
    assert np.abs(correlations).max() < 5 / np.sqrt(4000)


def test_a_member_draws_the_same_however_many_there_are():
    np.testing.assert_array_equal(uniform(SEEDS[1:2])[0], uniform()[1])


def test_positions_stay_in_their_range():
    last = np.float32(1 - 2**-24)
    shares = np.array([0, 0.5, last], dtype=np.float32)
    for count in (1, 3, 100, 16_000_000):
        found = ops.convert_to_numpy(draws.positions(ops.convert_to_tensor(shares), count))
        assert found.tolist() == [0, count // 2, count - 1]
