"""What the benchmarks measure is the same on every side: they compare gradients and losses, and
end with an error where they differ.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
FOLDER = Path(__file__).resolve().parent.parent.parent / "benchmarks"


SCRIPTS = "recurrent", "training_step", "translating", "op_by_op", "optimizers", "rows"


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_sides_agree(name, tmp_path):
    out = tmp_path / "all.json"
    options = "--smallest --rounds 1 --seconds 0 --threads 1 --json".split()
    done = subprocess.run(
        [sys.executable, FOLDER / f"{name}.py", *options, out], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    whole = json.loads(out.read_text(encoding="utf-8"))
    assert {"minigrad", "torch"} <= set(whole["rows"][0]["medians"])
