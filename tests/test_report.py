import base64
import html
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import blurgen
from blurgen.cli import main
from blurgen.distributions import parse
from blurgen.draws import Draws
from blurgen.errors import FileError, InputError
from blurgen.grouping import took_part
from blurgen.recipe import Recipe
from blurgen.reporting import duplicates, page, pictures, promises, report, similarity
from blurgen.reporting import findings as looking
from blurgen.reporting.psfs import psf_findings
from blurgen.reporting.sampling import drawn_rows

NESTED = """
name: nested
copies: 2
stages:
  - flip
  - one_of:
    - weight: 3
      stages: [motion: {length: {uniform: [3, 9]}, angle: {normal: [90, 20], clip: [60, 100]}}]
    - weight: 1
      stages: [gaussian: {sigma: {log_uniform: [0.1, 10]}, size: {integers: [3, 9]}}]
  - maybe:
      probability: 0.25
      stages: [gaussian_noise: {sigma: {beta: [2, 5], range: [0, 10]}}]
  - shuffled:
    - gamma: {gamma: {reciprocal: {uniform: [1, 2]}}}
    - brightness: {shift: {choice: [1, 5], weights: [1, 3]}}
"""

BY_SCIPY = [
    ({"uniform": [4, 6]}, stats.uniform(4, 2)),
    ({"log_uniform": [0.1, 10]}, stats.loguniform(0.1, 10)),
    ({"integers": [3, 9]}, stats.randint(3, 10)),
    ({"normal": [1, 2]}, stats.norm(1, 2)),
    ({"beta": [2, 5], "range": [10, 30]}, stats.beta(2, 5, 10, 20)),
    ({"choice": [1, 2, 4], "weights": [1, 2, 1]}, stats.rv_discrete(values=([1, 2, 4], [0.25, 0.5, 0.25]))),
    (3, stats.rv_discrete(values=([3], [1]))),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def digits(folder):
    return blurgen.open_pairs(blurgen.make("digits", folder / "digits.h5", count=90, seed=3, psf=True))


@pytest.fixture(scope="module")
def nested(folder):
    recipe = Recipe.from_yaml(NESTED)
    out = blurgen.make("shapes", folder / "nested.h5", recipe, count=240, seed=5, size=16)
    return blurgen.open_pairs(out)


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# ---- what is promised ----


@pytest.mark.parametrize(("written", "known"), BY_SCIPY)
def test_formulas_are_those_of_scipy(written, known):
    at = np.linspace(-5, 35, 801)
    assert np.abs(promises.cumulative(parse(written), at) - known.cdf(at)).max() < 1e-12


def test_formulas_made_of_others():
    at = np.linspace(0.05, 5, 300)
    clipped = promises.cumulative(parse({"normal": [1, 2], "clip": [0.5, 2]}), at)
    assert np.allclose(clipped, np.where(at < 0.5, 0, np.where(at < 2, stats.norm(1, 2).cdf(at), 1)))
    mixed = {"mixture": [1, {"log_uniform": [0.25, 4]}], "weights": [1, 3]}
    expected = 0.25 * (at >= 1) + 0.75 * stats.loguniform(0.25, 4).cdf(at)
    assert np.allclose(promises.cumulative(parse(mixed), at), expected)
    inverse = promises.cumulative(parse({"reciprocal": {"uniform": [1, 2]}}), at)
    assert np.allclose(inverse, 1 - stats.uniform(1, 1).cdf(1 / at))


@pytest.mark.parametrize(
    "written",
    [
        *(written for written, _ in BY_SCIPY),
        {"normal": [1, 2], "clip": [0.5, 2]},
        {"mixture": [1, {"log_uniform": [0.25, 4]}], "weights": [1, 3]},
        {"reciprocal": {"choice": [3, 7]}},
        {"reciprocal": {"integers": [1, 9]}},
    ],
)
def test_what_is_drawn_is_within_chance_of_its_formula(written):
    distribution = parse(written)
    values = distribution.sample(Draws(7, np.arange(4000)), 0)
    promise = promises.Promise(1, "", promises._formula(distribution, 1), 0, np.unique(values), True)
    far, bound = promises.gap(promise, values)
    assert far <= bound < 0.04
    # and what is not from it is told
    assert promises.gap(promise, values + 0.5)[0] > bound


def test_copies_share_a_formula():
    written = {"by_copy": [{"copies": 3, "value": 0}, {"copies": 1, "value": {"uniform": [1, 2]}}]}
    for copies in (4, 3, 10):
        drawn = parse(written).sample(Draws(1, np.arange(copies * 3000), copies), 0)
        of = promises._formula(parse(written), copies)
        at = np.array([-0.1, 0.0, 1.0, 1.5, 2.0])
        assert np.abs(of(at) - np.searchsorted(np.sort(drawn), at, side="right") / drawn.size).max() < 0.01


def test_every_column_of_a_recipe_is_promised():
    recipe = Recipe.from_yaml(NESTED)
    found = promises.promises(recipe, seed=5)
    columns = recipe.sample(recipe.draws(11, np.arange(5000)))
    assert found.keys() == columns.keys()
    shares = {name: round(promise.share, 6) for name, promise in found.items()}
    assert shares["1.one_of.0.0.motion.length"] == 0.75
    assert shares["1.one_of.1.0.gaussian.sigma"] == 0.25
    assert shares["2.maybe.0.gaussian_noise.sigma"] == 0.25
    for name, promise in found.items():
        values = columns[name][took_part(columns[name])]
        far, bound = promises.gap(promise, values)
        assert far <= bound, name
        assert abs(values.size / 5000 - promise.share) < 0.03
    # even sizes are rounded up to odd ones: no formula, but a count
    assert found["1.one_of.1.0.gaussian.size"].drawn > 1000
    assert found["1.one_of.1.0.gaussian.sigma"].drawn == 0
    assert found["1.one_of.branch"].written == "0 motion: 0.75; 1 gaussian: 0.25"


def test_bins_share_out_everything():
    of = promises._formula(parse({"mixture": [1, {"uniform": [1, 4]}]}), 1)
    promise = promises.Promise(1, "", of, 0, np.array([1.0, 4.0]), True)
    found = promises.shares(promise, np.array([1.0, 2.0, 4.0]))
    assert np.allclose(found, [0.5 + 0.5 / 3, 1 / 3])


# ---- what is looked at ----


@given(st.integers(1, 10**12), st.integers(1, 300), st.integers(0, 2**64 - 1))
def test_rows_are_spread_evenly(count, most, seed):
    rows = drawn_rows(count, most, seed)
    assert rows.size == min(count, most)
    assert (np.diff(rows) > 0).all()
    edges = [count * i // rows.size for i in range(rows.size + 1)]
    assert all(a <= row < b for a, row, b in zip(edges, rows.tolist(), edges[1:], strict=False))


@pytest.mark.parametrize("shape", [(3, 28, 28, 1), (2, 17, 30, 3), (2, 11, 11, 1)])
def test_scores_are_those_of_scikit_image(shape):
    random = np.random.default_rng(0)
    sharp = np.clip(random.normal(0, 9, shape).cumsum(1).cumsum(2) + 180, 0, 255).astype(np.uint8)
    blurred = np.clip(sharp + random.normal(0, 9, shape), 0, 255).astype(np.uint8)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    pairs = list(zip(sharp, blurred, strict=True))
    likeness = [structural_similarity(a, b, channel_axis=2, **options) for a, b in pairs]
    assert np.abs(similarity.ssim(blurred, sharp) - likeness).max() < 1e-5
    noise = [peak_signal_noise_ratio(a, b) for a, b in pairs]
    assert np.abs(similarity.psnr(blurred, sharp) - noise).max() < 1e-9
    assert (similarity.psnr(sharp, sharp) == 100).all()
    assert np.abs(similarity.ssim(sharp, sharp) - 1).max() < 1e-6


def test_images_smaller_than_the_window_have_an_ssim():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 7, 1), dtype=np.uint8)
    assert np.abs(similarity.ssim(images, images) - 1).max() < 1e-6


