import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from memory import peak_of

from blurgen import Recipe, load_recipe
from blurgen.errors import RecipeError
from blurgen.untrusted.bounds import RefusedError, read_at_most, read_named
from blurgen.untrusted.documents import MOST_CHARACTERS, parse_json, parse_yaml
from trainers.errors import TrainerError
from trainers.options import Options

LAUGHS = "a0: &a0 [ha, ha]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
SHOUTS = f"a: &a {'ha' * 1000}\nb: [{', '.join(['*a'] * 1000)}]"
CHAIN = "a0: &a0 [ha]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 2000))
MERGES = "a0: &a0 {k: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 60))
BOMBS = {
    "billion laughs": (LAUGHS, "more than 20000 values"),
    "long text, often": (SHOUTS, "stand for more than 131072 characters"),
    "deep by aliases": (CHAIN, "more than 64 levels"),
    "merges": (MERGES, "more than 20000 values"),
    "holds itself": ("a: &a [*a]", "holds itself"),
    "holds itself as a name": ("&a {? *a : 1}", "holds itself"),
    "deep lists": ("[" * 100_000, "more than 64 levels"),
    "deep mappings": ("{a: " * 20_000, "more than 64 levels"),
    "deep blocks": ("- " * 50_000, "more than 64 levels"),
    "deep names": ("? " * 50_000, "more than 64 levels"),
    "many values": ("[" + "1, " * 40_000 + "]", "more than 20000 values"),
    "long": ("#" * (MOST_CHARACTERS + 1), "longer than 131072 characters"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_of_yaml_are_refused_before_they_cost(bomb):
    text, message = BOMBS[bomb]
    for parse in (parse_yaml, Recipe.from_yaml, Options.from_yaml):
        with pytest.raises((RefusedError, RecipeError, TrainerError), match=message):
            parse(text)

    def refused():
        with pytest.raises(RefusedError):
            parse_yaml(text)

    assert peak_of(refused) < 100 * MOST_CHARACTERS


def test_what_is_no_plain_value_is_not_built():
    for tag in ("!!python/object/apply:os.abort []", "!!python/name:os.abort", "!!python/module:os"):
        with pytest.raises(RecipeError, match="could not determine a constructor"):
            Recipe.from_yaml(f"name: {tag}")


def test_aliases_within_bounds_are_values():
    text = "base: &base [box: {size: 3}]\nname: r\nstages: *base"
    assert parse_yaml(text)["stages"] is parse_yaml(text)["base"] or parse_yaml(text)["stages"] == [
        {"box": {"size": 3}}
    ]


TEXTS = st.text(st.characters(exclude_categories=("C", "Z")), max_size=9)  # PyYAML takes others for blanks
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_plain_values_come_back(value):
    assert parse_json(json.dumps(value)) == value
    assert parse_yaml(yaml.safe_dump(value, allow_unicode=True)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 60_000, "more than 64 levels"),
        ("[" * 65 + "]" * 65, "more than 64 levels"),
        ('{"a":' * 70 + "1" + "}" * 70, "more than 64 levels"),
        ("[" + "1," * 30_000 + "1]", "more than 20000 values"),
        (" " * (MOST_CHARACTERS + 1), "longer than"),
    ],
)
def test_bombs_of_json_are_refused(text, message):
    with pytest.raises(RefusedError, match=message):
        parse_json(text)


def test_64_levels_are_allowed():
    text = "[" * 64 + "]" * 64
    assert parse_json(text) == parse_yaml(text)


def test_deep_values_that_were_never_a_text():
    stage = {"box": {"size": 3}}
    for _ in range(3000):
        stage = {"maybe": {"probability": 1, "stages": [stage]}}
    with pytest.raises(RecipeError, match=r"nested too deep|levels deep"):
        Recipe.from_dict({"name": "r", "stages": [stage]})


def test_files_are_read_to_their_bound_and_no_further(tmp_path):
    (tmp_path / "a").write_bytes(b"1234")
    assert read_at_most(tmp_path / "a", 4) == b"1234"
    with pytest.raises(RefusedError, match="longer than 3 bytes"):
        read_at_most(tmp_path / "a", 3)
    for endless in ("/dev/zero", "/dev/tty0"):
        with pytest.raises((RefusedError, OSError)):
            read_named(tmp_path / endless, 4)
    with pytest.raises(RecipeError, match=r"^recipe '/dev/zero' cannot be read: it is longer than"):
        load_recipe("/dev/zero")


@pytest.mark.parametrize(
    "stage",
    [{"given": {"file": "/dev/zero"}}, {"linear": {"curve": {"response": "/dev/zero"}, "stages": ["box"]}}],
)
def test_recipes_that_name_devices(stage):
    with pytest.raises(RecipeError, match="/dev/zero' cannot be read: it is no regular file"):
        Recipe.from_dict({"name": "r", "stages": [stage]})
