import contextlib
import importlib.util
import json
import math
import pickle

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from strategies import recipe_dicts, recipes, texture

import blurgen
from blurgen import Recipe, degrade, load_recipe
from blurgen.errors import InputError, RecipeError
from blurgen.recipe import recipes as built_in
from blurgen.stages.base import KINDS

BOX = {"box": {"size": 3}}
NAMES = sorted(built_in())
TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cn", "Cs"), include_characters="\n\t"),
    max_size=30,
)


@given(recipes())
def test_round_trips(recipe):
    for again in (
        Recipe.from_dict(recipe.to_dict()),
        Recipe.from_yaml(recipe.to_yaml()),
        Recipe.from_yaml(recipe.to_json()),
        Recipe.from_dict(json.loads(recipe.to_json())),
        pickle.loads(pickle.dumps(recipe)),
    ):
        assert again == recipe
        assert hash(again) == hash(recipe)
        assert again.to_json() == recipe.to_json()
        assert again.to_yaml() == recipe.to_yaml()
        assert again.to_dict() == recipe.to_dict()
    assert "\n" not in recipe.to_json()


@given(recipe_dicts(TEXTS))
def test_any_text_round_trips(fields):
    recipe = Recipe.from_dict(fields)
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    assert Recipe.from_yaml(recipe.to_json()) == recipe


@pytest.mark.parametrize(
    "text",
    [
        "1e-3",
        "1e5",
        "12",
        "1.5",
        "yes",
        "null",
        "2001-01-01",
        "0x10",
        "1_000",
        "12:30",
        "~",
        "= a",
        "a: b",
        "- a",
        "# a",
        "'",
        " led and trailed ",
        "two\nlines",
        "two\nlines\n",
        "\n\nempty lines\n\n",
        "  indented\n less\n",
        "tab\there",
        "word " * 60,
        "  " + "word " * 60,
        "long\n  " + "word " * 60,
        "ünïcödé σ ½ × 模糊 🙂",
        "carriage\r\nreturn",
        "next\u2028line",
        "\ufeffmark",
    ],
)
def test_text_that_looks_like_something_else_round_trips(text):
    recipe = Recipe.from_dict({"name": text, "description": text, "source": text, "stages": [BOX]})
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe
    assert Recipe.from_yaml(recipe.to_json()) == recipe


def test_equality_and_hash():
    def recipe(length, **more):
        stage = {"motion": {"length": length, "angle": {"uniform": [0, 360]}}}
        return Recipe.from_dict({"name": "r", "stages": [stage], **more})

    assert recipe(5) == recipe(5.0) == recipe({"constant": 5})
    assert recipe(5) != recipe(6)
    assert recipe(5) != recipe({"uniform": [5, 5]})
    assert recipe(5) != recipe(5, copies=2)
    assert recipe(5) != recipe(5, description="other")
    assert len({recipe(5), recipe(5.0), recipe(6)}) == 2
    # a default written out, or fields in another order, make no difference
    written = {"motion": {"border": "replicate", "angle": {"uniform": [0, 360]}, "length": 5}}
    assert Recipe.from_dict({"stages": [written], "name": "r"}) == recipe(5)
    with pytest.raises(ValueError, match="frozen"):
        recipe(5).copies = 3


def test_written_as_people_write_it():
    text = load_recipe("mnist-motion").to_yaml()
    assert "length: {uniform: [4, 6]}" in text
    assert "copies: 6" in text
    assert yaml.safe_load(text)["stages"][1]["motion"]["angle"] == {"uniform": [0, 360]}
    assert load_recipe("mnist-motion").to_dict()["stages"][0]["turn"]["quarters"] == {
        "by_copy": [{"copies": 3, "value": 0}, {"copies": 3, "value": {"choice": [1, 2, 3]}}]
    }


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e-3", 1e-3), ("1E+1", 10), (".5e0", 0.5), ("2.5e1", 25), ("+1e1", 10), ("0.25", 0.25), ("7", 7)],
)
def test_numbers_in_yaml(written, value):
    recipe = Recipe.from_yaml(f"name: r\nstages: [disk: {{radius: {written}}}]")
    assert recipe.stages[0].radius.bounds == (value, value)
    recipe = Recipe.from_yaml(f"name: r\nstages: [disk: {{radius: {{uniform: [0, {written}]}}}}]")
    assert recipe.stages[0].radius.bounds == (0, value)


def complete_schema():
    schema = Recipe.json_schema()
    json.dumps(schema)
    return schema