def test_no_near_duplicate_is_missed():
    random = np.random.default_rng(1)
    images = random.normal(0, 8, (300, 24, 20, 3)).cumsum(1).cumsum(2)
    images = images / np.abs(images).max(axis=(1, 2, 3), keepdims=True) * 100 + 120
    for copy, amount in enumerate((0, 0.5, 1, 2, 4, 40)):
        images[200 + copy] = 0.7 * images[copy] + 20 + random.normal(0, amount, images.shape[1:])
    images = np.clip(np.rint(images), 0, 255).astype(np.uint8)
    images[290:293] = 77  # nothing is in these
    rows = np.arange(300)
    found = duplicates.near_duplicates(images, rows, whole=True)
    gray = images.mean(axis=3).reshape(300, -1)
    kept = np.setdiff1d(rows, [290, 291, 292])
    r = np.triu(np.corrcoef(gray[kept]), 1)
    expected = {(kept[a], kept[b]) for a, b in np.argwhere(r >= duplicates.LEAST)}
    assert {tuple(pair) for pair in found.rows.tolist()} == expected
    assert 2 <= len(expected) < 6
    assert (0, 200) in expected
    assert (found.flat, found.images, found.stopped) == (3, 297, False)
    assert (np.diff(found.correlation) <= 0).all()
    assert found.involved == np.unique(found.rows).size


