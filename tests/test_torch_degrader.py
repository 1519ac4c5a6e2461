"""What the device makes is what the CPU makes; here the device is the CPU, or a GPU where there is one."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import recipes as random_recipes
from strategies import texture

from blurgen import Recipe, convolve, degrade, jpeg, recipes
from blurgen.draws import Draws
from blurgen.errors import InputError, RecipeError
from blurgen.gallery import stage_examples
from blurgen.loops import noise as noise_loops
from blurgen.loops.philox import draw_block
from blurgen.stages.base import KINDS
from blurgen.stages.blur import Motion

torch = pytest.importorskip("torch")

from blurgen.torch import Degrader, device_stages, on_device, words  # noqa: E402
from blurgen.torch import blur as device_blur  # noqa: E402

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]
EXAMPLES = stage_examples()
WITHOUT_FORM = {
    "bilateral",
    "correlated_noise",
    "depth_blur",
    "elastic",
    "fit",
    "median",
    "object_motion",
    "random_replacement",
    "rescaled",
    "resize",
    "sensor",
    "varying",
}
# sums of floats, which the CPU takes in another order
TO_ONE_LEVEL = {
    "anisotropic_gaussian",
    "box",
    "covariance_gaussian",
    "diffraction",
    "disk",
    "gaussian",
    "generalized_gaussian",
    "imagenet_c_defocus",
    "levi_shake",
    "linear",
    "maybe",
    "one_of",
    "plateau_gaussian",
    "roll",
    "shuffled",
    "sinc",
    "soft_disk",
    "zoom_motion",
}
TURNS = {"turn"}


def example(kind):
    return Recipe.from_dict({"name": kind, "stages": EXAMPLES[kind]})


def recipe(*stages):
    return Recipe.from_dict({"name": "test", "stages": list(stages)})


def on(images, device="cpu"):
    return torch.from_numpy(images).permute(0, 3, 1, 2).to(device)


def back(tensor):
    return tensor.permute(0, 2, 3, 1).cpu().numpy()


def difference(images, chosen, device="cpu", seed=5, start=2**33):
    """How far the device's blurred images are from the CPU's; the sharp ones must be equal."""
    wanted = degrade(images, chosen, seed, start)
    sharp, blurred = Degrader(chosen, seed)(on(images, device), start)
    np.testing.assert_array_equal(back(sharp), wanted.sharp)
    return abs(back(blurred).astype(int) - wanted.blurred)


def linear(stage):
    return {"linear": {"curve": "srgb", "stages": [stage]}}


def test_which_stages_have_a_form():
    assert set(device_stages()) == set(KINDS) - WITHOUT_FORM


def test_the_guide_names_every_stage_where_it_belongs():
    guide = (Path(__file__).parents[1] / "docs" / "gpu.md").read_text(encoding="utf-8")
    with_form, _, without = guide.partition("No form for the GPU")
    named = {name for name in re.findall(r"`([a-z_]+)`", with_form) if name in KINDS}
    assert named == set(device_stages())
    assert set(re.findall(r"`([a-z_]+)`", without.partition("\n\n")[0])) & set(KINDS) == WITHOUT_FORM


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", sorted(set(EXAMPLES) - WITHOUT_FORM))
def test_every_stage_is_the_cpus(kind, channels, device):
    chosen = example(kind)
    if channels == 1 and kind == "gaussian_noise":
        chosen = recipe({"gaussian_noise": {"sigma": {"uniform": [0, 40]}}})
    images = texture(7, 45, 45 if kind in TURNS else 38, channels)
    wrong = difference(images, chosen, device)
    assert wrong.max() <= (1 if kind in TO_ONE_LEVEL else 0)
    assert (wrong > 0).mean() < 2e-3


COUNTS = {"shot_noise", "poisson_gaussian_noise"}  # need to know how many pixels are left


@pytest.mark.parametrize("kind", sorted(set(EXAMPLES) - WITHOUT_FORM - COUNTS))
def test_all_happens_where_the_images_are(kind):
    # a device that holds no values, and refuses to work with tensors of another
    images = torch.zeros(4, 3, 32, 32, dtype=torch.uint8, device="meta")
    sharp, blurred = Degrader(example(kind))(images)
    assert sharp.device == blurred.device == images.device


FLOATS = {
    "gaussian_noise": {"sigma": 9, "channels": "correlated"},
    "speckle_noise": {"sigma": 0.3},
    "banding_noise": {"row_sigma": 9, "column_sigma": 4},
    "impulse_noise": {"amount": 0.1, "salt": 0.3},
    "quantisation": {"bits": {"integers": [1, 9]}},
    "shot_noise": {"peak": 20, "scale": 0.7, "channels": "gray"},
    "poisson_gaussian_noise": {"gain": {"log_uniform": [0.01, 20]}, "read_noise": 3, "full_well": 900},
    "brightness": {"shift": -20.3},
    "contrast": {"factor": 1.7},
    "vignetting": {"strength": {"uniform": [0, 0.9]}},
    "resize_and_back": {"scale": {"uniform": [0.3, 2]}},
    "sinc": {"cutoff": {"uniform": [0.65, 2]}, "size": 13},
    "zoom_motion": {"factor": 1.2, "border": "wrap"},
    "roll": {"angle": 9, "border": "constant"},
}


@pytest.mark.parametrize("kind", FLOATS)
def test_linear_light(kind):
    wrong = difference(texture(6, 30, 33, 3), recipe(linear({kind: FLOATS[kind]})))
    assert wrong.max() <= 1
    assert (wrong > 0).mean() < 1e-3


@pytest.mark.parametrize(
    "stage",
    [
        {"gaussian_noise": {"sigma": 20, "channels": "gray"}},
        {"speckle_noise": {"sigma": 0.5, "channels": "independent"}},
        {"impulse_noise": {"amount": 0.2, "salt": 0.9}},
        {"shot_noise": {"peak": {"log_uniform": [0.1, 1e5]}, "channels": "gray"}},
        {"shot_noise": {"peak": 3}},
        {"poisson_gaussian_noise": {"gain": {"log_uniform": [1e-4, 255]}}},
        {"pixelate": {"scale": {"uniform": [0.01, 1]}, "filter": "box"}},
        {"pixelate": {"scale": {"reciprocal": {"integers": [1, 30]}}, "filter": "box"}},
        {"pixelate": {"scale": 0.001}},
        {"resize_and_back": {"scale": {"log_uniform": [0.01, 4]}}},
        {"clahe": {"clip_limit": {"choice": [0, 0.1, 3, 900]}, "tiles": {"integers": [1, 20]}}},
        {"pad": {"top": 3, "right": 4}},
        {"rotate": {"angle": {"uniform": [-180, 180]}}},
        {"perspective": {"strength": 0.3}},
    ],
    ids=lambda stage: next(iter(stage)),
)
@pytest.mark.parametrize("shape", [(9, 41, 50, 3), (3, 1, 1, 3), (3, 2, 17, 1)])
def test_fields_of_stages(stage, shape):
    assert difference(texture(*shape), recipe(stage), seed=77).max() == 0


@pytest.mark.parametrize("border", ["replicate", "reflect", "mirror", "wrap", "constant"])
@pytest.mark.parametrize("shape", [(5, 40, 23, 3), (5, 3, 2, 1)])
def test_borders(border, shape):
    fields = {"length": {"uniform": [1, 20]}, "angle": {"uniform": [0, 360]}, "border": border}
    # so few taps are summed in whole numbers
    assert difference(texture(*shape), recipe({"motion": fields})).max() == 0
    assert (
        difference(texture(*shape), recipe({"box": {"size": {"integers": [1, 9]}, "border": border}})).max()
        <= 1
    )


@pytest.mark.parametrize("sub", ["4:2:0", "4:2:2", "4:4:4"])
@pytest.mark.parametrize(
    "shape", [(20, 48, 64, 3), (11, 33, 31, 3), (9, 1, 5, 3), (9, 7, 4, 3), (9, 5, 1, 3), (12, 21, 9, 1)]
)
def test_jpeg_byte_for_byte(sub, shape):
    stage = {"jpeg": {"quality": {"integers": [1, 100]}, "subsampling": sub}}
    assert difference(texture(*shape), recipe(stage)).max() == 0
    # noise of full range, whose coefficients are the largest there are
    rough = np.random.default_rng(1).choice(np.array([0, 255], np.uint8), shape)
    chosen = recipe(stage)
    draws = chosen.draws(3, np.arange(len(rough)))
    quality = chosen.sample(draws)["0.jpeg.quality"]
    _, blurred = Degrader(chosen, 3)(on(rough))
    np.testing.assert_array_equal(back(blurred), jpeg(rough, quality, sub))


@settings(max_examples=15)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**60), st.integers(0, 2**30 - 1), st.integers(0, 2**31))
def test_words_are_philoxs(seed, index, stream, first):
    draws = Draws(seed, np.array([index, index + 1]), stream=stream)
    drawn = words.words(draws, 9, torch.device("cpu"), first)
    for row in (0, 1):
        blocks = [
            draw_block(
                np.uint64(seed), np.uint64(index + row), np.uint64(draws.pixel_stream), np.uint64(first + k)
            )
            for k in range(3)
        ]
        assert drawn[row].tolist() == [int(word) for block in blocks for word in block][:9]


@settings(max_examples=10)
@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=200))
def test_normals_are_the_loops(drawn):
    drawn += [0, 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1]
    wanted = np.empty(len(drawn), np.float32)
    noise_loops.to_normals(np.array(drawn, np.uint32), wanted)
    np.testing.assert_array_equal(words.normals(torch.tensor(drawn)).numpy(), wanted)


@settings(max_examples=30)
@given(random_recipes(turns=False), st.integers(0, 2**64 - 1), st.integers(0, 2**62))
def test_random_recipes(chosen, seed, start):
    wrong = difference(texture(5, 21, 26, 3), chosen, seed=seed, start=start)
    # where a blur that is summed in floats is a level off, what follows may magnify that
    assert (wrong > 1).mean() < 5e-3


def test_large_psfs_and_floats_against_scipy():
    from scipy import ndimage

    images = texture(2, 60, 70, 1).astype(np.float32)
    psfs = np.random.default_rng(0).random((2, 41, 41)).astype(np.float32)
    psfs /= psfs.sum(axis=(1, 2), keepdims=True)
    made = device_blur.convolve(torch.from_numpy(images), psfs, "mirror").numpy()
    for image, psf, one in zip(images, psfs, made, strict=True):
        wanted = ndimage.convolve(image[..., 0].astype(float), psf.astype(float), mode="mirror")
        np.testing.assert_allclose(one[..., 0], wanted, atol=1e-4)
    np.testing.assert_allclose(made, convolve(images, psfs, "mirror"), atol=1e-2)


def test_parts_of_a_batch_are_the_batch(monkeypatch):
    from blurgen.torch import clahe, geometry, noise, paths, poisson, resizing
    from blurgen.torch import jpeg as device_jpeg

    chosen = recipe(
        {"rotate": {"angle": {"uniform": [-9, 9]}}},
        {"disk": {"radius": {"uniform": [0, 5]}}},
        {"resize_and_back": {"scale": {"uniform": [0.3, 3]}}},
        {"roll": {"angle": {"uniform": [0, 9]}}},
        {"poisson_gaussian_noise": {"gain": 0.5, "read_noise": 2}},
        {"gaussian_noise": {"sigma": 3}},
        {"clahe": {"clip_limit": 2, "tiles": {"integers": [1, 7]}}},
        {"jpeg": {"quality": 50}},
    )
    images = on(texture(7, 33, 40, 3))
    whole = Degrader(chosen, 2)(images, 9)
    for module, name in (
        *((m, "_MOST") for m in (clahe, geometry, paths, resizing, device_jpeg, device_blur)),
        (noise, "MOST"),
        (poisson, "MOST"),
    ):
        monkeypatch.setattr(module, name, 40 * 33 * 3 * 2)
    parts = Degrader(chosen, 2)(images, 9)
    for one, other in zip(whole, parts, strict=True):
        assert torch.equal(one, other)


def test_a_batch_is_its_singles_in_any_order():
    chosen = recipe(
        {"turn": {"quarters": {"integers": [0, 3]}}},
        {
            "shuffled": [
                {"motion": {"length": {"uniform": [1, 9]}, "angle": 20}},
                {"gaussian_noise": {"sigma": 9}},
            ]
        },
        {"maybe": {"probability": 0.5, "stages": [{"jpeg": {"quality": {"integers": [5, 95]}}}]}},
    )
    degrader, images = Degrader(chosen, 1), on(texture(8, 24, 24, 3))
    index = np.array([5, 3, 2**40, 0, 17, 4, 9, 11])
    whole = degrader(images, index)
    for n in range(8):
        for made, one in zip(whole, degrader(images[n : n + 1], index[n : n + 1]), strict=True):
            assert torch.equal(made[n : n + 1], one)
    for kind in (index.tolist(), torch.from_numpy(index), tuple(index)):
        assert torch.equal(degrader(images, kind)[1], whole[1])


@pytest.mark.parametrize("name", ["mnist-motion", "realistic", "plates", "gopro", "imagenet-c-pixelate-3"])
def test_built_in_recipes(name):
    wrong = difference(texture(30, 48, 48, 3), recipes()[name])
    assert (wrong > 0).mean() < 2e-3
    assert (wrong > 1).mean() < 5e-4


def test_options_may_change_shapes():
    frame = {"height": 20, "width": 30}
    plate = {"plate_view": {"pov": 0.2, "magnitude": 0.9, **frame}}
    chosen = recipe({"one_of": [{"stages": [plate, {"brightness": {"shift": 9}}]}, {"stages": [plate]}]})
    assert difference(texture(9, 33, 40, 3), chosen).max() == 0


def test_layouts_and_memory():
    images = texture(4, 16, 18, 3)
    contiguous = on(images).contiguous()
    kept = contiguous.clone()
    degrader = Degrader("anime-box", 3)
    sharp, blurred = degrader(contiguous)
    assert sharp.is_contiguous(memory_format=torch.channels_last)
    assert blurred.is_contiguous(memory_format=torch.channels_last)
    for other in (on(images), contiguous[:, :, :, :]):
        assert torch.equal(degrader(other)[1], blurred)
    blurred.zero_()
    assert torch.equal(contiguous, kept)
    # a recipe without stages leaves two tensors, all the same
    sharp, blurred = Degrader("untouched")(on(images))
    blurred.zero_()
    assert torch.equal(sharp, kept)


def test_no_gradient_is_recorded_and_it_pickles():
    degrader = pickle.loads(pickle.dumps(Degrader("realistic", 7)))
    images = on(texture(3, 20, 20, 3))
    assert not degrader(images)[1].requires_grad
    assert torch.equal(degrader(images)[1], Degrader("realistic", 7)(images)[1])
    assert repr(degrader) == "Degrader('realistic', seed=7)"


@pytest.mark.parametrize("kind", sorted(WITHOUT_FORM - {"resize"}))
def test_stages_without_a_form_are_named(kind):
    with pytest.raises(RecipeError, match=rf"^recipe '{kind}': stage '{kind}' has no form for the GPU; "):
        Degrader(example(kind))


def test_stages_inside_others_are_found():
    inner = {"maybe": {"probability": 0.1, "stages": [{"one_of": [{"stages": [{"median": {"size": 3}}]}]}]}}
    with pytest.raises(RecipeError, match="stage 'median' has no form"):
        Degrader(recipe(inner))


@pytest.mark.parametrize(
    ("images", "index", "message"),
    [
        (np.zeros((1, 1, 4, 4), np.uint8), 0, "images are a ndarray; a tensor is needed"),
        (torch.zeros(1, 1, 4, 4), 0, "images are torch.float32; torch.uint8 is needed"),
        (torch.zeros(1, 4, 4, 2, dtype=torch.uint8), 0, r"shape \(1, 4, 4, 2\); \(B, C, H, W\)"),
        (torch.zeros(4, 4, dtype=torch.uint8), 0, r"shape \(4, 4\)"),
        (torch.zeros(0, 1, 4, 4, dtype=torch.uint8), 0, "there are no pixels"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), -1, "index -1: a whole number from 0"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), 2**63 - 1, "index 9223372036854775807"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), [1], r"index is int64 of shape \(1,\); .* shape \(2,\)"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), [0.0, 1.0], "index is float64"),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), [3, -4], "index -4: whole numbers from 0"),
        (torch.zeros(2, 1, 4, 5, dtype=torch.uint8), 0, "stage 0: stage 'turn' needs square images"),
    ],
)
def test_bad_input(images, index, message):
    with pytest.raises(InputError, match=message):
        Degrader("mnist-motion")(images, index)


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True])
def test_bad_seeds(seed):
    with pytest.raises(InputError, match=r"seed .*: a whole number from 0"):
        Degrader("mnist-motion", seed)


def test_forms_serve_only_who_applies_as_they_do(monkeypatch):
    class Longer(Motion):
        pass

    class Other(Motion):
        def apply(self, images, params, draws):
            return images

    from blurgen.torch import forms

    stages = [kind(length=3.0, angle=0.0) for kind in (Longer, Other)]
    assert list(forms.without_form(stages[:1])) == []
    assert list(forms.without_form(stages[1:])) == ["motion"]
    monkeypatch.setattr(forms, "_FORMS", dict(forms._FORMS))
    on_device(Other)(lambda stage, images, params, draws: images)
    assert list(forms.without_form(stages)) == []


def test_poisson_numbers_follow_their_law():
    from scipy import stats

    from blurgen.torch import poisson

    draws = Draws(1, np.arange(4))
    for mean in (0.3, 7.0, 11.0, 300.0):
        rate = torch.full((4, 5000), mean, dtype=torch.float64)
        drawn = poisson.counts(rate, draws).flatten().numpy()
        edges = stats.poisson(mean).ppf([0, 0.1, 0.3, 0.5, 0.7, 0.9, 1])
        seen = [(drawn <= edge).mean() for edge in edges[1:-1]]
        np.testing.assert_allclose(seen, stats.poisson(mean).cdf(edges[1:-1]), atol=0.015)


def test_failed_attempts_give_the_nearest_count(monkeypatch):
    from blurgen.torch import poisson

    monkeypatch.setattr(
        poisson, "_attempted", lambda rate, *_: (rate * 0, torch.zeros_like(rate, dtype=torch.bool))
    )
    rate = torch.tensor([[10.4, 99.5]], dtype=torch.float64)
    assert poisson.counts(rate, Draws(1, np.arange(1))).tolist() == [[10.0, 100.0]]


@pytest.mark.fuzz
@settings(max_examples=60)
@given(
    st.sampled_from(sorted(set(EXAMPLES) - WITHOUT_FORM)),
    st.integers(2, 70),
    st.integers(2, 70),
    st.integers(0, 2**64 - 1),
)
def test_every_stage_at_any_size(kind, height, width, seed):
    images = texture(3, height, height if kind in TURNS else width, 3)
    assert difference(images, example(kind), seed=seed).max() <= 1