def test_schema_covers_every_kind_and_refers_to_nothing_absent():
    schema = complete_schema()
    kinds = [next(iter(item["properties"])) for item in schema["$defs"]["Stage"]["oneOf"]]
    assert sorted(kinds) == sorted(KINDS)

    def references(value):
        if isinstance(value, dict):
            yield from ([value["$ref"]] if "$ref" in value else [])
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    for reference in references(schema):
        assert reference.removeprefix("#/$defs/") in schema["$defs"]


@pytest.fixture(scope="module")
def validator():
    if importlib.util.find_spec("jsonschema") is None:
        pytest.skip("jsonschema is not installed")
    import jsonschema

    schema = complete_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@given(fields=recipe_dicts(st.just("r")))
def test_schema_accepts_what_the_library_accepts(validator, fields):
    plain = json.loads(json.dumps(fields))
    validator.validate(plain)
    validator.validate(Recipe.from_dict(fields).to_dict())


@pytest.mark.parametrize("name", NAMES)
def test_schema_accepts_the_built_in_recipes(validator, name):
    validator.validate(load_recipe(name).to_dict())


def test_schema_accepts_what_people_leave_out(validator, tmp_path):
    np.save(tmp_path / "k.npy", np.ones((3, 3)))
    fields = {"name": "r", "stages": [{"given": {"file": str(tmp_path / "k.npy")}}]}
    validator.validate(Recipe.from_dict(fields).to_dict())
    validator.validate(fields)


@pytest.mark.parametrize(
    "change",
    [
        {"name": 5},
        {"name": ""},
        {"copies": 0},
        {"stages": [{"maybe": {"probability": 0.5, "stages": []}}]},
        {"stages": [{"boxx": {"size": 3}}]},
        {"stages": [{"box": {"sise": 3}}]},
        {"stages": [{"box": {"size": "3"}}]},
        {"stages": [{"box": {"size": {"uniform": [1]}}}]},
        {"stages": [{"shuffled": [BOX]}]},
        {"stages": [{"maybe": {"probability": 2, "stages": [BOX]}}]},
        {"stages": [{"one_of": []}]},
        {"extra": 1},
    ],
    ids=str,
)
def test_schema_refuses_what_the_library_refuses(validator, change):
    fields = {"name": "r", "stages": [BOX], **change}
    with pytest.raises(RecipeError):
        Recipe.from_dict(fields)
    assert not validator.is_valid(fields)


STAGES = ", ".join(sorted(KINDS))


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ({"motoin": {}}, ": 'motoin' is no stage (did you mean 'motion'?)"),
        ("blur", ": 'blur' is no stage; there are {stages}"),
        (5, ": 5 is no stage; a mapping of one name is needed"),
        ({**BOX, "turn": 1}, f": { ({**BOX, 'turn': 1})!r} is no stage; a mapping of one name is needed"),
        (
            {"motion": {"lenght": 5, "angle": 0}},
            " (motion): there is no field 'lenght' (did you mean 'length'?); there are angle, border, length",
        ),
        ({"motion": {"length": 5}}, " (motion): angle: field required"),
        ("motion", " (motion): length: field required"),
        ({"motion": None}, " (motion): length: field required"),
        (
            {"motion": {"length": {"uniform": [6, 4]}, "angle": 0}},
            " (motion): length: {'uniform': [6, 4]}: uniform [6.0, 4.0]: the range is reversed",
        ),
        (
            {"motion": {"length": 5, "angle": 0, "border": "edge"}},
            " (motion): border: 'edge': 'replicate', 'reflect', 'mirror', 'wrap' or 'constant'",
        ),
        ({"motion": {"length": math.nan, "angle": 0}}, " (motion): length.constant: nan: a finite number"),
        (
            {"motion": {"length": 0.5, "angle": 0}},
            " (motion): length: 0.5: 0.5 is outside the allowed 1 … 1023",
        ),
        (
            {"box": {"size": 2.5}},
            " (box): size: 2.5: only whole numbers are allowed "
            "(a number, integers, or choice of whole numbers)",
        ),
        ({"box": {"size": 802}}, " (box): size: 802: 802 is outside the allowed 1 … 801"),
        ({"disk": {"radius": -1}}, " (disk): radius: -1: -1 is outside the allowed 0 … 400"),
        ({"gaussian": {}}, " (gaussian): a sigma above 0 or a size of at least 1 is needed"),
        (
            {"gaussian": {"sigma": {"uniform": [0, 1]}}},
            " (gaussian): a sigma above 0 or a size of at least 1 is needed",
        ),
        (
            {"gaussian_noise": {"sigma": 256}},
            " (gaussian_noise): sigma: 256: 256 is outside the allowed 0 … 255",
        ),
        ({"turn": {"quarters": 4}}, " (turn): quarters: 4: 4 is outside the allowed 0 … 3"),
        (
            {"maybe": {"probability": 1.5, "stages": [BOX]}},
            " (maybe): probability: 1.5: less than or equal to 1",
        ),
        ({"maybe": {"probability": 1, "stages": []}}, " (maybe): a list of at least one stage is needed"),
        (
            {"maybe": {"probability": 1, "stages": [BOX, {"disk": {"radus": 1}}]}},
            " (maybe): stage 1 (disk): there is no field 'radus' (did you mean 'radius'?); "
            "there are border, radius",
        ),
        ({"one_of": [{"stages": []}]}, " (one_of): option 0, a list of at least one stage is needed"),
        ({"one_of": [{"weight": 0, "stages": [BOX]}]}, " (one_of): options.0.weight: 0: greater than 0"),
        (
            {"shuffled": [BOX, {"shuffled": [BOX, {"disk": {}}]}]},
            " (shuffled): stage 1 (shuffled): stage 1 (disk): radius: field required",
        ),
        ({"shuffled": None}, " (shuffled): a list of at least one stage is needed"),
        (
            {"given": {"file": "absent.npz"}},
            " (given): PSF file 'absent.npz' cannot be read: No such file or directory",
        ),
        ({"given": {}}, " (given): file: field required"),
        ({"given": {"file": 5}}, " (given): file: 5: a valid string"),
    ],
    ids=str,
)
def test_complaints_about_stages(stage, message):
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict({"name": "mine", "stages": [BOX, stage]})
    assert str(caught.value) == "recipe 'mine', stage 1" + message.replace("{stages}", STAGES)


