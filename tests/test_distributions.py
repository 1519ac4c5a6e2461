import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import real_distributions, whole_distributions

from blurgen import distributions
from blurgen.distributions import parse
from blurgen.draws import Draws
from blurgen.errors import RecipeError
from blurgen.recipe import Recipe

COUNT = 20_000


def drawn(written, count=COUNT, copies=1, seed=1, start=0):
    draws = Draws(seed, np.arange(start, start + count), copies).stage(0)
    return parse(written).sample(draws, 0)


LAWS = {
    "uniform": ({"uniform": [-3, 5]}, scipy.stats.uniform(-3, 8)),
    "normal": ({"normal": [90, 10]}, scipy.stats.norm(90, 10)),
    "log_uniform": ({"log_uniform": [0.1, 10]}, scipy.stats.loguniform(0.1, 10)),
    "log_uniform of one value": ({"log_uniform": [0.3, 0.30001]}, scipy.stats.loguniform(0.3, 0.30001)),
    "beta": ({"beta": [2, 0.7], "range": [10, 30]}, scipy.stats.beta(2, 0.7, 10, 20)),
    "arcsine": ({"beta": [0.5, 0.5], "range": [0, 255]}, scipy.stats.beta(0.5, 0.5, 0, 255)),
}


@pytest.mark.parametrize(("written", "law"), LAWS.values(), ids=LAWS)
def test_continuous_laws(written, law):
    values = drawn(written)
    assert values.dtype == np.float64
    assert scipy.stats.kstest(values, law.cdf).pvalue > 1e-3
    assert values.mean() == pytest.approx(law.mean(), abs=4 * law.std() / math.sqrt(COUNT))
    assert values.std() == pytest.approx(law.std(), rel=0.03)


def test_clipped_normal_moves_what_is_beyond():
    values = drawn({"normal": [90, 10], "clip": [85, 110]})
    assert (values.min(), values.max()) == (85, 110)
    assert (values == 85).mean() == pytest.approx(scipy.stats.norm.cdf(-0.5), abs=0.01)
    assert (values == 110).mean() == pytest.approx(scipy.stats.norm.sf(2), abs=0.004)
    inside = values[(values > 85) & (values < 110)]
    law = scipy.stats.truncnorm(-0.5, 2, 90, 10)
    assert scipy.stats.kstest(inside, law.cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("written", "values", "weights"),
    [
        ({"integers": [3, 9]}, range(3, 10), None),
        ({"integers": [3, 21], "step": 2}, range(3, 22, 2), None),
        ({"integers": [-4, 6], "step": 7}, (-4, 3), None),
        ({"integers": [5, 5]}, (5,), None),
        ({"choice": [2.5, -1, 4]}, (2.5, -1, 4), None),
        ({"choice": [3, 4, 6], "weights": [1, 2, 1]}, (3, 4, 6), (1, 2, 1)),
        ({"choice": [1, 2, 3], "weights": [0.001, 5, 1]}, (1, 2, 3), (0.001, 5, 1)),
        ({"choice": [7], "weights": [3]}, (7,), None),
    ],
    ids=str,
)
def test_discrete_laws(written, values, weights):
    found = drawn(written)
    assert set(found) <= set(map(float, values))
    counts = np.array([(found == value).sum() for value in values])
    shares = np.full(len(counts), 1 / len(counts)) if weights is None else np.array(weights) / sum(weights)
    if len(counts) > 1:
        assert scipy.stats.chisquare(counts, shares * COUNT).pvalue > 1e-3
    assert counts.sum() == COUNT


def test_a_value_is_the_stated_function_of_its_uniform_number():
    draws = Draws(4, np.arange(500)).stage(3)
    u = draws.uniform(2)
    of = {
        "uniform": ({"uniform": [4, 6]}, 4 + 2 * u),
        "integers": ({"integers": [3, 21], "step": 2}, 3 + 2 * np.floor(10 * u)),
        "choice": ({"choice": [5, 7, 9]}, np.array([5, 7, 9])[np.floor(3 * u).astype(int)]),
        "weights": (
            {"choice": [5, 7, 9], "weights": [1, 2, 1]},
            np.where(u < 0.25, 5, np.where(u < 0.75, 7, 9)),
        ),
    }
    for written, expected in of.values():
        np.testing.assert_array_equal(parse(written).sample(draws, 2), expected)
    values = parse({"log_uniform": [0.1, 10]}).sample(draws, 2)
    np.testing.assert_allclose(values, 0.1 * 100**u, rtol=1e-14)
    values = parse({"normal": [90, 10]}).sample(draws, 2)
    np.testing.assert_allclose(values, 90 + 10 * scipy.stats.norm.ppf(u), rtol=1e-13)


