"""The look of plots, their formats, and the units on their axes."""

import io
import itertools
import re
import threading

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageColor

from blurgen import style
from blurgen.errors import InputError
from blurgen.gallery import stage_examples
from blurgen.recipe import Recipe
from blurgen.stages import KINDS
from blurgen.stages.descriptions import description
from blurgen.units import unit_of, with_unit

# what a person without green cones sees, in linear light: Machado, Oliveira and Fernandes (2009)
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
LIGHT = np.array([0.2126, 0.7152, 0.0722])


def linear(colour):
    values = np.array(ImageColor.getrgb(colour)) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(light):
    """CIE L*a*b* of linear sRGB."""
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = matrix @ np.clip(light, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one, other):
    high, low = sorted((float(LIGHT @ linear(colour)) + 0.05 for colour in (one, other)), reverse=True)
    return high / low


def test_colours_are_told_apart_by_the_colour_blind():
    colours = [style.series(number)["color"] for number in range(7)]
    for one, other in itertools.combinations(colours, 2):
        distance = np.linalg.norm(lab(DEUTERANOPIA @ linear(one)) - lab(DEUTERANOPIA @ linear(other)))
        assert distance > 10, (one, other)  # about 2 is just seen


def test_text_and_the_first_lines_stand_out_from_white():
    assert min(contrast(colour, "#ffffff") for colour in (style.INK, style.FAINT)) > 4.5
    assert min(contrast(colour, style.PAPER) for colour in (style.INK, style.FAINT)) > 4.5
    assert min(contrast(style.series(number)["color"], "#ffffff") for number in range(3)) > 3


def test_lines_differ_without_their_colours_too():
    looks = [style.series(number) for number in range(49)]
    for field in ("linestyle", "marker"):
        assert len({str(look[field]) for look in looks[:7]}) == 7
    assert len({(look["color"], str(look["linestyle"]), look["marker"]) for look in looks}) == 49
    assert style.series(3, marked=False)["marker"] == ""


def plot(form):
    with style.look():
        made = style.figure(2, 1)
        axes = made.add_subplot()
        axes.plot([0, 1], [1, 10], label=style.literally("a$b$c\x1b"), **style.series(1))
        axes.set_yscale("log")
        axes.legend()
        return style.drawn(made, form)


@pytest.mark.parametrize("form", style.FORMATS)
def test_a_figure_is_the_same_bytes_every_time(form, monkeypatch):
    import matplotlib as mpl

    first = plot(form)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    with mpl.rc_context({"lines.linewidth": 9, "svg.hashsalt": None, "font.size": 30}):
        assert plot(form) == first
        assert mpl.rcParams["lines.linewidth"] == 9  # theirs is as it was
    assert b"Date" not in first


def test_formats_are_what_their_names_say():
    assert Image.open(io.BytesIO(plot("png"))).format == "PNG"
    assert plot("pdf").startswith(b"%PDF-")
    svg = plot("svg").decode()
    assert "<svg" in svg
    assert r">a$b$c\x1b</text>" in svg


@pytest.mark.parametrize(("name", "form"), [("a.png", "png"), ("b/a.SVG", "svg"), ("a.b.pdf", "pdf")])
def test_the_ending_tells_the_format(name, form):
    assert style.form_of(name) == form


@pytest.mark.parametrize("name", ["a", "a.jpg", "png", ".svg", "a.pdf.gz"])
def test_other_endings_are_refused(name):
    with pytest.raises(InputError, match=re.escape(f"'{name}'") + r".*\.png, \.svg or \.pdf is needed"):
        style.form_of(name)


# ---- units ----


def varied():
    """The parameters that stages record, by their last two words, and what their docstrings say of them."""
    for kind, stages in stage_examples().items():
        recipe = Recipe.from_dict({"name": kind, "stages": stages})
        said = description(KINDS[kind]).parameters
        for name in recipe.sample(recipe.draws(1, np.arange(2))):
            *_, owner, parameter = name.split(".")
            if owner == kind and parameter in said:
                yield f"{kind}.{parameter}", said[parameter].text


def test_units_are_those_of_the_docstrings():
    """Where a docstring has the words for a unit in its first sentence, the unit is that, and else none."""
    words = {
        "°": r"\bdegrees\b",
        "px": r"\b(in|how many) pixels\b|^Kernel size|\d pixels;",
        "px²": "square pixels",
        "rad/px": "radians a pixel",
        "grey levels": r"[Gg]rey levels, ?−?\d|in grey levels(?! per)",
        "waves": "in waves",
    }
    seen = set()
    for name, said in varied():
        first = re.split(r"(?<=\D)\.( |$)", said)[0]
        found = {unit for unit, form in words.items() if re.search(form, first)}
        found -= {"px"} if "px²" in found else set()
        if found:
            assert {unit_of(name)} == found, (name, said)
            seen |= found
    assert seen >= set(words) - {"waves"}


def test_axes_are_named_with_their_units():
    assert with_unit("1.motion.length") == "1.motion.length / px"
    assert with_unit("0.one_of.0.gaussian_noise.sigma", short=True) == "sigma / grey levels"
    assert with_unit("0.gaussian.sigma", short=True) == "sigma / px"
    assert with_unit("2.jpeg.quality") == "2.jpeg.quality"


def test_threads_do_not_leave_matplotlib_changed():
    before = dict(matplotlib.rcParams)
    inside, go_on = threading.Event(), threading.Event()

    def first():
        with style.look():
            inside.set()
            go_on.wait(0.3)

    def second():
        inside.wait()
        with style.look():
            go_on.set()

    threads = [threading.Thread(target=each) for each in (first, second)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert dict(matplotlib.rcParams) == before


def test_texts_are_drawn_as_they_are():
    with style.look():
        made = style.figure(3, 2)
        axes = made.subplots()
        for number, name in enumerate(("_run", "a$b$", "two\nlines")):
            axes.plot([0, 1], [number, 1], label=style.literally(name))
        axes.legend()
        drawn = style.drawn(made, "svg").decode()
    for told in (" _run", "a$b$", r"two\nlines"):
        assert f">{told}</text>" in drawn