def test_a_search_among_equal_images_ends(monkeypatch):
    monkeypatch.setattr(duplicates, "_MOST", 50)
    images = np.tile(np.arange(64, dtype=np.uint8).reshape(1, 8, 8, 1), (40, 1, 1, 1))
    found = duplicates.near_duplicates(images, np.arange(40), whole=False)
    assert found.stopped
    assert len(found.rows) == 50


def test_psfs_are_told_by_number(digits):
    found = psf_findings(digits, seed=0)
    assert found.stored
    assert found.psfs.shape[1] < digits.psf.shape[1] or found.psfs.shape[1:] == digits.psf.shape[1:]
    assert np.allclose(found.mean.sum(), 1, atol=1e-5)
    # motion is symmetric about the middle pixel
    assert np.abs(found.centroids).max() < 1e-5
    psf = found.psfs[4]
    ys, xs = np.nonzero(psf >= 1e-3 * psf.max())
    assert found.support[4] == max(np.ptp(ys), np.ptp(xs)) + 1


def test_psfs_that_are_not_stored_are_made_again(folder, digits):
    pairs = blurgen.open_pairs(blurgen.make("digits", folder / "without.h5", count=90, seed=3))
    found = psf_findings(pairs, seed=0)
    assert not found.stored
    assert np.array_equal(found.psfs, psf_findings(digits, seed=0).psfs)


def test_of_a_large_file_samples_are_looked_at(digits, monkeypatch):
    monkeypatch.setattr(looking, "_MOST_ROWS", 50)
    monkeypatch.setattr(looking, "_MOST_VALUES", 28 * 28 * 20)
    monkeypatch.setattr(looking, "_MOST_SOURCES", 7)
    found = looking.findings(digits, seed=9)
    assert (found.rows.size, found.scored.size, found.duplicates.images) == (50, 20, 7)
    assert not found.duplicates.whole
    told, _ = page.page(found)
    assert "50 of 90 pairs, drawn evenly" in told
    assert "20 of 90 pairs, drawn evenly" in told
    assert "a sample of the source images" in told
    assert looking.findings(digits, seed=10).rows.tolist() != found.rows.tolist()


# ---- the page ----


def text_of(page):
    return html.unescape(re.sub(r"<[^>]+>", "", page))


def test_a_page_tells_it_all(nested):
    out = report(nested, "report.html").path
    page = out.read_text(encoding="utf-8")
    told = text_of(page)
    assert all(name.rpartition(".")[2] in told for name in nested.params)
    assert Recipe.from_yaml(html.unescape(page.split('id="recipe-yaml"')[1].split(">")[1].split("<")[0])) == (
        nested.recipe
    )
    assert "(promised 25 %)" in told
    assert "Not as promised" not in told
    assert out.stat().st_size < 10_000_000
    # nothing is fetched: no address but the names of SVG's name spaces
    without_data = re.sub(r"data:[^\"]*", "", page)
    addresses = re.findall(r"(?:https?:)?//[\w.-]+", without_data)
    assert set(addresses) <= {"http://www.w3.org"}
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', page)) <= set(ids)


def test_the_same_file_gives_the_same_page(digits):
    report(digits, "a.html")
    report(digits, "b.html")
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()


def test_a_file_that_is_not_as_promised_is_told(folder, digits):
    import h5py

    path = folder / "other.h5"
    path.write_bytes(digits.path.read_bytes())
    with h5py.File(path, "r+") as file:
        file["params/1.motion.length"][:] = 4.5
    assert "Not as promised" in report(path, "report.html").path.read_text()


