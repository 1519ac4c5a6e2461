import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blurgen import gallery
from blurgen.cli import main
from blurgen.errors import InputError, RecipeError
from blurgen.recipe import Recipe, families, load_recipe


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    return folder, gallery.write_gallery(folder, ["mnist-motion", "realistic", "disk", "flip"])


def test_a_page_for_each_name(pages):
    folder, written = pages
    assert [path.name for path in written] == [
        "recipe-mnist-motion.md",
        "recipe-realistic.md",
        "stage-disk.md",
        "stage-flip.md",
    ]
    for path in written:
        text = path.read_text()
        for picture in folder.glob(f"{path.stem}.*g"):
            assert f"({picture.name})" in text
    text = (folder / "recipe-realistic.md").read_text()
    assert load_recipe("realistic").description in text
    assert Recipe.from_yaml(text.split("```yaml\n")[1].split("```")[0]) == load_recipe("realistic")


def test_examples_show_sharp_over_blurred(pages):
    shown = np.asarray(Image.open(pages[0] / "recipe-mnist-motion.jpg").convert("L")).astype(int)
    digits = gallery._images("digits")
    scale = gallery._SIDE // 28
    at = gallery._GAP
    first = shown[at : at + 28 * scale : scale, at : at + 28 * scale : scale]
    assert abs(first - digits[0, :, :, 0]).mean() < 12  # JPEG
    # a third row holds the PSFs, whose peaks are white
    assert shown.shape[0] > 2 * (28 * scale + at)
    assert shown[2 * (28 * scale + at) :].max() > 240


def test_only_what_varies_is_counted(pages):
    folder, _ = pages
    assert (folder / "recipe-mnist-motion.png").exists()
    drawn = gallery._parameters(Recipe.from_dict({"name": "r", "stages": [{"box": {"size": 3}}]}), "png")
    assert drawn is None


@pytest.mark.parametrize("form", ["svg", "pdf"])
def test_histograms_are_written_in_the_format_asked_for(tmp_path, form):
    gallery.write_gallery(tmp_path, ["motion"], figures=form)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == sorted([".jpg", ".md", f".{form}"])
    assert f"](stage-motion.{form})" in (tmp_path / "stage-motion.md").read_text()


def test_histograms_name_units_and_shares(tmp_path):
    gallery.write_gallery(tmp_path, ["motion"], figures="svg")
    text = (tmp_path / "stage-motion.svg").read_text()
    for label in ("length / px", "angle / °", "of the samples"):
        assert f">{label}</text>" in text


def test_other_formats_are_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match="figures 'gif': png, svg or pdf is needed"):
        gallery.write_gallery(tmp_path / "none", ["motion"], figures="gif")
    assert not (tmp_path / "none").exists()


def test_severities_share_a_page():
    for name, members in families().items():
        assert all(member.name in (name, f"{name}-{number}") for number, member in enumerate(members, 1))
    (page,) = (page for page in gallery._recipe_pages() if page.name == "recipe-imagenet-c-jpeg")
    assert [section.heading for section in page.sections] == [f"imagenet-c-jpeg-{n}" for n in range(1, 6)]


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["gallery", "--out", "g", "box"]) == 0
    assert "g: 1 page" in capsys.readouterr().out
    assert Path("g/stage-box.md").exists()
    assert main(["gallery", "--out", "g", "boxx"]) == 1
    assert "there is no recipe 'boxx'" in capsys.readouterr().err


def test_unknown_names():
    with pytest.raises(RecipeError):
        gallery.write_gallery(Path("unused"), ["nothing-such"])


def test_without_matplotlib_the_error_says_what_to_install():
    script = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from blurgen.cli import main\n"
        "sys.exit(main(['gallery', '--out', 'nowhere', 'box']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'blurgen[draw]'" in done.stderr
    assert not Path("nowhere").exists()
