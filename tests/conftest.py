"""Hypothesis draws the same examples in every run; HYPOTHESIS_PROFILE=fuzz draws many more."""

import os

import pytest
from hypothesis import settings

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would ask the network for its newest version

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")

settings.register_profile("default", derandomize=True, deadline=None, max_examples=40, database=None)
settings.register_profile("fuzz", derandomize=True, deadline=None, max_examples=400, database=None)
settings.load_profile(PROFILE)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Under the fuzz profile every property test is one of the long ones, which ``-m fuzz`` selects."""
    if PROFILE == "fuzz":
        for item in items:
            if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
                item.add_marker(pytest.mark.fuzz)