def test_a_mixture_is_drawn_from_its_parts_by_weight():
    values = drawn({"mixture": [{"uniform": [0, 1]}, 5, {"normal": [20, 1]}], "weights": [1, 2, 1]})
    assert (values == 5).mean() == pytest.approx(0.5, abs=0.015)
    low, high = values[values < 5], values[values > 5]
    assert len(low) / COUNT == pytest.approx(0.25, abs=0.012)
    assert scipy.stats.kstest(low, scipy.stats.uniform().cdf).pvalue > 1e-3
    assert scipy.stats.kstest(high, scipy.stats.norm(20, 1).cdf).pvalue > 1e-3


def test_a_mixture_of_equal_parts_is_each_of_them():
    part = {"beta": [0.5, 2]}
    np.testing.assert_array_equal(drawn({"mixture": [part, part]}, 500), drawn(part, 500))


def test_a_reciprocal():
    np.testing.assert_array_equal(
        drawn({"reciprocal": {"uniform": [1, 2]}}, 500), 1 / drawn({"uniform": [1, 2]}, 500)
    )
    assert parse({"reciprocal": {"uniform": [0.5, 4]}}).bounds == (0.25, 2)
    assert parse({"reciprocal": 1}).whole
    assert not parse({"reciprocal": {"choice": [1, 2]}}).whole


@given(real_distributions(-50, 50), st.integers(0, 2**63), st.integers(1, 7))
@example({"beta": [1.0, 0.0625], "range": [-1.0, 0.01]}, 0, 1)  # its greatest value rounds up
def test_values_stay_within_bounds(written, seed, copies):
    law = parse(written)
    values = drawn(written, 200, copies, seed)
    low, high = law.bounds
    assert -50 <= low <= values.min()
    assert values.max() <= high <= 50
    if law.whole:
        assert (values == np.round(values)).all()


@given(whole_distributions(0, 30), st.integers(0, 2**63))
def test_whole_laws_give_whole_numbers(written, seed):
    law = parse(written)
    values = drawn(written, 100, 3, seed)
    assert law.whole
    assert (values == np.round(values)).all()
    assert law.bounds[0] <= values.min() <= values.max() <= law.bounds[1]


@given(real_distributions(0.5, 9), st.floats(0, 1, exclude_max=True))
def test_bounds_hold_for_any_random_number(written, u):
    class Extreme(Draws):
        def uniform(self, parameter, attempt=0):
            return np.full(len(self), min(u, 1 - 2.0**-53))

        def beta(self, parameter, alpha, beta):
            return np.full(len(self), u)

    law = parse(written)
    values = law.sample(Extreme(0, np.arange(4)), 0)
    assert law.bounds[0] <= values.min() <= values.max() <= law.bounds[1]


def drawn_at(written, *uniforms):
    """The values of a law where the uniform numbers are these."""

    class Fixed(Draws):
        def uniform(self, parameter, attempt=0):
            return np.array(uniforms)

    return parse(written).sample(Fixed(0, np.arange(len(uniforms))), 0).tolist()


def test_shares_begin_at_their_edges():
    below = math.nextafter(0.25, 0)
    weighted = {"choice": [5, 7, 9], "weights": [1, 2, 1]}
    assert drawn_at(weighted, 0.0, below, 0.25, 0.75, 1 - 2.0**-53) == [5, 5, 7, 9, 9]
    assert drawn_at({"choice": [5, 7, 9, 11]}, 0.0, below, 0.25, 0.75, 1 - 2.0**-53) == [5, 5, 7, 11, 11]
    assert drawn_at({"integers": [5, 8]}, 0.0, below, 0.25, 0.75, 1 - 2.0**-53) == [5, 5, 6, 8, 8]


def test_log_uniform_ends_where_it_says():
    for high in np.linspace(1.1, 900, 400).tolist():
        first, last = drawn_at({"log_uniform": [0.7, high]}, 0.0, 1 - 2.0**-53)
        assert first == 0.7
        assert high * (1 - 1e-14) < last <= high


@given(real_distributions(-9, 9), st.integers(1, 7), st.integers(0, 1000))
def test_batches_equal_singles(written, copies, start):
    law = parse(written)
    index = np.arange(start, start + 12)
    whole = law.sample(Draws(5, index, copies), 3)
    singles = [law.sample(Draws(5, index[i : i + 1], copies), 3)[0] for i in range(12)]
    assert whole.tolist() == singles


