"""Who imports whom, read from the source: fails on an edge that is not on the list."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# the rooms of minigrad from left to right; each may import what stands further left, and those of
# its own row nothing of each other
ROWS = [
    "dtypes modes hooks heap later kernels",
    "backend",
    "tensor",
    "op",
    "ops",
    "engine",
    "autograd",
    "printing methods legacy numbers linalg random threads scope special devices version",
    "fused memory",
    "nn",
    "diagnostics optim distributions utils serialization functions func amp",
    "testing cuda backends",
    "accelerator",
    "addresses doctor",
]
ORDER = {room: n for n, row in enumerate(ROWS) for room in row.split()}
ROOMS = {room: {r for r in ORDER if ORDER[r] < n} for room, n in ORDER.items()}
ROOMS["tensor"] |= {"ops", "autograd", "engine", "printing"}  # the one knot
ROOMS["__init__"] = None  # the public names: everything
OTHERS = {  # packages beyond the standard library, and where
    "numpy": None,
    "cupy": {"minigrad/backend.py"},
    "cupyx": {"minigrad/backend.py"},
    "safetensors": {"minigrad/serialization.py"},
    "threadpoolctl": {"minigrad/threads.py"},
}
_PUBLIC = "nn optim serialization testing autograd utils distributions cuda linalg random".split()
PUBLIC = {"minigrad", *(f"minigrad.{name}" for name in _PUBLIC)}
PUBLIC_INSIDE = tuple(f"minigrad.{name}." for name in _PUBLIC)
INTERNAL = {"op", "engine", "fused", "ops", "backend", "tensor", "methods", "modes", "hooks"}

# what `np.` may be in an op: types, and dtypes; nothing that computes
NUMPY_IN_OPS = set(
    """bool_ int8 int16 int32 int64 uint8 float16 float32 float64 dtype generic ndarray number
    floating integer result_type asarray newaxis""".split()
)
HOST_SIDE = {f"minigrad/ops/{name}.py" for name in ("creation", "from_data", "random")}


def sources(*folders):
    found = []
    for folder in folders:
        found += sorted(ROOT.glob(folder))
    return [p.relative_to(ROOT).as_posix() for p in found]


def parsed(path):
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=path)


def imported(path, tree=None):
    """The full dotted names that a file imports, wherever in the file, with their line."""
    package = path.removesuffix(".py").split("/")[:-1]
    for node in ast.walk(tree or parsed(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                yield ".".join([*base, alias.name]), node.lineno


def room_of(path):
    return Path(path).parts[1].removesuffix(".py")


def rooms_of(name):
    """The room of minigrad that an import reaches: of `from . import ops` too."""
    parts = name.split(".")
    if parts[0] != "minigrad":
        return set()
    return {parts[1]} if len(parts) > 1 and parts[1] in ROOMS else {"__init__"}


def wrong_edges(path, tree=None):
    allowed = ROOMS[room_of(path)]
    if allowed is None:
        return []
    wrong = []
    for name, line in imported(path, tree):
        for room in rooms_of(name) - {room_of(path)} - allowed:
            wrong.append(f"{path}:{line} imports {room}")
    return wrong


LIBRARY = sources("minigrad/**/*.py")
NETWORKS = sources("models/**/*.py", "*.py", "examples/**/*.py", "benchmarks/**/*.py")
DATASETS = sources("datasets/**/*.py")


def test_there_is_something_to_read():
    assert len(LIBRARY) > 20 and len(DATASETS) > 4 and "models/seq2seq.py" in NETWORKS
    assert {room_of(path) for path in LIBRARY} <= set(ROOMS)


@pytest.mark.parametrize("path", LIBRARY)
def test_edges_inside_the_library(path):
    assert wrong_edges(path) == []


@pytest.mark.parametrize("path", LIBRARY)
def test_the_library_imports_numpy_and_little_else(path):
    for name, line in imported(path):
        top = name.split(".")[0]
        if top == "minigrad" or top in sys.stdlib_module_names:
            continue
        assert top in OTHERS, f"{path}:{line} imports {top}"
        where = OTHERS[top]
        assert where is None or path in where, f"{path}:{line} imports {top}"


def numpy_uses(tree):
    """Uses of an attribute of NumPy outside annotations, as (attribute, line)."""
    names, annotations = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.asname or a.name for a in node.names if a.name.split(".")[0] == "numpy"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numpy":
            for alias in node.names:
                yield alias.name, node.lineno
        for field in ("annotation", "returns"):
            if getattr(node, field, None) is not None:
                annotations |= set(map(id, ast.walk(getattr(node, field))))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in annotations:
            if isinstance(node.value, ast.Name) and node.value.id in names:
                yield node.attr, node.lineno


OPS = [
    path
    for path in LIBRARY
    if path.startswith(("minigrad/ops/", "minigrad/fused/")) and path not in HOST_SIDE
]


@pytest.mark.parametrize("path", OPS)
def test_no_op_computes_with_numpy(path):
    wrong = [f"np.{a} (line {n})" for a, n in numpy_uses(parsed(path)) if a not in NUMPY_IN_OPS]
    assert wrong == []


def inner_names(tree):
    """Names like `mg.engine.vjp`: an inner module reached as an attribute of minigrad."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.asname or a.name for a in node.names if a.name == "minigrad"}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in names
            and (node.attr in INTERNAL or node.attr.startswith("_"))
        ):
            if not node.attr.startswith("__"):
                yield f"minigrad.{node.attr}", node.lineno


