"""An infinity or a NaN comes silently, as in PyTorch, whatever Python line of NumPy makes it."""

import subprocess
import sys

import pytest

PROGRAMS = {
    "a sum of both infinities": "minigrad.tensor([math.inf, -math.inf]).sum()",
    "a sum beyond float32": "minigrad.full((4,), 3e38).sum()",
    "a cumulative sum": "minigrad.tensor([math.inf, -math.inf]).cumsum(0)",
    "a product beyond float32": "minigrad.full((4,), 3e38).prod()",
    "a quotient": "minigrad.ones(2) / 0",
    "sinc": "minigrad.tensor([math.inf, 0.0]).sinc()",
    "a median of no integers": "minigrad.arange(0).median()",
    "clipping": "p = minigrad.zeros(3, requires_grad=True); (p * 3e38).sum().backward(); "
    "minigrad.nn.utils.clip_grad_norm_(p, 1.0)",
    "clipping of infinities": "p = minigrad.zeros(3, requires_grad=True); "
    "(p * math.inf).sum().backward(); minigrad.nn.utils.clip_grad_norm_(p, 1.0)",
}


def test_infinities_and_nans_come_silently():
    # in a process of its own: pytest has filters of its own
    program = "import math, minigrad\n" + "\n".join(PROGRAMS.values())
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", program], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("values", [[0.0, 0.5, -1.0, 2.5]])
def test_sinc(values):
    import math

    import minigrad as mg

    expected = [1.0 if x == 0 else math.sin(math.pi * x) / (math.pi * x) for x in values]
    found = mg.tensor(values, dtype=mg.float64).sinc().tolist()
    assert found == pytest.approx(expected, abs=1e-15)