def test_copies_of_a_group_share_one_value():
    groups = {"by_copy": [{"copies": 3, "value": 0}, {"copies": 2, "value": {"uniform": [1, 2]}}]}
    values = drawn(groups, 5000, copies=5).reshape(-1, 5)
    assert (values[:, :3] == 0).all()
    assert (values[:, 3] == values[:, 4]).all()
    assert scipy.stats.kstest(values[:, 3], "uniform", (1, 1)).pvalue > 1e-3
    # a group's value is the one drawn at its first sample
    alone = drawn({"uniform": [1, 2]}, 5000).reshape(-1, 5)
    np.testing.assert_array_equal(values[:, 3], alone[:, 3])


def test_groups_begin_again_and_may_be_cut_short():
    groups = {"by_copy": [{"copies": 2, "value": {"uniform": [0, 1]}}, {"copies": 1, "value": 5}]}
    values = drawn(groups, 5000, copies=5).reshape(-1, 5)
    assert (values[:, 0] == values[:, 1]).all()
    assert (values[:, 2] == 5).all()
    assert (values[:, 3] == values[:, 4]).all()
    assert (values[:, 0] != values[:, 3]).all()
    cut = drawn(groups, 5000, copies=4).reshape(-1, 4)
    assert (cut[:, 3] != cut[:, 0]).all()
    assert (cut[:, 2] == 5).all()


def test_copies_are_counted_from_the_first_sample_of_all():
    groups = {"by_copy": [{"copies": 3, "value": {"integers": [0, 9]}}, {"copies": 3, "value": 10}]}
    whole = drawn(groups, 60, copies=6)
    np.testing.assert_array_equal(drawn(groups, 30, copies=6, start=17), whole[17:47])


@pytest.mark.parametrize(
    ("written", "bounds", "whole"),
    [
        (5, (5, 5), True),
        (5.5, (5.5, 5.5), False),
        ({"uniform": [4, 6]}, (4, 6), False),
        ({"integers": [3, 20], "step": 2}, (3, 19), True),
        ({"normal": [0, 1]}, (-math.inf, math.inf), False),
        ({"normal": [0, 1], "clip": [-2, 3]}, (-2, 3), False),
        ({"log_uniform": [0.1, 10]}, (0.1, 10), False),
        ({"choice": [3, 4.5, 2]}, (2, 4.5), False),
        ({"choice": [3, 4, 2]}, (2, 4), True),
        ({"beta": [1, 2]}, (0, 1), False),
        ({"beta": [1, 2], "range": [-5, 5]}, (-5, 5), False),
        (
            {"by_copy": [{"copies": 1, "value": 4}, {"copies": 1, "value": {"integers": [1, 2]}}]},
            (1, 4),
            True,
        ),
        ({"by_copy": [{"copies": 1, "value": 4}, {"copies": 1, "value": 2.5}]}, (2.5, 4), False),
    ],
    ids=str,
)
def test_bounds(written, bounds, whole):
    law = parse(written)
    assert law.bounds == bounds
    assert law.whole is whole


def test_a_number_is_a_constant():
    assert parse(5) == parse(5.0) == parse({"constant": 5})
    assert drawn(5, 3).tolist() == [5, 5, 5]
    assert parse({"uniform": [1, 2]}) != parse({"uniform": [1, 3]})
    assert len({parse(5), parse(5.0), parse({"uniform": [5, 5]})}) == 2


def complaint(length):
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict({"name": "r", "stages": [{"motion": {"length": length, "angle": 0}}]})
    prefix = "recipe 'r', stage 0 (motion): length"
    message = str(caught.value)
    assert message.startswith(prefix)
    assert "\n" not in message
    return message.removeprefix(prefix).removeprefix(": ").removeprefix(".")


