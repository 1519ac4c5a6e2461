"""What stands behind the page of `blurgen play`, without a page."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import blurgen
from blurgen.distributions import parse
from blurgen.errors import InputError, SourceError
from blurgen.play import catalogue
from blurgen.play.catalogue import Control, Field
from blurgen.play.checks import Problem, located
from blurgen.play.document import Document
from blurgen.play.knobs import OFFERED, at, converted, kind_of, knobs, written
from blurgen.play.outline import shape
from blurgen.play.pictures import SHOWN, Choice, choice_of_folder, pictures, sharp_images, shown_rows
from blurgen.play.session import begin
from blurgen.recipe import read_yaml, recipes
from blurgen.stages import KINDS

TEXT = """\
# for a friend
name: mine  # the name
stages:
  - motion: {length: {uniform: [3, 21]}, angle: 30}  # fast
  # at last
  - linear:
      stages:
        - saturate
        - disk:
            radius: {uniform: [1, 1e1]}
"""
DISK = ("stages", 1, "linear", "stages", 1, "disk")


def test_the_state_needs_no_page():
    names = ["catalogue", "checks", "document", "knobs", "outline", "pictures", "session"]
    imports = "; ".join(f"import blurgen.play.{name}" for name in names)
    script = f"{imports}; import sys; assert 'nicegui' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


# ---- documents ----


def test_an_edit_leaves_all_else_as_it_was():
    before = Document(TEXT)
    after = before.put({("stages", 0, "motion", "length", "uniform", 1): 25.5})
    assert after.text == TEXT.replace("21", "25.5").replace("}  # fast", "} # fast")
    assert after.recipe.stages[0].length.bounds == (3.0, 25.5)
    assert before.text == TEXT


@pytest.mark.parametrize("name", sorted(recipes()))
def test_every_built_in_recipe_survives_an_edit(name):
    recipe = recipes()[name]
    document = Document(recipe.to_yaml())
    assert document.recipe == recipe
    assert document.put({("name",): "other"}).recipe.stages == recipe.stages


def test_stages_come_go_and_move():
    document = Document(TEXT).insert(("stages", 1), catalogue.item("jpeg", ()))
    assert [stage.kind for stage in document.recipe.stages] == ["motion", "jpeg", "linear"]
    document = document.move(("stages", 1), -1)
    assert [stage.kind for stage in document.recipe.stages] == ["jpeg", "motion", "linear"]
    document = document.remove(("stages", 1))
    assert [stage.kind for stage in document.recipe.stages] == ["jpeg", "linear"]
    assert "# for a friend" in document.text
    assert document.move(("stages", 0), -1).text == document.text


def test_a_stage_that_is_only_named_gets_a_body():
    document = Document("name: a\nstages:\n- camera_shake\n- jpeg:\n")
    document = document.put(
        {("stages", 0, "camera_shake", "length"): 9, ("stages", 1, "jpeg", "quality"): 30}
    )
    assert document.recipe == blurgen.Recipe.from_yaml(
        "name: a\nstages: [camera_shake: {length: 9}, jpeg: {quality: 30}]"
    )


def test_texts_that_would_be_numbers_are_quoted():
    document = Document("name: a\nstages: [jpeg: {quality: 30}]\n")
    document = document.put({("stages", 0, "jpeg", "subsampling"): "4:2:2"})
    assert document.recipe.stages[0].subsampling == "4:2:2"


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"given"}))
def test_every_stage_can_be_put_into_a_recipe(kind):
    inside = {"resize": ("rescaled",)}.get(kind, ())
    assert kind in catalogue.offered(inside)
    item = catalogue.item(kind, inside)
    if inside:
        item = {"rescaled": {"stages": [item]}}
    document = Document("name: a\nstages: []\n").insert(("stages", 0), item)
    assert document.recipe == blurgen.Recipe.from_dict({"name": "a", "stages": [item]})


def test_in_linear_light_only_what_may_stand_there_is_offered():
    offered = catalogue.offered(("linear",))
    assert "jpeg" not in offered
    for kind in set(offered) - {"given"}:
        inner = {"saturate": {}} if kind in ("maybe", "one_of", "shuffled", "sensor") else None
        if inner is None:
            item = catalogue.item(kind, ("linear",))
            blurgen.Recipe.from_dict({"name": "a", "stages": [{"linear": {"stages": [item]}}]})


def test_layout_depends_on_form_not_on_numbers():
    document = Document(TEXT)
    same = document.put({(*DISK, "radius", "uniform", 0): 2})
    other = document.put({(*DISK, "radius"): 2})
    assert shape(same.stages) == shape(document.stages) != shape(other.stages)


# ---- complaints ----


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("stages: [motion: {length: 0, angle: 1}]", "stages 0 motion length", "outside the allowed 1 … 1023"),
        ("stages: [jpegg: {}]", "stages 0", "did you mean 'jpeg'"),
        ("stages: [disk: {radius: {unifrom: [1, 2]}}]", "stages 0 disk radius", "did you mean uniform"),
        ("stages: [disk: {radiu: 3}]", "stages 0", "no field 'radiu'"),
        ("stages: [disk: {}]", "stages 0 disk radius", "field required"),
        ("stages: [gaussian: {sigma: 0}]", "stages 0", "a sigma above 0"),
        (
            "stages: [maybe: {probability: 2, stages: [disk: {radius: 1}]}]",
            "stages 0 maybe probability",
            "equal to 1",
        ),
        ("stages: [maybe: {probability: 1, stages: []}]", "stages 0 maybe stages", "at least one stage"),
        (
            "stages: [linear: {stages: [saturate, jpeg: {quality: 3}]}]",
            "stages 0 linear stages 1",
            "on bytes",
        ),
        (
            "stages: [one_of: [stages: [disk: {radius: -1}]]]",
            "stages 0 one_of 0 stages 0 disk radius",
            "outside",
        ),
        (
            "stages: [varying: {blur: {disk: {radius: -1}}, rows: 2, columns: 2}]",
            "stages 0 varying blur disk radius",
            "outside",
        ),
        ("stages: [disk: {radius: 1}, exposure: {stops: 1}]", "stages 1", "must stand in 'linear'"),
        ("stages: [{disk: 1, box: 2}]", "stages 0", "is no stage"),
        ("stages: [disk: {radius: 1}]\ncopies: 0", "copies", "greater than or equal to 1"),
        ("stages: 3", "", "at least one stage"),
        ("stages: [", "", "not YAML"),
    ],
)
def test_a_complaint_stands_where_it_belongs(text, path, words):
    document = Document(f"name: a\n{text}\n")
    (problem,) = document.problems
    assert problem.path == tuple(int(part) if part.isdigit() else part for part in path.split())
    assert words in problem.text
    assert document.recipe is None


def test_all_stages_complain_at_once():
    document = Document("name: a\nstages: [disk: {radius: -1}, box: {size: 0}, jpeg: {quality: 3}]\n")
    assert [problem.path[1:] for problem in document.problems] == [(0, "disk", "radius"), (1, "box", "size")]


def test_a_stage_that_refuses_images_is_found():
    document = Document("name: a\nstages: [disk: {radius: 1}, turn: {quarters: 1}]\n")
    with pytest.raises(InputError) as refused:
        document.recipe.output_shape((20, 30, 1))
    problem = located(str(refused.value), document.name, document.stages)
    assert problem.path == ("stages", 1)
    assert problem.text.startswith("stage 'turn' needs square images")


def test_no_recipe_and_no_yaml_have_no_stages():
    for text in ("", "3", "[1]", "stages: 3", "name: ["):
        document = Document(text)
        assert (document.readable, document.stages, document.recipe) == (False, (), None)
        assert document.problems


# ---- fields and their sliders ----


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_field_is_described(kind):
    assert catalogue.summary(kind)
    for field in catalogue.fields(kind).values():
        assert field.doc, field
        if field.control in (Control.DISTRIBUTION, Control.NUMBER):
            low, high = field.span
            assert field.low <= low < high <= field.high, field
            assert (high - low) / field.step <= 1000


def parameters():
    return [
        (kind, name, value)
        for kind in sorted(KINDS)
        if isinstance(catalogue.body(kind), dict)
        for name, value in catalogue.body(kind).items()
        if name in catalogue.fields(kind)
        and catalogue.fields(kind)[name].control is Control.DISTRIBUTION
        and kind_of(value)
    ]


@pytest.mark.parametrize(("kind", "name", "value"), parameters())
def test_every_distribution_converts_within_what_is_allowed(kind, name, value):
    field = catalogue.fields(kind)[name]
    for to in ["constant", "integers", "choice"] if field.whole else OFFERED:
        if to == "integers" and not any(float(n).is_integer() for n in np.arange(field.low, field.high + 1)):
            continue
        new = converted(value, to, field)
        low, high = parse(new).bounds
        assert kind_of(new) == to
        assert field.low <= low <= high <= field.high, new
        assert parse(new).whole or not field.whole


FIELD = Field("length", Control.DISTRIBUTION, "", low=1, high=1023, span=(1.0, 50.0))


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (5, [""]),
        ({"uniform": [3, 21]}, [""]),
        ({"log_uniform": [1.5, 40]}, [""]),
        ({"integers": [3, 21], "step": 2}, ["", "step"]),
        ({"normal": [9, 2], "clip": [1, 30]}, ["mean", "deviation", "clip"]),
        ({"beta": [1, 3], "range": [2, 9]}, ["α", "β", "range"]),
        ({"choice": [1, 2]}, []),
        ({"uniform": [1, "two"]}, []),
        ({"uniform": 3}, []),
        ({"normal": []}, []),
        (True, []),
        (None, []),
    ],
)
def test_sliders_move_the_numbers_of_a_value(value, labels):
    found = knobs(FIELD, value)
    assert [knob.label for knob in found] == labels
    for knob in found:
        for place in knob.places:
            number = at(value, place)
            assert knob.to_value(knob.to_slider(number)) == pytest.approx(
                number, rel=0.006, abs=knob.step / 2
            )


@given(st.floats(1, 50), st.floats(1, 50))
def test_a_slider_rests_where_it_was_put(low, high):
    for kind in ("uniform", "log_uniform"):
        (knob,) = knobs(FIELD, {kind: sorted([low, high])})
        value = knob.to_value(knob.to_slider(low))
        assert knob.to_value(knob.to_slider(value)) == value


def test_a_slider_reaches_what_the_recipe_says():
    (knob,) = knobs(FIELD, {"uniform": [3, 400]})
    assert knob.span == (1.0, 400.0)


@given(
    st.recursive(st.integers() | st.text("ab: {}[]#'", max_size=6), lambda inner: st.lists(inner, max_size=3))
)
def test_a_value_on_one_line_reads_back(value):
    assert "\n" not in written(value)
    assert read_yaml(written(value)) == value


# ---- pictures ----


def test_what_is_shown_is_what_make_writes(tmp_path):
    session = begin("mnist-motion", None, tmp_path, seed=3)
    shown = session.draw("A")
    path = blurgen.make("digits", tmp_path / "a.h5", "mnist-motion", count=SHOWN * 6, seed=3)
    file = blurgen.open_pairs(path)
    assert shown.rows.tolist() == [6 * image + image % 6 for image in range(SHOWN)]
    np.testing.assert_array_equal(shown.blurred, file.blurred[shown.rows])
    np.testing.assert_array_equal(shown.sharp, file.sharp[shown.rows])
    for name, column in file.params.items():
        np.testing.assert_array_equal(shown.params[name], column[shown.rows])
    psfs = file.recipe.psfs(shown.params, file.recipe.draws(3, shown.rows))
    margin = (psfs.shape[1] - shown.psfs.shape[1]) // 2
    inner = slice(margin, psfs.shape[1] - margin)
    np.testing.assert_array_equal(shown.psfs, psfs[:, inner, inner])
    assert shown.psfs.sum(axis=(1, 2)) == pytest.approx(1, abs=1e-5)


def photographs(folder, sizes, mode="RGB"):
    folder.mkdir()
    noise = np.random.default_rng(5)
    for number, (width, height) in enumerate(sizes):
        pixels = noise.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{number}.png")
    return folder


def test_patches_of_photographs_are_spread_over_all(tmp_path):
    folder = photographs(tmp_path / "photos", [(300, 500), (520, 260), (700, 256)])
    choice = choice_of_folder(folder)
    assert choice.patch == 256
    sharp = sharp_images(choice.open(0))
    assert sharp.index.tolist() == [0, 1, 2, 3, 4]
    recipe = blurgen.load_recipe("anime-box")
    shown = pictures(sharp, recipe, 9)
    path = blurgen.make(choice.dataset, tmp_path / "b.h5", recipe, patch=256, seed=9)
    np.testing.assert_array_equal(shown.blurred, blurgen.open_pairs(path).blurred[shown.rows])


def test_small_images_of_one_size_are_shown_whole(tmp_path):
    assert choice_of_folder(photographs(tmp_path / "a", [(30, 20), (30, 20)])).patch is None
    assert choice_of_folder(photographs(tmp_path / "b", [(30, 20), (20, 30), (40, 40)])).patch == 20
    with pytest.raises(SourceError, match="does not exist"):
        choice_of_folder(tmp_path / "c")


@pytest.mark.parametrize(("images", "copies"), [(16, 1), (16, 6), (3, 1), (3, 4), (1, 100), (5, 20)])
def test_rows_are_different_and_of_their_images(images, copies):
    index = np.arange(images) * 7
    rows, which = shown_rows(index, copies)
    assert len(rows) == min(SHOWN, images * copies) == len(set(rows.tolist()))
    np.testing.assert_array_equal(rows // copies, index[which])


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_png_holds_the_pixels(tmp_path, mode):
    choice = Choice(f"folder:{photographs(tmp_path / 'a', [(9, 7)] * 2, mode)}")
    shown = pictures(sharp_images(choice.open(0)), blurgen.load_recipe("anime-box"), 1)
    (tmp_path / "a.png").write_bytes(shown.png("blurred", 1))
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == mode
        np.testing.assert_array_equal(np.asarray(image).reshape(7, 9, -1), shown.blurred[1])


def test_why_there_are_no_psfs_is_told(tmp_path):
    session = begin("imagenet-c-jpeg-1", None, tmp_path)
    session.choice = Choice("digits")
    assert session.draw("A").no_psfs == "None of the stages is a blur by a PSF."
    session.document = Document("name: a\nstages: [roll: {angle: 3}]\n")
    assert session.draw("A").no_psfs == "'roll' does not blur by one PSF for the whole image."


def test_pairs_that_one_psf_describes_show_it(tmp_path):
    session = begin("mnist-motion", None, tmp_path)
    session.document = Document(
        "name: a\nstages: [one_of: [{stages: [motion: {length: 7, angle: {uniform: [0, 90]}}]}, "
        "{stages: [roll: {angle: 3}]}]]\n"
    )
    shown = session.draw("A")
    steady = shown.params["0.one_of.branch"] == 0
    assert [shown.has_psf(number) for number in range(SHOWN)] == steady.tolist()
    assert 0 < steady.sum() < SHOWN
    for number in np.flatnonzero(steady):
        expected = blurgen.psf.motion(7, shown.params["0.one_of.0.0.motion.angle"][number])
        found = shown.psfs[number]
        rows, columns = ((a - b) // 2 for a, b in zip(found.shape, expected.shape, strict=True))
        inner = found[rows : rows + expected.shape[0], columns : columns + expected.shape[1]]
        np.testing.assert_allclose(inner, expected, atol=1e-6)
        assert inner.sum() == pytest.approx(1, abs=1e-5)


# ---- sessions ----


def test_a_session_begins_with_what_suits(tmp_path):
    assert begin(None, None, tmp_path).document.recipe == blurgen.load_recipe("mnist-motion")
    own = Choice("folder:photos")
    session = begin(None, own, tmp_path)
    assert (session.document.recipe.name, session.choice) == ("realistic", own)
    assert begin("plates", None, tmp_path).choice == Choice("plates")
    assert begin("bsrgan", None, tmp_path).choice == Choice("shapes")
    with pytest.raises(blurgen.BlurgenError, match="there is no recipe 'bsrgn'"):
        begin("bsrgn", None, tmp_path)


def test_a_file_with_mistakes_opens(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: a\nstages: [disk: {radius: -1}]\n", encoding="utf-8")
    session = begin(str(path), None, tmp_path)
    assert session.document.text == path.read_text(encoding="utf-8")
    assert session.draw("A") == Problem(("stages", 0, "disk", "radius"), "-1 is outside the allowed 0 … 400")


def test_the_command_makes_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from blurgen.cli import main

    session = begin("mnist-motion", None, tmp_path / "", seed=2)
    session.folder = type(tmp_path)()
    assert session.command("A").split()[:6] == [
        "blurgen",
        "make",
        "--dataset",
        "digits",
        "--recipe",
        "mnist-motion",
    ]
    session.document = session.document.put({("stages", 1, "motion", "length"): 9, ("copies",): 1})
    assert session.needs_saving("A")
    session.save("A", "long.yaml")
    assert not session.needs_saving("A")
    command = session.command("A").replace("--count 10000", "--count 40")
    assert main([*command.split()[1:], "--quiet"]) == 0
    shown = session.draw("A")
    np.testing.assert_array_equal(shown.blurred, blurgen.open_pairs("long.h5").blurred[shown.rows])


@pytest.mark.parametrize("file", ["", "a.txt", ".yaml", "../a.yaml", "b/a.yaml", ".a.yaml"])
def test_recipes_are_saved_in_their_folder_alone(tmp_path, file):
    with pytest.raises(InputError, match=r"a name that ends in \.yaml"):
        begin("plates", None, tmp_path).save("A", file)
    assert list(tmp_path.iterdir()) == []


def test_no_file_that_is_not_ours_is_replaced(tmp_path):
    session = begin("plates", None, tmp_path)
    (tmp_path / "plates.yaml").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="is there already"):
        session.save("A", "plates.yaml")
    session.save("A", "other.yaml")
    session.document = session.document.put({("copies",): 2})
    path = session.save("A", "other.yaml")
    assert path.read_text(encoding="utf-8") == session.document.text
    path.write_text("changed by someone", encoding="utf-8")
    with pytest.raises(InputError, match="is not what was opened"):
        session.save("A", "other.yaml")


def test_two_recipes_are_compared(tmp_path):
    session = begin("mnist-motion", None, tmp_path)
    session.compare()
    assert (session.active, session.tuned["B"].file) == ("B", "mnist-motion-b.yaml")
    session.document = session.document.put({("stages", 1, "motion", "length"): 9})
    first, second = session.draw("A"), session.draw("B")
    np.testing.assert_array_equal(first.sharp, second.sharp)
    assert (first.blurred != second.blurred).any()
    session.end_comparing()
    assert session.document.recipe.stages[1].length.bounds == (9, 9)
