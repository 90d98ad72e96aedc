"""What importing minigrad loads, and that what it leaves for later is there all the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad as mg

ROOT = Path(__file__).resolve().parent.parent


def in_a_fresh_process(code):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_what_takes_long_is_not_loaded():
    loaded = in_a_fresh_process("""
import sys
import numpy
before = set(sys.modules)
import minigrad
print(*set(sys.modules) - before)
""")
    slow = "numpy.random multiprocessing.context argparse json tempfile pathlib dataclasses secrets"
    later = "optim distributions serialization testing utils.data"
    assert not set(loaded) & {*slow.split(), *(f"minigrad.{name}" for name in later.split())}


@pytest.mark.parametrize(
    "line",
    """
torch.nn.LSTM(2, 3)
torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
torch.utils.data.DataLoader([1, 2])
torch.distributions.normal.Normal(0.0, 1.0)
torch.testing.assert_close(torch.zeros(1), torch.zeros(1))
torch.serialization.load is torch.load or 1 / 0
from minigrad import nn, optim, save, serialization
from minigrad.utils import data
import minigrad.optim
from minigrad import *; optim.Adam; save; randn(2)
torch.manual_seed(3); torch.randn(2)
""".strip().splitlines(),
)
def test_it_is_there_when_asked_for(line):
    in_a_fresh_process(f"import minigrad as torch\n{line}")


def test_it_is_listed():
    assert {"optim", "distributions", "serialization", "testing", "save", "load"} <= set(dir(mg))
    assert "data" in dir(mg.utils) and {"Gamma", "gamma"} <= set(dir(mg.distributions))
    assert all(hasattr(mg, name) for name in dir(mg))


def test_what_is_nowhere_is_an_attribute_error():
    for module in (mg, mg.utils, mg.distributions):
        with pytest.raises(AttributeError, match="nowhere"):
            module.nowhere
