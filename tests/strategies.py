"""Hypothesis strategies that several tests share: random distributions, stages and recipes, as in YAML."""

import numpy as np
from hypothesis import strategies as st

from blurgen.gallery import stage_examples
from blurgen.loops.noise import to_normals
from blurgen.recipe import Recipe

BORDERS = ("replicate", "reflect", "mirror", "wrap", "constant")
# besides those with random fields, stages as the gallery shows them: blurs by one PSF, and what has none
SHOWN = (
    "anisotropic_gaussian",
    "brightness",
    "camera_shake",
    "impulse_noise",
    "jpeg",
    "polygon",
    "thick_line",
)


def _ends(numbers):
    return st.tuples(numbers, numbers).map(sorted)


def real_distributions(low, high, shares=True):
    """Distributions, as in YAML, whose values lie in [low, high]."""
    numbers = st.floats(low, high, allow_subnormal=False)
    positive = st.floats(max(low, 1e-3), high, allow_subnormal=False)
    kinds = [
        numbers,
        _ends(numbers).map(lambda pair: {"uniform": pair}),
        _ends(positive).map(lambda pair: {"log_uniform": pair}),
        st.builds(
            lambda mean, deviation, clip: {"normal": [mean, deviation], "clip": clip},
            st.floats(-1e3, 1e3),
            st.floats(0, 1e3),
            _ends(numbers),
        ),
        st.builds(
            lambda shapes, ends: {"beta": shapes, "range": ends},
            st.lists(st.floats(0.01, 50), min_size=2, max_size=2),
            _ends(numbers),
        ),
        _choices(numbers),
    ]
    if np.floor(high) >= np.ceil(low):
        kinds.append(_integers(int(np.ceil(low)), int(np.floor(high))))
    if low > 0:
        kinds.append(_ends(st.floats(1 / high, 1 / low)).map(_reciprocal).filter(_lies_within(low, high)))
    if shares:
        inner = real_distributions(low, high, shares=False)
        kinds += [_shares(inner), st.lists(inner, min_size=1, max_size=3).map(lambda all_: {"mixture": all_})]
    return st.one_of(kinds)


def _reciprocal(pair):
    return {"reciprocal": {"uniform": pair}}


def _lies_within(low, high):
    return lambda written: all(low <= 1 / end <= high for end in written["reciprocal"]["uniform"])


def whole_distributions(low, high, shares=True):
    """Distributions, as in YAML, of whole numbers in [low, high]."""
    numbers = st.integers(low, high)
    kinds = [numbers, _integers(low, high), _choices(numbers)]
    if shares:
        kinds.append(_shares(whole_distributions(low, high, shares=False)))
    return st.one_of(kinds)


def _integers(low, high):
    return st.builds(
        lambda ends, step: {"integers": ends, "step": step},
        _ends(st.integers(low, high)),
        st.integers(1, max(1, high - low)),
    )


def _choices(numbers):
    def with_weights(values):
        weights = st.lists(st.floats(0.01, 100), min_size=len(values), max_size=len(values))
        weighted = weights.map(lambda chosen: {"choice": values, "weights": chosen})
        return st.one_of(st.just({"choice": values}), weighted)

    return st.lists(numbers, min_size=1, max_size=5).flatmap(with_weights)


def _shares(values):
    share = st.builds(lambda copies, value: {"copies": copies, "value": value}, st.integers(1, 3), values)
    return st.lists(share, min_size=1, max_size=3).map(lambda shares: {"by_copy": shares})


def _blur(**fields):
    return st.fixed_dictionaries(fields, optional={"border": st.sampled_from(BORDERS)})


def single_stages(turns=True):
    """Stages that hold no others; every kind that needs no file."""
    kinds = {
        "motion": _blur(length=real_distributions(1, 12), angle=real_distributions(-400, 400)),
        "gaussian": st.one_of(
            _blur(sigma=real_distributions(0.2, 2.5)),
            _blur(size=whole_distributions(1, 9)),
            _blur(sigma=real_distributions(0.2, 2.5), size=whole_distributions(0, 8)),
        ),
        "box": _blur(size=whole_distributions(1, 9)),
        "disk": _blur(radius=real_distributions(0, 4)),
        "gaussian_noise": st.fixed_dictionaries({"sigma": real_distributions(0, 40)}),
    }
    for kind in SHOWN:
        kinds[kind] = st.just(stage_examples()[kind][0][kind])
    if turns:
        kinds["turn"] = st.fixed_dictionaries({"quarters": whole_distributions(0, 3)})
    return st.one_of([body.map(lambda b, kind=kind: {kind: b}) for kind, body in kinds.items()])


def _combined(inner):
    lists = st.lists(inner, min_size=1, max_size=2)
    option = st.fixed_dictionaries({"stages": lists}, optional={"weight": st.floats(0.01, 10)})
    return st.one_of(
        st.lists(option, min_size=1, max_size=3).map(lambda options: {"one_of": options}),
        st.lists(inner, min_size=2, max_size=3).map(lambda stages: {"shuffled": stages}),
        st.builds(
            lambda probability, stages: {"maybe": {"probability": probability, "stages": stages}},
            st.floats(0, 1),
            lists,
        ),
    )


def stages(turns=True):
    """Any stage, combinators two deep included."""
    single = single_stages(turns)
    shallow = st.one_of(single, _combined(single))
    return st.one_of(single, shallow, _combined(shallow))


def recipe_dicts(texts=None, turns=True):
    """Recipes as plain dicts."""
    texts = st.text(max_size=20) if texts is None else texts
    return st.fixed_dictionaries(
        {"name": texts.filter(bool), "stages": st.lists(stages(turns), min_size=1, max_size=3)},
        optional={"description": texts, "source": texts, "copies": st.integers(1, 9)},
    )


def recipes(turns=True):
    """Random recipes with a plain name."""
    return recipe_dicts(st.just("random"), turns).map(Recipe.from_dict)


def normals_of(words):
    """The normal number of each 32-bit word, float64."""
    out = np.empty(len(words), np.float32)
    to_normals(np.asarray(words).astype(np.uint32), out)
    return out.astype(np.float64)


def texture(count, height, width, channels=1):
    """Images by whole-number arithmetic alone, rough and smooth, dark and bright: uint8 (B, H, W, C)."""
    b, y, x, c = np.indices((count, height, width, channels), dtype=np.int64)
    rough = (b * 7919 + y * 104729 + x * 1299709 + c * 15485863) % 2147483647
    rough = rough * rough % 2147483647 // 16 % 256
    smooth = (x * 5 + y * 3 + b * 40 + c * 30) % 256
    return np.where((x // 5 + y // 7 + b) % 3 == 0, rough, np.where((x + y) % 19 == 0, 255, smooth)).astype(
        np.uint8
    )