@pytest.mark.parametrize(
    ("stage", "part"),
    [
        ({"box": 5}, "stage 0 (box): "),
        ({"one_of": []}, "stage 0 (one_of): options: []: "),
        ({"one_of": [BOX]}, "stage 0 (one_of): options.0.box: there is no such field"),
        ({"one_of": {"stages": [BOX]}}, "stage 0 (one_of): options: {"),
        ({"shuffled": [BOX]}, "stage 0 (shuffled): stages: "),
        ({"shuffled": [BOX] * 13}, "stage 0 (shuffled): stages: "),
        ({"maybe": [BOX]}, "stage 0 (maybe): "),
    ],
    ids=str,
)
def test_complaints_about_stages_of_the_wrong_kind(stage, part):
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict({"name": "mine", "stages": [stage]})
    assert str(caught.value).startswith(f"recipe 'mine', {part}")


@pytest.mark.parametrize("probability", ["0.5", True])
def test_probabilities_and_weights_are_numbers(probability):
    for stage in (
        {"maybe": {"probability": probability, "stages": [BOX]}},
        {"one_of": [{"weight": probability, "stages": [BOX]}]},
    ):
        with pytest.raises(RecipeError):
            Recipe.from_dict({"name": "mine", "stages": [stage]})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (None, "recipe: a mapping with name and stages is needed"),
        ([BOX], "recipe: a mapping with name and stages is needed"),
        ({"name": "r"}, "recipe 'r': stages: field required"),
        ({"stages": [BOX]}, "recipe: name: field required"),
        (
            {"name": "r", "stages": [{"shuffled": []}]},
            "recipe 'r', stage 0 (shuffled): a list of at least one stage is needed",
        ),
        ({"name": "r", "stages": None}, "recipe 'r': a list of at least one stage is needed"),
        ({"name": "r", "stages": "box"}, "recipe 'r': a list of at least one stage is needed"),
        ({"name": "r", "stages": BOX}, "recipe 'r': a list of at least one stage is needed"),
        ({"name": 5, "stages": [BOX]}, "recipe '5': name: 5: a valid string"),
        ({"name": "", "stages": [BOX]}, "recipe: name: '': string should have at least 1 character"),
        ({"name": "r", "stages": [BOX], "copies": 0}, "recipe 'r': copies: 0: greater than or equal to 1"),
        ({"name": "r", "stages": [BOX], "copies": 2.5}, "recipe 'r': copies: 2.5: a valid integer"),
        ({"name": "r", "stages": [BOX], "copies": "2"}, "recipe 'r': copies: '2': a valid integer"),
        ({"name": "r", "stages": [BOX], "copies": True}, "recipe 'r': copies: True: a valid integer"),
        (
            {"name": "r", "stages": [BOX], "copys": 2},
            "recipe 'r': there is no field 'copys' (did you mean 'copies'?); "
            "there are copies, description, name, source, stages",
        ),
        ({"name": "r", "stages": [BOX], "description": 5}, "recipe 'r': description: 5: a valid string"),
    ],
    ids=str,
)
def test_complaints_about_recipes(fields, message):
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict(fields)
    assert str(caught.value) == message


