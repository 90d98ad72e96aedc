"""The library calls nothing that CuPy lacks, and with no argument that CuPy does not know.

Read from the source, against what CuPy has, written down in golden/cupy.json; no GPU code runs.
"""

import ast
import importlib.util
import json
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
LIBRARY = sorted((TESTS.parent / "minigrad").rglob("*.py"))
CUPY = json.loads((TESTS / "golden" / "cupy.json").read_text(encoding="utf-8"))
KNOWN = set(CUPY["functions"]) | set(CUPY["constants"]) | {"linalg"}
KNOWN |= {f"{name}.{method}" for name, methods in CUPY["ufuncs"].items() for method in methods}


def name_of(node):
    """What follows `xp.` in xp.linalg.qr, self.xp.linalg.qr or module_of(x).linalg.qr, or None."""
    parts = []
    while isinstance(node, ast.Attribute):
        if node.attr == "xp":
            break
        parts.append(node.attr)
        node = node.value
    called = node.func if isinstance(node, ast.Call) else None
    rooted = isinstance(node, ast.Attribute) or isinstance(node, ast.Name) and node.id == "xp"
    rooted = rooted or isinstance(called, ast.Name) and called.id == "module_of"
    return ".".join(reversed(parts)) if rooted and parts else None


def lacks(tree):
    """What CuPy has not, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (name := name_of(node)) and name not in KNOWN:
            yield node.lineno, f"there is no cupy.{name}"
        if isinstance(node, ast.Call) and (name := name_of(node.func)) in CUPY["functions"]:
            takes = CUPY["functions"][name]
            for keyword in node.keywords:
                if keyword.arg not in takes and "**" not in takes:
                    yield node.lineno, f"cupy.{name} has no argument {keyword.arg}"
            if "*" not in takes and len(node.args) > len(takes):
                yield node.lineno, f"cupy.{name} takes {len(takes)} arguments"


@pytest.mark.parametrize("path", LIBRARY, ids=[str(p.relative_to(TESTS.parent)) for p in LIBRARY])
def test_cupy_has_all_that_is_called(path):
    assert list(lacks(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_there_is_something_to_read():
    texts = [path.read_text(encoding="utf-8") for path in LIBRARY]
    used = {name_of(node) for text in texts for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Attribute)}  # fmt: skip
    assert len(used) > 80 and {"where", "linalg.qr", "matmul"} <= used


@pytest.mark.parametrize(
    "source, what",
    [
        ("xp.nansum_of(x)", "no cupy.nansum_of"),
        ("self.xp.linalg.eig_of(x)", "no cupy.linalg.eig_of"),
        ("xp.sqrt.reduce_all", "no cupy.sqrt.reduce_all"),
        ("module_of(x, y).nansum_of(x)", "no cupy.nansum_of"),
        ("xp.multiply.at(x, y, z)", "no cupy.multiply.at"),
        ("xp.sum(x, axis=0, where=y)", "cupy.sum has no argument where"),
        ("self.xp.max(x, initial=0)", "cupy.max has no argument initial"),
        ("xp.sort(x, 0, None, None, True)", "cupy.sort takes 3 arguments"),
    ],
)
def test_a_fault_is_found(source, what):
    assert what in str(list(lacks(ast.parse(source))))


def test_what_is_written_down_is_cupys():
    if importlib.util.find_spec("cupy") is None:
        pytest.skip("CuPy is not installed")
    sys.path.insert(0, str(TESTS / "golden"))
    import freeze_cupy

    frozen = freeze_cupy.frozen()
    if frozen["cupy"] != CUPY["cupy"]:
        pytest.skip(f"CuPy {frozen['cupy']} is here, {CUPY['cupy']} was written down")
    assert frozen == CUPY
