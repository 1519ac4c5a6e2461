"""Built-in recipes against what their sources publish, by formulas and libraries of others."""

import io

import cv2
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
from PIL import Image
from strategies import texture

from blurgen import degrade, load_recipe
from blurgen.recipe import recipes

COUNT = 20_000
IMAGES = texture(3, 64, 72, 3)
FLOATS = IMAGES / 255.0


def drawn(name, count=COUNT):
    recipe = load_recipe(name)
    return recipe.sample(recipe.draws(3, np.arange(count)))


def shares(column):
    values, counts = np.unique(column, return_counts=True)
    return dict(zip(values.tolist(), (counts / counts.sum()).tolist(), strict=True))


def is_uniform(column, low, high):
    values = column[~np.isnan(column)]
    return scipy.stats.kstest(values, scipy.stats.uniform(low, high - low).cdf).pvalue > 1e-4


def test_the_published_recipes_are_there():
    names = set(recipes())
    assert {"plates", "camera-shake", "gp-shake", "levi-shake", "text-hradis2015", "rsblur"} < names
    assert {"realesrgan", "bsrgan", "gopro", "realistic", "untouched"} < names
    corruptions = ("defocus", "motion", "gaussian-noise", "shot-noise", "impulse-noise", "jpeg", "pixelate")
    for corruption in (*corruptions, "contrast", "gaussian-blur", "speckle-noise"):
        assert {f"imagenet-c-{corruption}-{severity}" for severity in range(1, 6)} < names


def test_every_source_is_told():
    for recipe in recipes().values():
        assert len(recipe.description) > 40
        assert recipe.source


# ---- plates ----


def test_plates():
    columns = drawn("plates")
    branches = shares(columns["0.one_of.branch"])
    for branch, share in enumerate((0.88, 0.03, 0.02, 0.05, 0.02)):
        assert branches[branch] == pytest.approx(share, abs=0.008)
    main = "0.one_of.0."
    pov = columns[f"{main}0.plate_view.pov"]
    pov = pov[~np.isnan(pov)]
    assert scipy.stats.kstest(0.5 - pov, scipy.stats.beta(0.5, 0.5).cdf).pvalue > 1e-4
    grey = columns[f"{main}0.plate_view.grey"]
    counts = np.bincount(grey[~np.isnan(grey)].astype(int), minlength=255)
    expected = np.diff(scipy.stats.beta(0.5, 0.5).cdf(np.arange(256) / 255)) * counts.sum()
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-4
    assert is_uniform(columns[f"{main}0.plate_view.magnitude"], 0.8, 1)
    sizes = columns[f"{main}2.thick_line.size"]
    assert set(sizes[sizes > 0]) <= set(range(11, 26))
    shift = columns[f"{main}3.brightness.shift"]
    shift = shift[~np.isnan(shift)]
    # plus or minus a number of 0 … 13: 0 comes twice as often as any other
    counts = np.bincount((shift + 13).astype(int), minlength=27)
    expected = np.where(np.arange(27) == 13, 2, 1) / 28 * shift.size
    assert scipy.stats.chisquare(counts, expected).pvalue > 1e-4
    scale = columns[f"{main}4.pixelate.scale"]
    np.testing.assert_allclose(np.unique(1 / scale[~np.isnan(scale)]), [4, 5, 6, 7])
    angle = columns["0.one_of.3.2.thick_line.angle"]
    angle = angle[~np.isnan(angle)]
    assert scipy.stats.kstest(abs(angle), scipy.stats.norm(90, 10).cdf).pvalue > 1e-4
    assert (angle > 0).mean() == pytest.approx(0.5, abs=0.06)
    pairs = degrade(IMAGES, "plates")
    assert pairs.sharp.shape == pairs.blurred.shape == (3, 90, 270, 3)


# ---- Real-ESRGAN, BSRGAN ----


