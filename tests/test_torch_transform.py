"""The recipe as a module: what blurgen.degrade makes, counted, in pipelines and workers."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import recipes as random_recipes
from strategies import texture

import blurgen
from blurgen.errors import InputError, RecipeError

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, Dataset, get_worker_info  # noqa: E402

from blurgen.torch import Degrade, Degrader  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
NOISE = blurgen.Recipe.from_dict({"name": "noise", "stages": [{"gaussian_noise": {"sigma": 9}}]})
WITHOUT_FORM = blurgen.Recipe.from_dict({"name": "odd", "stages": [{"median": {"size": 3}}]})


def tensors(images):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, -3)))


def arrays(batch):
    return np.moveaxis(batch.cpu().numpy(), -3, -1)


@settings(max_examples=15)
@given(
    random_recipes(turns=False),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**62),
    st.sampled_from([(3, 21, 26, 3), (2, 9, 14, 1)]),
)
def test_it_is_degrade(recipe, seed, start, shape):
    images = texture(*shape)
    wanted = blurgen.degrade(images, recipe, seed, start).blurred
    made = Degrade(recipe, seed)(tensors(images), index=start)
    assert made.dtype == torch.uint8
    np.testing.assert_array_equal(arrays(made), wanted)


def test_any_indices():
    images, index = texture(4, 16, 16, 3), [7, 2**40, 0, 7]
    for given_index in (index, np.array(index), torch.tensor(index)):
        made = arrays(Degrade("realistic", 3)(tensors(images), index=given_index))
        for n, one in enumerate(index):
            wanted = blurgen.degrade(images[n : n + 1], "realistic", 3, one).blurred
            np.testing.assert_array_equal(made[n : n + 1], wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_floats_are_bytes(dtype):
    every = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    floats = every.to(torch.float32).div(255).to(dtype).requires_grad_()
    same = Degrade("untouched")(floats)
    assert same.dtype == dtype
    assert not same.requires_grad
    assert torch.equal((same.float() * 255).round().to(torch.uint8), every)
    made = Degrade(NOISE, 5)(floats)
    wanted = Degrade(NOISE, 5)(every).to(torch.float32).div(255).to(dtype)
    assert torch.equal(made, wanted)


def test_floats_between_bytes_are_rounded_half_up():
    between = torch.tensor([-0.5, 0.49, 0.51, 254.4, 255.4]).reshape(1, 1, 1, 5) / 255
    assert (Degrade("untouched")(between) * 255).round().flatten().tolist() == [0, 0, 1, 254, 255]


def test_images_are_counted():
    images = tensors(texture(6, 12, 12, 1))
    degrade, whole = Degrade(NOISE, 1), Degrade(NOISE, 1)(images)
    parts = [degrade(images[:2]), degrade(images[2])[None], degrade(images[3:])]
    assert torch.equal(torch.cat(parts), whole)
    assert degrade.index == 6
    degrade(images, index=90)  # does not count
    degrade.index = 2
    assert torch.equal(degrade(images[2:4]), whole[2:4])


def test_one_image():
    image = tensors(texture(1, 20, 24, 3))[0]
    assert torch.equal(Degrade("gopro", 2)(image), Degrade("gopro", 2)(image[None])[0])
    grown = blurgen.Recipe.from_dict({"name": "grown", "stages": [{"pad": {"top": 3, "left": 1}}]})
    assert Degrade(grown)(image).shape == (3, 23, 25)


def test_layouts_and_memory():
    images = tensors(texture(4, 16, 18, 3))
    kept = images.clone()
    wanted = Degrade("anime-box", 3)(images)
    assert wanted.is_contiguous(memory_format=torch.channels_last)
    for other in (images.contiguous(memory_format=torch.channels_last), torch.cat([images, images])[::2][:2]):
        assert torch.equal(Degrade("anime-box", 3)(other), Degrade("anime-box", 3)(other.contiguous()))
    for channels in (1, 3):
        own = tensors(texture(2, 8, 8, channels)).contiguous(memory_format=torch.channels_last)
        before = own.clone()
        Degrade("untouched")(own).zero_()
        assert torch.equal(own, before)
    assert torch.equal(images, kept)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_it_is_the_degrader():
    images = tensors(texture(3, 32, 32, 3)).cuda()
    made = Degrade("realistic", 4)(images, index=9)
    assert made.device == images.device
    assert torch.equal(made, Degrader("realistic", 4)(images, 9)[1])


def test_elsewhere_nothing_goes_to_the_cpu():
    # a device that holds no values, and refuses to work with tensors of another
    images = torch.zeros(2, 3, 16, 16, dtype=torch.uint8, device="meta")
    made = Degrade("anime-motion")(images)
    assert (made.device, made.shape, made.dtype) == (images.device, images.shape, images.dtype)
    degrade = Degrade(WITHOUT_FORM)
    assert degrade(torch.zeros(1, 1, 8, 8)).shape == (1, 1, 8, 8)
    with pytest.raises(RecipeError, match="stage 'median' has no form for the GPU"):
        degrade(images)


def test_pipelines_of_modules():
    images = tensors(texture(3, 16, 16, 3))
    chain = torch.nn.Sequential(Degrade("anime-motion", 1), Degrade(NOISE, 2))
    wanted = Degrade(NOISE, 2)(Degrade("anime-motion", 1)(images))
    assert torch.equal(chain(images), wanted)
    assert chain.state_dict() == {}
    assert not list(chain.parameters())
    assert "(0): Degrade('anime-motion', seed=1)" in repr(chain)
    for other in (pickle.loads(pickle.dumps(Degrade(NOISE, 2))), copy.deepcopy(Degrade(NOISE, 2))):
        assert torch.equal(other(images), Degrade(NOISE, 2)(images))


def test_kornia():
    augmentation = pytest.importorskip("kornia.augmentation")
    images = tensors(texture(3, 16, 16, 3)).float() / 255
    chain = augmentation.ImageSequential(
        Degrade("anime-motion", 1), augmentation.RandomHorizontalFlip(p=1), Degrade(NOISE, 2)
    )
    blurred = Degrade("anime-motion", 1)(images)
    assert torch.equal(chain(images), Degrade(NOISE, 2)(blurred.flip(-1)))


class Gray(Dataset):
    """Gray images with noise, and the seed of the worker that made them."""

    def __init__(self):
        self.transform = Degrade(NOISE, 5)

    def __len__(self):
        return 8

    def __getitem__(self, row):
        return self.transform(torch.full((1, 6, 6), 128, dtype=torch.uint8)), get_worker_info().seed


def test_workers_and_passes_differ_and_repeat():
    def passes():
        torch.manual_seed(3)
        loader = DataLoader(Gray(), batch_size=2, num_workers=2)
        return [list(loader), list(loader)]

    made = passes()
    seen, gray = set(), np.full((2, 6, 6), 128, np.uint8)
    for one in made:
        for number, (images, seeds) in enumerate(one):
            # the workers take turns, and each has made two images a batch
            start = int(seeds[0]) % 2**31 * 2**32 + number // 2 * 2
            np.testing.assert_array_equal(arrays(images), blurgen.degrade(gray, NOISE, 5, start).blurred)
            seen |= {image.numpy().tobytes() for image in images}
    assert len(seen) == 16
    for one, other in zip(made, passes(), strict=True):
        assert all(torch.equal(a[0], b[0]) for a, b in zip(one, other, strict=True))


BYTES = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("images", "index", "message"),
    [
        (np.zeros((1, 1, 4, 4), np.uint8), None, "images are a ndarray; a tensor is needed"),
        ((BYTES, 3), None, "images are a tuple; a tensor is needed"),
        (BYTES.long(), None, "images are torch.int64; torch.uint8, or floats from 0 to 1, are needed"),
        (torch.zeros(4, 4), None, r"shape \(4, 4\); \(B, C, H, W\) or \(C, H, W\)"),
        (torch.zeros(4, 4, 2), None, r"shape \(1, 4, 4, 2\); \(B, C, H, W\) with C 1 or 3"),
        (torch.zeros(0, 1, 4, 4), None, "there are no pixels"),
        (torch.full((1, 4, 4), 255.0), None, "hold values from 255 to 255; 0 to 1 is needed"),
        (torch.linspace(-2, 2.5, 16).reshape(1, 4, 4), None, "hold values from -2 to 2.5; 0 to 1"),
        (torch.full((1, 4, 4), torch.nan), None, "hold values from nan to nan"),
        (BYTES, -1, "index -1: a whole number from 0"),
        (BYTES, [1], r"whole numbers of shape \(2,\) are needed"),
        (torch.zeros(1, 4, 5), None, "stage 0: stage 'turn' needs square images"),
    ],
)
def test_bad_input(images, index, message):
    with pytest.raises(InputError, match=message):
        Degrade("mnist-motion")(images, index=index)


def test_bad_arguments():
    with pytest.raises(InputError, match=r"seed -1: a whole number from 0"):
        Degrade("mnist-motion", -1)
    with pytest.raises(RecipeError, match="there is no recipe 'mnits'"):
        Degrade("mnits")
    with pytest.raises(TypeError):
        Degrade("mnist-motion")(BYTES, 3)  # a label would be taken for an index
