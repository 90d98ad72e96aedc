"""Writes cupy.json: what CuPy has, by name, with its argument names. CuPy must be installed,
a GPU need not be there.

    python tests/golden/freeze_cupy.py
"""

import inspect
import json
import re
from pathlib import Path

import cupy

UFUNC_METHODS = "at", "reduce", "accumulate", "reduceat", "outer"


def parameters(f) -> list[str] | None:
    """Names in order, "*" where only keywords follow or any number, "**" where any keyword goes."""
    try:
        found = inspect.signature(f).parameters.values()
    except (ValueError, TypeError):  # compiled: the first line of its docstring says it
        said = re.match(r"[\w.]+\((.*)\)", (f.__doc__ or "").split("\n")[0].replace("\\", ""))
        names = said and [one.split("=")[0].split()[-1:] for one in said[1].split(", ")]
        plain = [name for one in names or [] for name in one if name != "/"]
        return said and [re.sub(r"(\*+).*", r"\1", name) for name in plain]
    stars = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}
    names = [stars.get(one.kind.name, one.name) for one in found]
    only = [n for n, one in enumerate(found) if one.kind.name == "KEYWORD_ONLY"]
    if only and "*" not in names:
        names.insert(only[0], "*")
    return names


def functions(module, prefix: str = "") -> dict[str, list[str]]:
    public = {n: getattr(module, n) for n in sorted(dir(module)) if not n.startswith("_")}
    found = {
        prefix + name: parameters(f)
        for name, f in public.items()
        if callable(f) and not inspect.ismodule(f)
    }
    return {name: given for name, given in found.items() if given is not None}


class Probe:
    """An array that a method of a ufunc may do anything with."""

    ndim = 1

    def __getattr__(self, name: str):
        return lambda *args: None


def takes(f: cupy.ufunc, method: str) -> bool:
    """Whether the ufunc has the method: all have its name, and most raise NotImplementedError."""
    given = {"at": (0, 0), "reduceat": (0,)}.get(method, ())
    try:
        method == "outer" or getattr(f, method)(Probe(), *given)
    except NotImplementedError:
        return False
    return True


def frozen() -> dict:
    ufuncs = {n: f for n, f in sorted(vars(cupy).items()) if isinstance(f, cupy.ufunc)}
    plain = int, float, type(None)
    return {
        "cupy": cupy.__version__,
        "functions": functions(cupy) | functions(cupy.linalg, "linalg."),
        "ufuncs": {n: [m for m in UFUNC_METHODS if takes(f, m)] for n, f in ufuncs.items()},
        "constants": sorted(n for n, x in vars(cupy).items() if n[0] != "_" and type(x) in plain),
        "array": functions(cupy.ndarray),
    }


def main() -> None:
    text = json.dumps(frozen(), indent=1)
    text = re.sub(r"\[\s+([^][]*?)\s+\]", lambda m: f"[{' '.join(m[1].split())}]", text)
    Path(__file__).with_name("cupy.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