def test_realesrgan():
    columns = drawn("realesrgan")
    first = shares(columns["0.rescaled.0.one_of.branch"])
    kernels = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)
    for branch, share in enumerate(kernels):
        assert first[branch] == pytest.approx(0.9 * share, abs=0.012)
    assert first[6] + first[7] == pytest.approx(0.1, abs=0.008)
    assert first[6] / (first[6] + first[7]) == pytest.approx(3 / 8, abs=0.04)  # sizes 7, 9, 11 of 7 … 21
    assert is_uniform(columns["0.rescaled.0.one_of.0.0.anisotropic_gaussian.sigma_x"], 0.2, 3)
    beta = columns["0.rescaled.0.one_of.2.0.generalized_gaussian.beta"]
    beta = beta[~np.isnan(beta)]
    assert (beta < 1).mean() == pytest.approx(0.5, abs=0.03)
    assert is_uniform(beta[beta < 1], 0.5, 1)
    assert is_uniform(beta[beta > 1], 1, 4)
    plateau = columns["0.rescaled.0.one_of.4.0.plateau_gaussian.beta"]
    plateau = plateau[~np.isnan(plateau)]
    assert (plateau == 1).mean() == pytest.approx(0.5, abs=0.03)
    for place, (up, keep, down), low, high in (
        (1, (0.2, 0.1, 0.7), 0.15, 1.5),
        (5, (0.3, 0.3, 0.4), 0.3, 1.2),
    ):
        branches = shares(columns[f"0.rescaled.{place}.one_of.branch"])
        assert [branches[n] for n in range(3)] == pytest.approx([up, keep, down], abs=0.012)
        assert is_uniform(columns[f"0.rescaled.{place}.one_of.0.0.resize.scale"], 1, high)
        assert is_uniform(columns[f"0.rescaled.{place}.one_of.2.0.resize.scale"], low, 1)
    for place, sigma, scale in ((2, 30, 3), (6, 25, 2.5)):
        branches = shares(columns[f"0.rescaled.{place}.one_of.branch"])
        # Gaussian or Poisson, half each; gray in 40 of 100
        assert [branches[n] for n in range(4)] == pytest.approx([0.3, 0.2, 0.3, 0.2], abs=0.012)
        assert is_uniform(columns[f"0.rescaled.{place}.one_of.0.0.gaussian_noise.sigma"], 1, sigma)
        assert is_uniform(columns[f"0.rescaled.{place}.one_of.2.0.shot_noise.scale"], 0.05, scale)
    assert columns["0.rescaled.4.maybe.applied"].mean() == pytest.approx(0.8, abs=0.01)
    assert columns["0.rescaled.7.one_of.branch"].mean() == pytest.approx(0.5, abs=0.015)
    quality = columns["0.rescaled.3.jpeg.quality"]
    assert (quality.min(), quality.max()) == (30, 95)
    pairs = degrade(IMAGES, "realesrgan")
    assert pairs.blurred.shape == IMAGES.shape
    np.testing.assert_array_equal(pairs.sharp, IMAGES)


def test_bsrgan():
    columns = drawn("bsrgan")
    inside = "0.rescaled.0.shuffled."
    assert len(np.unique(columns[f"{inside}order"])) == 720
    for blur in (0, 1):
        assert columns[f"{inside}{blur}.one_of.branch"].mean() == pytest.approx(0.5, abs=0.015)
        assert is_uniform(columns[f"{inside}{blur}.one_of.0.0.covariance_gaussian.variance_x"], 0, 5)
        assert is_uniform(columns[f"{inside}{blur}.one_of.1.0.gaussian.sigma"], 0, 2.2)
    sizes = columns[f"{inside}0.one_of.1.0.gaussian.size"]
    assert set(sizes[sizes > 0]) == set(range(7, 26, 2))
    down = columns[f"{inside}2.one_of.0.0.resize.scale"]
    assert is_uniform(1 / down[~np.isnan(down)], 1, 2)
    noise = shares(columns[f"{inside}4.one_of.branch"])
    assert [noise[n] for n in range(3)] == pytest.approx([0.4, 0.4, 0.2], abs=0.012)
    assert columns[f"{inside}5.maybe.applied"].mean() == pytest.approx(0.9, abs=0.008)
    assert degrade(IMAGES, "bsrgan").blurred.shape == IMAGES.shape


# ---- ImageNet-C: the formulas of Hendrycks & Dietterich's code, on floats in 0 … 1 ----


def corrupted(corruption, severity):
    return degrade(IMAGES, f"imagenet-c-{corruption}-{severity}").blurred


def close(images, expected, levels):
    assert abs(images - 255 * np.clip(expected, 0, 1)).max() <= levels


@pytest.mark.parametrize("severity", range(1, 6))
def test_imagenet_c_contrast(severity):
    factor = (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1]
    means = FLOATS.mean(axis=(1, 2), keepdims=True)
    close(corrupted("contrast", severity), (FLOATS - means) * factor + means, 0.501)


@pytest.mark.parametrize("severity", range(1, 6))
def test_imagenet_c_defocus(severity):
    radius, alias = (3, 4, 6, 8, 10)[severity - 1], (0.1, 0.5, 0.5, 0.5, 0.5)[severity - 1]
    reach, size = (8, 3) if radius <= 8 else (radius, 5)
    x, y = np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1))
    disc = np.array(x**2 + y**2 <= radius**2, np.float32)
    kernel = cv2.GaussianBlur(disc / disc.sum(), (size, size), alias)
    inner = slice(2 * radius, -2 * radius), slice(2 * radius, -2 * radius)  # the borders are our own choice
    kernel /= kernel.sum()  # theirs brighten at severities 4 and 5, where the smoothing meets the edge
    for image, got in zip(FLOATS, corrupted("defocus", severity), strict=True):
        expected = cv2.filter2D(image, -1, kernel)
        close(got[inner], expected[inner], 0.6)


@pytest.mark.parametrize("severity", range(1, 6))
def test_imagenet_c_gaussian_blur(severity):
    sigma = (1, 2, 3, 4, 6)[severity - 1]
    expected = scipy.ndimage.gaussian_filter(FLOATS, (0, sigma, sigma, 0), mode="nearest", truncate=4.0)
    close(corrupted("gaussian-blur", severity), expected, 0.52)


