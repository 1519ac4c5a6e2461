import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.metrics import psnr, ssim


def images(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    sharp = torch.rand(shape, generator=generator)
    return (sharp + 0.2 * torch.randn(shape, generator=generator)).clamp(0, 1), sharp


shapes = st.tuples(st.integers(1, 3), st.sampled_from([1, 3]), st.integers(11, 40), st.integers(11, 40))


@given(st.integers(0, 1000), shapes)
def test_psnr_is_that_of_scikit_image(seed, shape):
    from skimage.metrics import peak_signal_noise_ratio

    restored, sharp = images(seed, *shape)
    expected = [
        peak_signal_noise_ratio(s.numpy(), r.numpy(), data_range=1)
        for r, s in zip(restored, sharp, strict=True)
    ]
    np.testing.assert_allclose(psnr(restored, sharp).numpy(), expected, rtol=1e-5)


@given(st.integers(0, 1000), shapes, st.floats(0.02, 1))
def test_ssim_is_that_of_scikit_image(seed, shape, contrast):
    from skimage.metrics import structural_similarity

    restored, sharp = (0.9 - contrast * part for part in images(seed, *shape))
    expected = [
        structural_similarity(
            s.numpy().astype(np.float64),
            r.numpy().astype(np.float64),
            data_range=1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=0,
        )
        for r, s in zip(restored, sharp, strict=True)
    ]
    np.testing.assert_allclose(ssim(restored, sharp).numpy(), expected, atol=5e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_both_are_those_of_torchmetrics(channels):
    from torchmetrics.functional.image import (
        peak_signal_noise_ratio,
        structural_similarity_index_measure,
    )

    restored, sharp = images(1, 4, channels, 32, 48)
    theirs = peak_signal_noise_ratio(restored, sharp, data_range=1.0, reduction="none", dim=(1, 2, 3))
    torch.testing.assert_close(psnr(restored, sharp), theirs, rtol=1e-5, atol=1e-5)
    _, places = structural_similarity_index_measure(
        restored, sharp, data_range=1.0, reduction="none", return_full_image=True
    )
    theirs = places[..., 5:-5, 5:-5].flatten(1).mean(1)  # it pads the borders, and counts them
    torch.testing.assert_close(ssim(restored, sharp), theirs, rtol=0, atol=1e-5)


def test_values_that_are_known():
    black, gray = torch.zeros(1, 1, 16, 16), torch.full((1, 1, 16, 16), 0.1)
    assert psnr(gray, black).item() == pytest.approx(20)
    # without variance only the means count: C1 / (0.01 + C1)
    assert ssim(gray, black).item() == pytest.approx(1e-4 / (0.01 + 1e-4), rel=1e-4)


def test_equal_images_have_the_highest_values():
    _, sharp = images(0, 3, 3, 20, 20)
    assert psnr(sharp, sharp).tolist() == [100, 100, 100]
    torch.testing.assert_close(ssim(sharp, sharp), torch.ones(3))


@given(st.integers(1, 12), st.integers(1, 12))
def test_ssim_takes_images_smaller_than_its_window(height, width):
    restored, sharp = images(2, 2, 1, height, width)
    found = ssim(restored, sharp)
    assert found.shape == (2,)
    assert bool((found <= 1).all())
    torch.testing.assert_close(ssim(sharp, sharp), torch.ones(2))


def test_an_image_is_judged_by_itself():
    restored, sharp = images(3, 5, 3, 24, 24)
    for metric in (psnr, ssim):
        singles = torch.cat([metric(restored[i : i + 1], sharp[i : i + 1]) for i in range(5)])
        torch.testing.assert_close(metric(restored, sharp), singles)
        torch.testing.assert_close(
            metric(restored.bfloat16(), sharp), metric(restored, sharp), atol=0.3, rtol=0
        )