def test_tiles_hold_the_pixels_of_the_file(nested):
    shown = pictures.sheet(nested, np.array([3, 200]), set(nested.params), 10**6)
    assert shown.lossless
    assert shown.cut is None
    for tile, row in zip(shown.tiles, (3, 200), strict=True):
        for one, images in ((tile.sharp, nested.sharp), (tile.blurred, nested.blurred)):
            assert np.array_equal(decoded(one), images[row])
    drawn = nested[3].params
    assert shown.tiles[0].values["3.shuffled.order"] == str(drawn["3.shuffled.order"])


def decoded(picture):
    import io

    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(picture.source.partition(",")[2]))) as image:
        return np.asarray(image).reshape(picture.height, picture.width, -1)


def test_a_page_of_large_images_stays_small(folder):
    images = np.random.default_rng(0).integers(0, 256, (4, 900, 700, 3), dtype=np.uint8)
    np.save(folder / "large.npy", images)
    out = blurgen.make(f"npy:{folder / 'large.npy'}", folder / "large.h5", "anime-box")
    done = report(out, "report.html")
    assert done.path.stat().st_size < 10_000_000
    assert 1 <= done.shown <= 4
    told = text_of(done.path.read_text())
    assert "the middle 512×512 of 900×700 pixels is shown" in told
    assert "with a little loss" in told
    few = pictures.sheet(blurgen.open_pairs(out), np.arange(4), set(), 10**6)
    assert len(few.tiles) == 1


def test_of_very_many_parameters_the_first_are_plotted(nested, monkeypatch):
    monkeypatch.setattr(page, "_PLOTTED", 2)
    whole, shown = page.page(looking.findings(nested))
    assert whole.count('aria-label="Distribution of') == 2
    assert shown == 24


def test_the_card_is_that_of_an_export(nested):
    blurgen.export(nested, "out", to="hf")
    report(nested, "README.md")
    card = Path("README.md").read_text()
    assert card == Path("out/README.md").read_text()
    assert "| `1.one_of.0.0.motion.length` | uniform: [3, 9] |" in card
    assert "PSNR / dB" in card
    assert "near-duplicates" in card


@pytest.mark.parametrize("own", [True, False])
def test_the_command_on_the_page_makes_the_same_file(own):
    recipe = Recipe.from_yaml("name: mine\nstages: [motion: {length: {uniform: [3, 9]}, angle: 30}]")
    chosen = recipe if own else "mnist-motion"
    made = blurgen.make(
        "digits", "first.h5", chosen, count=12, copies=4, seed=8, psf=True, compression="gzip"
    )
    page = report(made, "report.html").path.read_text()
    if own:
        link = re.search(r'href="data:application/yaml;base64,([^"]+)" download="recipe.yaml"', page)[1]
        Path("recipe.yaml").write_bytes(base64.b64decode(link))
    command = html.unescape(re.search(r'id="command"[^>]*>([^<]+)<', page)[1])
    words = shlex.split(command)
    assert ("recipe.yaml" in words) == own
    assert main([*words[1:], "-q"]) == 0
    assert Path("pairs.h5").read_bytes() == made.read_bytes()


# ---- the command ----


def test_the_command_says_what_it_did(digits, capsys):
    assert main(["report", str(digits.path), "--out", "report.html"]) == 0
    assert capsys.readouterr().out.startswith("report.html: 24 pairs shown, 90 of 90 scored, 0.")
    assert main(["report", str(digits.path), "--out", "README.md", "-q"]) == 0
    assert Path("README.md").read_text().startswith("---\n")


@pytest.mark.parametrize("out", ["report.pdf", "report"])
def test_other_endings_are_refused(digits, out):
    with pytest.raises(InputError, match=r"a page, NAME\.html, or a card, NAME\.md"):
        report(digits, out)


def test_what_cannot_be_written_is_told(digits):
    with pytest.raises(FileError, match=r"nowhere/report\.md' cannot be written"):
        report(digits, "nowhere/report.md")
    with pytest.raises(FileError, match="there is no such file"):
        report("none.h5", "report.md")


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_without_a_package_the_error_says_what_to_install(digits, package):
    script = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from blurgen.cli import main\n"
        f"sys.exit(main(['report', {str(digits.path)!r}, '--out', 'report.html']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'blurgen[report]'" in done.stderr
