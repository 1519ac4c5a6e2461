"""The docstrings of stages, taken apart."""

import pytest

from blurgen.stages import KINDS
from blurgen.stages.descriptions import Described, description


class Documented:
    """Does one thing.

    It does it in
    two lines.

    Parameters
    ----------
    first : distribution
        Of two
        lines.
    second, third : {"a", "b"}, optional
        Shared: 1 | 2.

    It says something after that.
    """


def test_paragraphs_and_parameters():
    paragraphs, parameters = description(Documented)
    assert paragraphs == [
        "Does one thing.",
        "It does it in two lines.",
        "It says something after that.",
    ]
    shared = Described('{"a", "b"}, optional', "Shared: 1 | 2.")
    assert parameters == {
        "first": Described("distribution", "Of two lines."),
        "second": shared,
        "third": shared,
    }


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_field_of_a_stage_is_described(kind):
    described = description(KINDS[kind])
    assert described.paragraphs[0].endswith(".")
    assert set(KINDS[kind].model_fields) - set(described.parameters) == set()
