"""Every benchmark runs, at tiny sizes, minigrad's side of it; no time is asserted. All sides
together, which compare their results, are in tests/parity.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from devices import why_no_gpu

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks"
HELPERS = {"harness", "page", "results", "torch_translator"}
SCRIPTS = sorted({path.stem for path in FOLDER.glob("*.py")} - HELPERS)
ON_THE_HARNESS = [
    name for name in SCRIPTS if "from harness" in (FOLDER / f"{name}.py").read_text("utf-8")
]


def benchmark(name, *args):
    done = subprocess.run(
        [sys.executable, FOLDER / f"{name}.py", *map(str, args)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ON_THE_HARNESS)
def test_it_runs(name, tmp_path):
    options = ["--smallest", "--rounds", 1, "--seconds", 0, "--threads", 1]
    side = "U @ h" if name == "products" else "minigrad"
    options += ["--side", side]
    if name == "linear":
        options += ["--figure", tmp_path / "linear.svg"]
    printed = benchmark(name, *options, "--json", tmp_path / "all.json")
    machine, table = printed.split("\n\n", 1)
    assert "Python" in machine and "numpy" in machine
    head, line, *rows = table.splitlines()
    assert rows and {row.count("|") for row in (head, line, *rows)} == {head.count("|")}
    whole = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert whole["benchmark"] == name and all(row["medians"][side] for row in whole["rows"])


@pytest.mark.skipif(why_no_gpu() is None, reason="there is a GPU")
def test_without_a_gpu_nothing_is_measured(tmp_path):
    printed = benchmark("gpu", "--json", tmp_path / "all.json")
    whole = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert printed == f"not measured\n\n{whole['reason']}\n"
    assert whole["rows"] == [] and "cannot be used" in whole["reason"]


def own_benchmark(folder, sides, cases, *args):
    """A benchmark of these sides, which is run."""
    script = folder / "own.py"
    script.write_text(f"""
import sys
sys.path.append({str(FOLDER)!r})
from harness import Benchmark
columns = {{"a": lambda m: m["a"]["sum"]}}
Benchmark("own", {sides}, {cases}, [1], columns, same=("sum",)).main()
""")
    command = [sys.executable, script, "--rounds", "2", *args]
    return subprocess.run(command, capture_output=True, text=True)


def test_sides_that_differ_are_found(tmp_path):
    """A side that computes something else ends the script with a word about it."""
    sides = '{"a": lambda n: {"sum": 1.0 * n}, "b": lambda n: {"sum": 1.1 * n}}'
    done = own_benchmark(tmp_path, sides, {"case": [3]}, "--side", "a")
    assert done.returncode == 0, done.stderr
    done = own_benchmark(tmp_path, sides, {"case": [3]})
    assert done.returncode == 1 and "differ in their sum" in done.stderr


def test_a_case_that_fails_leaves_the_others(tmp_path):
    sides = '{"a": lambda n: {"sum": 12 / n}}'
    done = own_benchmark(tmp_path, sides, {"none": [0], "four": [4]})
    assert done.returncode == 1 and done.stderr.endswith("failed, see above: none (a)\n")
    assert "ZeroDivisionError" in done.stderr
    assert [row.split(" | ")[-1] for row in done.stdout.splitlines()[-2:]] == ["– |", "3.00 |"]


def test_the_page_names_scripts_and_options_that_exist():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"<!-- python benchmarks/(\w+)\.py(.*) -->", page)
    assert {name for name, _ in commands} == set(SCRIPTS)
    assert page.count("<!-- end -->") == len(commands)
    for name, options in commands:
        known = benchmark(name, "--help")
        assert all(option in known for option in re.findall(r"--\w+", options))


def test_every_published_result_trains(tmp_path):
    """The command lines of all experiments are understood, and RESULTS.md is what the script
    writes.
    """
    code = """
import sys
sys.argv = ["results.py", "--page"]
import results
import train_seq2seq
before = results.PAGE.read_text(encoding="utf-8")
figures = results.json.loads(results.FIGURES.read_text(encoding="utf-8"))
assert results.page(figures) == before, "run python benchmarks/results.py --page"
for experiment in results.experiments():
    sys.argv = ["train_seq2seq.py", *experiment.train.format(data="data").split()]
    args = train_seq2seq.parsed(train_seq2seq.arguments())
    train_seq2seq.model_options(args), train_seq2seq.training_options(args)
    print(experiment.name)
"""
    path = f"{FOLDER}{os.pathsep}{ROOT}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = done.stdout.split()
    assert len(names) == len(set(names)) >= 13
