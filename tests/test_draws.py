import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from blurgen.draws import MAX_SEED, Draws
from blurgen.errors import InputError
from blurgen.loops import draws as loops
from blurgen.loops.philox import block

LOW = 2**32 - 1
WORDS = st.integers(0, LOW)


def philox4x32_10(counter, key):
    """Figure 2 of Salmon et al. 2011, on Python's whole numbers."""
    x, (k0, k1) = list(counter), key
    for round_number in range(10):
        if round_number > 0:
            k0, k1 = (k0 + 0x9E3779B9) & LOW, (k1 + 0xBB67AE85) & LOW
        high0, low0 = divmod(0xD2511F53 * x[0], 2**32)
        high1, low1 = divmod(0xCD9E8D57 * x[2], 2**32)
        x = [high1 ^ x[1] ^ k0, low1, high0 ^ x[3] ^ k1, low0]
    return x


def library_block(counter, key):
    return [int(word) for word in block(*(np.uint64(word) for word in (*counter, *key)))]


def twin_uniform(seed, index, stream, draw):
    words = philox4x32_10((draw, stream, index & LOW, index >> 32), (seed & LOW, seed >> 32))
    return ((words[0] << 21) | (words[1] >> 11)) / 2**53


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_published_vectors_of_random123(counter, key, expected):
    words = [[int(word, 16) for word in text.split()] for text in (counter, key, expected)]
    assert library_block(words[0], words[1]) == words[2]
    assert philox4x32_10(words[0], words[1]) == words[2]


@given(st.tuples(WORDS, WORDS, WORDS, WORDS), st.tuples(WORDS, WORDS))
def test_blocks_equal_plain_python(counter, key):
    assert library_block(counter, key) == philox4x32_10(counter, key)


@given(
    st.integers(0, MAX_SEED),
    st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4),
    st.integers(0, 50),
    st.lists(st.integers(0, 62), max_size=5),
)
def test_the_layout_of_counters(seed, index, parameter, places):
    draws = Draws(seed, np.array(index, np.int64))
    stream = 0
    for place in places:
        draws = draws.stage(place)
        stream = stream * 64 + place + 1
    assert draws.stream == stream < 2**30
    assert draws.pixel_stream == stream + 2**30
    expected = [twin_uniform(seed, i, stream, parameter * 2**16) for i in index]
    assert draws.uniform(parameter).tolist() == expected
    normals = scipy.special.ndtri(np.array(expected) + 2.0**-54)
    np.testing.assert_allclose(draws.normal(parameter), normals, rtol=1e-13, atol=1e-15)
    assert draws.below(parameter, 10).tolist() == [int(u * 10) for u in expected]


def test_no_two_streams_share_a_code():
    root = Draws(0, np.arange(1))
    level = [root]
    codes = [root.stream]
    for _ in range(3):
        level = [draws.stage(place) for draws in level for place in (0, 1, 62)]
        codes += [draws.stream for draws in level]
    pixels = [code | 2**30 for code in codes]
    assert len({*codes, *pixels}) == 2 * len(codes)


def test_batches_equal_singles_in_any_order():
    index = np.array([5, 0, 2**40, 17, 17, 3])
    whole = Draws(9, index).stage(2)
    for values in (
        lambda draws: draws.uniform(1),
        lambda draws: draws.normal(1),
        lambda draws: draws.beta(1, 0.3, 2.0),
        lambda draws: draws.below(1, 1000),
    ):
        singles = [values(Draws(9, index[i : i + 1]).stage(2))[0] for i in range(index.size)]
        assert values(whole).tolist() == singles
        assert values(whole.rows(np.array([4, 1]))).tolist() == [singles[4], singles[1]]
        assert values(whole.rows(index == 17)).tolist() == [singles[3], singles[4]]
        assert values(whole.at(index[::-1].copy())).tolist() == singles[::-1]


def test_seeds_parameters_stages_and_samples_are_independent():
    index = np.arange(4000)
    base = Draws(1, index).stage(0)
    others = [
        Draws(2, index).stage(0).uniform(0),
        Draws(1 + 2**32, index).stage(0).uniform(0),
        Draws(1, index + 2**32).stage(0).uniform(0),
        base.uniform(1),
        Draws(1, index).stage(1).uniform(0),
        base.stage(0).uniform(0),
        np.roll(base.uniform(0), 1),
    ]
    for other in others:
        assert abs(np.corrcoef(base.uniform(0), other)[0, 1]) < 4 / np.sqrt(index.size)