def test_complaints_name_the_file():
    with pytest.raises(RecipeError, match=r"^recipe 'a\.yaml', stage 0 \(box\): size: field required$"):
        Recipe.from_yaml("name: r\nstages: [box]", "a.yaml")
    with pytest.raises(
        RecipeError, match=r"^recipe 'a\.yaml' is not YAML: while parsing a flow node .*line 1"
    ):
        Recipe.from_yaml("a: [", "a.yaml")
    with pytest.raises(RecipeError, match=r"^recipe 'a\.yaml': a mapping with name and stages is needed$"):
        Recipe.from_yaml("", "a.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "name: r\ndescription: 2001-99-99\nstages: [box: {size: 3}]",
        "name: r\nstages: &a [shuffled: *a]",
        f"name: r\nstages: [disk: {{radius: {'1' * 5000}}}]",
        "name: r\nstages: [disk: {radius: 1e999}]",
        "!!python/object:os.system {}",
        "name: \x07",
        "name: r\nname: s\nstages: [box: {size: 3}]",
        "name: r\nstages: [box: {size: 3, size: 5}]",
        "name: r\nstages: " + "[shuffled: [box: {size: 3}, " * 2000,
        "name: r\nstages: " + "[maybe: {probability: 1, stages: " * 200 + "[box: {size: 3}]" + "}]" * 200,
    ],
    ids=[
        "unfinished",
        "impossible date",
        "holds itself",
        "endless number",
        "infinite number",
        "foreign object",
        "control character",
        "name twice",
        "field twice",
        "deep and unfinished",
        "deep",
    ],
)
def test_strange_yaml_is_refused_in_one_sentence(text):
    with pytest.raises(RecipeError) as caught:
        Recipe.from_yaml(text, "a.yaml")
    assert str(caught.value).startswith("recipe 'a.yaml'")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", NAMES)
