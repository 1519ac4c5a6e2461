"""The fuzzer's targets, fed by Hypothesis: what is spoilt by few bytes is read, or refused in our terms."""

import importlib

import pytest
from fuzzing import TARGETS
from hypothesis import given
from hypothesis import strategies as st

from blurgen.errors import BlurgenError

changes = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("insert"), st.floats(0, 1), st.binary(min_size=1, max_size=20)),
        st.tuples(st.just("cut"), st.floats(0, 1), st.just(b"")),
    ),
    min_size=1,
    max_size=4,
)


def spoilt(data, steps):
    for how, share, new in steps:
        place = int(share * len(data))
        rest = {"set": data[place + len(new) :], "insert": data[place:], "cut": b""}[how]
        data = data[:place] + new + rest
    return data


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_spoilt_files(name, tmp_path_factory):
    if name == "checkpoint":
        pytest.importorskip("torch")
    target = importlib.import_module(f"fuzzing.{name}")
    seeds, folder = list(target.seeds()), tmp_path_factory.mktemp(name)

    @given(st.sampled_from(seeds), changes)
    def read(seed, steps):
        said = "read"
        try:
            target.one(spoilt(seed, steps), folder)
        except BlurgenError as error:
            said = str(error)
        assert said
        assert "\n" not in said

    read()