def test_uniform_and_normal_have_their_distribution():
    draws = Draws(12345, np.arange(100_000))
    uniform, normal = draws.uniform(0), draws.normal(1)
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert scipy.stats.kstest(uniform, "uniform").pvalue > 1e-3
    assert scipy.stats.kstest(normal, "norm").pvalue > 1e-3
    assert abs(scipy.stats.kurtosis(normal)) < 0.08
    counts = np.bincount(draws.below(2, 7), minlength=7)
    assert len(counts) == 7
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("bound", [1, 2, 3, 2**20, 2**52 + 1, 2**62])
def test_below_stays_below(bound, monkeypatch):
    monkeypatch.setattr(Draws, "uniform", lambda self, parameter: np.array([0.0, 0.5, 1 - 2.0**-53]))
    values = Draws(0, np.arange(3)).below(0, bound)
    assert values[0] == 0
    assert values[1] in (bound // 2, bound // 2 + 1)
    assert values[2] == (bound - 1 if bound < 2**52 else min(bound - 1, int((1 - 2.0**-53) * bound)))


@pytest.mark.parametrize(
    ("alpha", "beta"), [(2.0, 5.0), (0.5, 0.5), (1.0, 1.0), (0.1, 0.2), (30.0, 0.5), (1e4, 3e4)]
)
def test_beta_has_its_distribution(alpha, beta):
    values = Draws(7, np.arange(20_000)).beta(0, alpha, beta)
    assert values.min() >= 0
    assert values.max() <= 1
    # where the law crowds at 1, its float64 numbers do so too: compare on 0 … 1 − 2⁻³⁰
    assert scipy.stats.kstest(np.minimum(values, 1 - 2.0**-30), _clipped_beta(alpha, beta)).pvalue > 1e-3
    assert values.mean() == pytest.approx(alpha / (alpha + beta), rel=0.02)


def _clipped_beta(alpha, beta):
    law = scipy.stats.beta(alpha, beta)
    return lambda x: np.where(x >= 1 - 2.0**-30, 1.0, law.cdf(x))


def test_beta_of_the_smallest_shapes_is_a_coin():
    values = Draws(3, np.arange(20_000)).beta(0, 0.01, 0.01)
    at_ends = (values < 1e-3) | (values > 1 - 1e-3)
    law = scipy.stats.beta(0.01, 0.01)
    assert at_ends.mean() == pytest.approx(law.cdf(1e-3) + law.sf(1 - 1e-3), abs=0.01)
    assert (values > 0.5).mean() == pytest.approx(0.5, abs=0.015)


def test_inverse_normal_agrees_with_scipy():
    tails = 2.0 ** -np.arange(1, 1000.0, 7)
    middle = np.linspace(1e-6, 1 - 1e-6, 4001)
    for p in np.concatenate([tails, middle, 0.5 + np.array([-0.425, 0.425, 1e-12, -1e-12])]):
        assert loops.inverse_normal(p) == pytest.approx(scipy.special.ndtri(p), rel=2e-14, abs=1e-16)


def test_inverse_normal_is_odd():
    for p in 2.0 ** -np.arange(2, 50.0):
        assert loops.inverse_normal(p) == -loops.inverse_normal(1 - p) < 0
    assert loops.inverse_normal(0.5) == 0


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_refuses_seeds_beyond_64_bits(seed):
    with pytest.raises(
        InputError, match=rf"^seed {seed}: a whole number from 0 to 18446744073709551615 is needed$"
    ):
        Draws(seed, np.arange(2))


def test_refuses_too_many_stages_and_too_deep_nesting():
    draws = Draws(0, np.arange(2))
    draws.stage(62)
    with pytest.raises(InputError, match=r"^a recipe holds at most 63 stages side by side$"):
        draws.stage(63)
    for place in (62, 62, 62, 62, 62):
        draws = draws.stage(place)
    with pytest.raises(InputError, match=r"^a recipe's stages nest at most 5 deep$"):
        draws.stage(0)