def test_built_in_recipes(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert len(recipe.source) > 10
    assert len(recipe.description) > 10
    assert built_in()[name] is recipe
    pairs = degrade(texture(2, 40, 40, 3), recipe, seed=1)
    assert pairs.blurred.shape == (2, *recipe.output_shape((40, 40, 3))) == pairs.sharp.shape
    assert (pairs.blurred != pairs.sharp).any() == bool(recipe.stages)


def test_the_table_of_built_in_recipes_cannot_be_spoilt():
    table = dict(built_in())
    try:
        with contextlib.suppress(TypeError, AttributeError):
            built_in().clear()
        assert sorted(built_in()) == NAMES
    finally:
        with contextlib.suppress(TypeError, AttributeError):
            built_in().update(table)


def test_facts_of_the_built_in_recipes():
    mnist = load_recipe("mnist-motion")
    assert mnist.copies == load_recipe("mnist-motion-len5").copies == 6
    params = mnist.sample(mnist.draws(0, np.arange(600)))
    quarters = params["0.turn.quarters"].reshape(-1, 6)
    assert (quarters[:, :3] == 0).all()
    assert set(quarters[:, 3]) == {1, 2, 3}
    assert (quarters[:, 3:] == quarters[:, 3:4]).all()
    lengths, angles = params["1.motion.length"], params["1.motion.angle"]
    assert (lengths.min(), lengths.max()) == pytest.approx((4, 6), abs=0.1)
    assert (angles.min(), angles.max()) == pytest.approx((0, 360), abs=5)
    assert len(set(lengths)) == 600
    fixed = load_recipe("mnist-motion-len5")
    params = fixed.sample(fixed.draws(0, np.arange(6000)))
    assert set(params["1.motion.length"]) == {5}
    assert set(params["1.motion.angle"]) == set(range(0, 361, 5))
    for name in ("anime-box", "anime-gaussian"):
        (stage,) = load_recipe(name).stages
        assert stage.size.bounds == (5, 9)
        assert stage.border == "mirror"
    (stage,) = load_recipe("anime-motion").stages
    assert (stage.length.bounds, stage.border) == ((5, 15), "mirror")
    (stage,) = load_recipe("fashion-gaussian").stages
    assert (stage.size.bounds, stage.sigma.bounds, stage.border) == ((3, 3), (0, 0), "mirror")


def test_loads_files(tmp_path):
    recipe = load_recipe("anime-box")
    for name, text in [
        ("a.yaml", recipe.to_yaml()),
        ("b.yml", recipe.to_yaml()),
        ("c.json", recipe.to_json()),
    ]:
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert load_recipe(tmp_path / name) == recipe
        assert load_recipe(str(tmp_path / name)) == recipe
    (tmp_path / "plain").write_text(recipe.to_yaml())
    assert load_recipe(tmp_path / "plain") == recipe


def test_load_refuses(tmp_path):
    lists = "'blurgen recipes' lists those built in"
    for given_name, message in [
        (
            "mnist-moton",
            f"there is no recipe 'mnist-moton' (did you mean 'mnist-motion'?); {lists}",
        ),
        ("zzz", f"there is no recipe 'zzz'; {lists}"),
        (tmp_path / "a.yaml", f"recipe '{tmp_path}/a.yaml' cannot be read: No such file or directory"),
        (tmp_path, f"recipe '{tmp_path}' cannot be read: Is a directory"),
    ]:
        with pytest.raises(RecipeError) as caught:
            load_recipe(given_name)
        assert str(caught.value) == message
    (tmp_path / "b.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(RecipeError, match=r"b\.yaml' cannot be read: it is not UTF-8 text$"):
        load_recipe(tmp_path / "b.yaml")
    (tmp_path / "c.yaml").write_text("name: r\nstages: [{box: {sise: 3}}]")
    with pytest.raises(RecipeError, match=r"c\.yaml', stage 0 \(box\): there is no field 'sise'"):
        load_recipe(tmp_path / "c.yaml")


def test_copies_can_be_replaced():
    recipe = load_recipe("mnist-motion")
    assert recipe.with_copies(None) is recipe
    assert recipe.with_copies(3).copies == 3
    assert recipe.with_copies(6) == recipe
    with pytest.raises(RecipeError, match=r"^recipe 'mnist-motion': copies: 0: greater than or equal to 1$"):
        recipe.with_copies(0)


def test_too_many_and_too_deep_stages_are_refused_when_read():
    deep = BOX
    for _ in range(4):
        deep = {"maybe": {"probability": 1, "stages": [deep]}}
    Recipe.from_dict({"name": "r", "stages": [deep]})
    with pytest.raises((RecipeError, InputError)):
        Recipe.from_dict({"name": "r", "stages": [{"maybe": {"probability": 1, "stages": [deep]}}]})
    Recipe.from_dict({"name": "r", "stages": [BOX] * 63})
    with pytest.raises((RecipeError, InputError)):
        Recipe.from_dict({"name": "r", "stages": [BOX] * 64})


def test_shapes():
    turn = {"turn": {"quarters": 1}}
    for stages, place in [
        ([turn], 0),
        ([BOX, {"maybe": {"probability": 1, "stages": [turn]}}], 1),
        ([BOX, BOX, {"one_of": [{"stages": [BOX]}, {"stages": [turn]}]}], 2),
        ([{"shuffled": [BOX, turn]}], 0),
    ]:
        recipe = Recipe.from_dict({"name": "r", "stages": stages})
        assert recipe.output_shape((7, 7, 3)) == (7, 7, 3)
        with pytest.raises(InputError) as caught:
            recipe.output_shape((6, 7, 3))
        assert (
            str(caught.value) == f"recipe 'r', stage {place}: stage 'turn' needs square images, these are 6×7"
        )


def test_public_names():
    assert blurgen.Recipe is Recipe
    assert blurgen.load_recipe is load_recipe
    assert blurgen.recipes() == built_in()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"stages": ["a\nb"]}, r"stage 0: 'a\nb' is no stage"),
        ({"stages": ["motionn" * 1000]}, "stage 0: 'motionnmotionn"),
        ({"stages": ["motion"], "a\nb" * 1000: 1}, r"there is no field 'a\nba\nb"),
        ({"stages": [{"motion": {"length": [1] * 1000}}]}, "length: [1, 1, 1, 1"),
        ({"stages": [{"motion": {"length": "4\n", "angle": 0}}]}, r"length: '4\n': "),
    ],
)
def test_what_is_wrong_is_told_on_one_line_and_shortly(data, told):
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict({"name": "x", **data})
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1500