@pytest.mark.parametrize("severity", range(1, 6))
def test_imagenet_c_pixelate_and_jpeg_are_pillows_bytes(severity):
    factor, quality = (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1], (25, 18, 15, 10, 7)[severity - 1]
    for image, pixelated, compressed in zip(
        IMAGES, corrupted("pixelate", severity), corrupted("jpeg", severity), strict=True
    ):
        opened = Image.fromarray(image)
        small = opened.resize((int(72 * factor), int(64 * factor)), Image.Resampling.BOX)
        np.testing.assert_array_equal(pixelated, small.resize((72, 64), Image.Resampling.BOX))
        stream = io.BytesIO()
        opened.save(stream, "JPEG", quality=quality)
        np.testing.assert_array_equal(compressed, Image.open(stream))


@pytest.mark.parametrize("severity", range(1, 6))
def test_imagenet_c_noises(severity):
    flat = np.full((4, 200, 200, 3), 100, np.uint8)
    level = 100 / 255

    def spread(corruption):
        made = degrade(flat, f"imagenet-c-{corruption}-{severity}").blurred / 255.0
        return made.ravel()

    sigma = (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1]
    law = scipy.stats.norm(level, sigma)
    made = spread("gaussian-noise")
    inside = (made > 0.05) & (made < 0.95)
    assert inside.mean() == pytest.approx(law.cdf(0.95) - law.cdf(0.05), abs=0.006)
    photons = (60, 25, 12, 5, 3)[severity - 1]
    counts = np.minimum(scipy.stats.poisson(photons * level).rvs(200_000, random_state=1) / photons, 1)
    made = spread("shot-noise")
    assert made.mean() == pytest.approx(counts.mean(), abs=0.004)
    assert made.std() == pytest.approx(counts.std(), rel=0.015)
    amount = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
    made = spread("impulse-noise")
    assert (made == 0).mean() == pytest.approx(amount / 2, abs=0.002)
    assert (made == 1).mean() == pytest.approx(amount / 2, abs=0.002)
    sigma = (0.15, 0.2, 0.35, 0.45, 0.6)[severity - 1]
    clipped = np.clip(scipy.stats.norm(level, level * sigma).rvs(200_000, random_state=1), 0, 1)
    made = spread("speckle-noise")
    assert made.mean() == pytest.approx(clipped.mean(), abs=0.003)
    assert made.std() == pytest.approx(clipped.std(), rel=0.01)


@pytest.mark.parametrize("severity", range(1, 6))
def test_imagenet_c_motion(severity):
    radius, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[severity - 1]
    columns = drawn(f"imagenet-c-motion-{severity}", 4000)
    assert set(columns["0.imagenet_c_motion.radius"]) == {radius}
    assert set(columns["0.imagenet_c_motion.sigma"]) == {sigma}
    assert is_uniform(columns["0.imagenet_c_motion.angle"], -45, 45)


# ---- the rest ----


def test_text_and_shake():
    columns = drawn("text-hradis2015")
    assert is_uniform(columns["0.disk.radius"], 0, 4)
    assert is_uniform(columns["1.random_walk.size"], 5, 21)
    assert is_uniform(columns["2.gaussian_noise.sigma"], 0, 7)
    columns = drawn("camera-shake")
    assert is_uniform(columns["0.camera_shake.centripetal"], 0, 0.7)
    assert is_uniform(columns["0.camera_shake.impulses"], 0, 0.2)
    assert is_uniform(columns["0.camera_shake.gaussian"], 0, 10)
    assert is_uniform(columns["0.camera_shake.angle"], 0, 360)
    assert set(columns["0.camera_shake.anxiety"]) == {0.01, 0.009, 0.008, 0.007, 0.005, 0.003}
    assert set(columns["0.camera_shake.exposure"]) == {0.1, 0.5, 1}
    assert set(columns["0.camera_shake.length"]) == {60}


def test_rsblur():
    columns = drawn("rsblur")
    assert is_uniform(columns["0.linear.0.highlights.gain"], 0.25, 1.75)
    sensor = "0.linear.3.sensor."
    assert is_uniform(columns[f"{sensor}red_gain"], 1.9, 2.4)
    assert is_uniform(columns[f"{sensor}blue_gain"], 1.5, 1.9)
    assert set(columns[f"{sensor}pattern"]) == {0, 1, 2, 3}
    # grey levels an electron: 255 β₁, and of the read noise 255 β₂
    assert is_uniform(columns[f"{sensor}0.poisson_gaussian_noise.gain"] / 255, 0.5e-4, 1.5e-4)
    assert is_uniform(columns[f"{sensor}1.gaussian_noise.sigma"] / 255, 0.5 * 9.1504e-4, 1.5 * 9.1504e-4)
    # a gray wedge stays gray and as bright as it was, but for noise and blur
    wedge = np.repeat(np.linspace(20, 230, 96).astype(np.uint8)[None, None, :, None], 96, axis=1)
    wedge = np.repeat(np.repeat(wedge, 3, axis=3), 8, axis=0)
    blurred = degrade(wedge, "rsblur").blurred
    assert abs(blurred.mean(axis=(0, 1)) - wedge.mean(axis=(0, 1)))[16:-16].max() < 3
