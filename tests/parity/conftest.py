"""PyTorch is the oracle here: the tests are skipped without it, or fail where it was promised."""

import importlib.util
import os

import pytest


def pytest_collection_modifyitems():
    if os.environ.get("MINIGRAD_REQUIRE_TORCH") == "1" and not importlib.util.find_spec("torch"):
        raise pytest.UsageError(
            "MINIGRAD_REQUIRE_TORCH=1, but PyTorch is missing: pip install -e '.[parity]'"
        )
