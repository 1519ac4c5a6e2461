"""What is wrong is one line that does nothing to a terminal, whatever names stand in it."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blurgen.errors import BlurgenError, FileError, InputError

ANY = st.text(st.characters(exclude_categories=()))  # surrogates, too, as names of files may have them


@given(ANY)
def test_errors_can_be_printed(text):
    told = str(InputError(text))
    assert told.isprintable()
    told.encode("utf-8")
    assert told == text.strip() or not text.isprintable()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("'a\tb': no", r"'a\tb': no"),
        ("two\n   lines \r\nand one\u2028more\n", "two lines and one more"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("na\udcffme", r"na\udcffme"),
        ("b\u202ec\xa0d", r"b\u202ec\xa0d"),
        ("σ 3 – 2×2 '日本' \\n", "σ 3 – 2×2 '日本' \\n"),
    ],
)
def test_what_cannot_be_printed_is_escaped(text, told):
    assert str(BlurgenError(text)) == told


@given(ANY)
def test_errors_pickle(text):
    error = FileError(text)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is FileError
    assert str(again) == str(error)
