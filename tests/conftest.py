"""Tests marked `gpu` run where there is a GPU. Elsewhere they are left out, or, if asked for by
`pytest -m gpu`, skipped with the reason; with MINIGRAD_REQUIRE_GPU=1 they fail.
"""

import os

import pytest
from devices import why_no_gpu


def pytest_configure(config):
    config.addinivalue_line("markers", "gpu: runs on a GPU; MINIGRAD_REQUIRE_GPU=1 demands one")


def required():
    return os.environ.get("MINIGRAD_REQUIRE_GPU") == "1"


def pytest_collection_modifyitems(config, items):
    if required() or "gpu" in config.option.markexpr or why_no_gpu() is None:
        return
    left_out = [item for item in items if item.get_closest_marker("gpu")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("gpu")]


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and (reason := why_no_gpu()):
        (pytest.fail if required() else pytest.skip)(f"there is no GPU: {reason}")


def pytest_terminal_summary(terminalreporter):
    if reason := why_no_gpu():
        terminalreporter.write_line(f"devices: stand-in, no GPU code ran ({reason})")