def private_use(path, tree=None):
    wrong = []
    for name, line in imported(path, tree):
        parts = name.split(".")
        if parts[0] != "minigrad" or name in PUBLIC or name.startswith(PUBLIC_INSIDE):
            continue
        if len(parts) == 1 or parts[1] in INTERNAL or parts[1].startswith("_"):
            wrong.append(f"{path}:{line} {name}")
    return wrong + [f"{path}:{line} {name}" for name, line in inner_names(tree or parsed(path))]


@pytest.mark.parametrize("path", NETWORKS)
def test_networks_and_scripts_use_public_names(path):
    assert private_use(path) == []


@pytest.mark.parametrize("path", [path for path in NETWORKS if path.startswith("models/")])
def test_models_do_not_import_scripts(path):
    scripts = {Path(p).stem for p in sources("*.py")} | {"examples", "benchmarks", "tests"}
    assert [name for name, _ in imported(path) if name.split(".")[0] in scripts] == []


@pytest.mark.parametrize("path", DATASETS)
def test_datasets_stand_alone(path):
    for name, line in imported(path):
        top = name.split(".")[0]
        known = top in {"datasets", "numpy"} or top in sys.stdlib_module_names
        known |= (top, path) == ("sentencepiece", "datasets/subwords.py")
        assert known, f"{path}:{line} {name}"


def test_importing_minigrad_loads_only_numpy():
    """What a bare `import numpy` does not load, and is not of the standard library, is minigrad."""
    code = """
import sys
import numpy, numpy.random
before = set(sys.modules)
import minigrad
print(*{name.split(".")[0] for name in set(sys.modules) - before})
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split()) - set(sys.stdlib_module_names)
    assert {name for name in loaded if not name.startswith("_")} == {"minigrad"}


# the reader itself finds what it should

PLANTED = [
    ("minigrad/ops/shape.py", "from ..engine import grad"),
    ("minigrad/ops/shape.py", "from .. import nn"),
    ("minigrad/ops/shape.py", "def f():\n    from ..fused import lstm"),
    ("minigrad/backend.py", "from .op import Op"),
    ("minigrad/fused/lstm.py", "from ..nn.layers import Linear"),
    ("minigrad/engine.py", "import minigrad.fused"),
    ("minigrad/engine.py", "import minigrad"),
    ("minigrad/autograd/x.py", "from ..nn import Module"),
    ("minigrad/optim/sgd.py", "from ..distributions import Normal"),
]


@pytest.mark.parametrize("path, source", PLANTED)
def test_a_wrong_edge_is_found(path, source):
    assert wrong_edges(path, ast.parse(source))


PRIVATE = [
    "import minigrad.engine",
    "from minigrad.ops.reduce import sum_",
    "from minigrad import fused",
    "from minigrad import ops",
    "import minigrad as mg\nmg.backend.CPU",
    "from minigrad.tensor import Tensor",
    "def f():\n    from minigrad import _np",
]


@pytest.mark.parametrize("source", PRIVATE)
def test_a_private_name_is_found(source):
    assert private_use("models/x.py", ast.parse(source))


def test_computing_with_numpy_is_found():
    tree = ast.parse("import numpy as np\ndef f(x: np.linalg) -> np.random:\n    return np.exp(x)")
    assert list(numpy_uses(tree)) == [("exp", 3)]
    assert list(numpy_uses(ast.parse("from numpy import exp"))) == [("exp", 1)]