KINDS = "constant, uniform, integers, normal, log_uniform, choice, beta, mixture, reciprocal, by_copy"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"uniform": [6, 4]}, "{'uniform': [6, 4]}: uniform [6.0, 4.0]: the range is reversed"),
        ({"integers": [6, 4]}, "{'integers': [6, 4]}: integers [6, 4]: the range is reversed"),
        ({"log_uniform": [0, 4]}, "{'log_uniform': [0, 4]}: log_uniform needs positive bounds"),
        (
            {"normal": [5, 1], "clip": [6, 4]},
            "{'normal': [5, 1], 'clip': [6, 4]}: clip [6.0, 4.0]: the range is reversed",
        ),
        (
            {"beta": [1, 1], "range": [6, 4]},
            "{'beta': [1, 1], 'range': [6, 4]}: range [6.0, 4.0]: the range is reversed",
        ),
        (
            {"choice": [4, 5], "weights": [1]},
            "{'choice': [4, 5], 'weights': [1]}: 1 weights for 2 values; one each is needed",
        ),
        ("long", f"'long': no number and no distribution ({KINDS})"),
        ([4, 6], f"[4, 6]: no number and no distribution ({KINDS})"),
        (
            {"unifrom": [4, 6]},
            "{'unifrom': [4, 6]}: names none of the distributions; "
            f"one of {KINDS} is needed; did you mean uniform?",
        ),
        (
            {"uniform": [4, 6], "choice": [4]},
            f"{{'uniform': [4, 6], 'choice': [4]}}: names 2 distributions; one of {KINDS} is needed",
        ),
        (math.nan, "constant: nan: a finite number"),
        (-math.inf, "constant: -inf: a finite number"),
        ({"uniform": [4, 2000]}, "{'uniform': [4, 2000]}: 4 … 2000 is outside the allowed 1 … 1023"),
        (0, "0: 0 is outside the allowed 1 … 1023"),
        ({"normal": [5, 1]}, "{'normal': [5, 1]}: -inf … inf is outside the allowed 1 … 1023"),
    ],
    ids=str,
)
def test_complaints(written, message):
    assert complaint(written) == message


@pytest.mark.parametrize(
    ("written", "part"),
    [
        (None, f"no number and no distribution ({KINDS})"),
        (True, f"no number and no distribution ({KINDS})"),
        ({"uniform": [4]}, "uniform.1: field required"),
        ({"uniform": [4, "6"]}, "uniform.1: '6': a valid number"),
        ({"uniform": [4, math.nan]}, "uniform.1: nan: a finite number"),
        ({"uniform": [4, True]}, "uniform.1: True: a valid number"),
        ({"uniform": [4, 5], "clip": [4, 5]}, "clip"),
        ({"integers": [4.5, 6]}, "integers.0: 4.5: a valid integer"),
        ({"integers": [4, 6], "step": 0}, "step: 0: greater than or equal to 1"),
        ({"normal": [4, -1]}, "normal.1: -1: greater than or equal to 0"),
        ({"choice": []}, "choice: []: "),
        ({"choice": [4], "weights": [0]}, "weights.0: 0: greater than 0"),
        ({"beta": [0, 1]}, "beta.0: 0: greater than or equal to 0.01"),
        ({"by_copy": []}, "by_copy: []: "),
        ({"mixture": []}, "mixture: []: "),
        ({"mixture": [1, 2], "weights": [1]}, "1 weights for 2 values; one each is needed"),
        ({"mixture": [{"mixture": [1]}]}, "a mixture holds neither mixtures nor by_copy"),
        ({"reciprocal": {"uniform": [0, 1]}}, "reciprocal needs a positive distribution"),
        ({"by_copy": [{"copies": 0, "value": 4}]}, "copies: 0: greater than or equal to 1"),
        ({"by_copy": [{"copies": 1}]}, "value: "),
        (
            {"by_copy": [{"copies": 1, "value": {"uniform": [5, 4]}}]},
            "uniform [5.0, 4.0]: the range is reversed",
        ),
    ],
    ids=str,
)
def test_complaints_name_the_part(written, part):
    assert part in complaint(written)


@pytest.mark.parametrize(
    "written",
    [
        {"integers": ["4", "6"]},
        {"integers": [True, 6]},
        {"integers": [4, 6], "step": "1"},
        {"choice": [4, 5], "weights": ["1", "2"]},
        {"beta": ["1", "2"], "range": [4, 5]},
        {"by_copy": [{"copies": "1", "value": 4}]},
    ],
    ids=str,
)
def test_text_and_truth_values_are_no_numbers(written):
    complaint(written)


@pytest.mark.parametrize(
    "written",
    [10**400, {"uniform": [4, 10**400]}, {"integers": [4, 10**400]}],
    ids=("constant", "uniform", "integers"),
)
def test_numbers_too_large_for_a_float_are_refused(written):
    complaint(written)


def test_the_schema_names_every_kind():
    schema = distributions.json_schema()
    kinds = [item["$ref"].rsplit("/", 1)[-1] for item in schema["Distribution"]["anyOf"] if "$ref" in item]
    assert kinds == [kind.__name__ for kind in distributions.KINDS.values()]
