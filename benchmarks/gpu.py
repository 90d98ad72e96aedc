"""On a GPU: what it can do, what a call costs the host, an LSTM in three stages, and whole training
steps of the translator, each beside PyTorch.

    python benchmarks/gpu.py --json gpu.json
    python benchmarks/gpu.py --case LSTM

Precisions are PyTorch's: strict float32, TF32 for products, float16. Ours is strict float32, but
for a product of float16 arrays. Every time ends when the device has done its work. Without a GPU,
nothing is measured.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from harness import ROOT, Benchmark, Figures, cell, ratio, timed, torch_module

sys.path.insert(0, str(ROOT))
import training_step  # noqa: E402

MEGABYTES, CALLS = 256, 200
RUNGS = "op by op", "one node", "one node and kernels"
# (H, B, T) of one layer with inputs of its own size; the first is the one that aims are set for
LAYERS = [(512, 128, 50), *itertools.product((256, 512, 1024), (64, 128, 256), (20, 50, 100))]


def minigrad_side(kind: str, device: str, *case: Any) -> Figures:
    import minigrad as mg
    from minigrad.testing import composed

    backend = mg.backend_for(device)
    wait = (lambda: None) if device == "cpu" else mg.cuda.synchronize
    if kind == "step":
        return training_step.minigrad_side(*case, device=device)
    if kind == "layer":
        H, B, T, rung, _ = case
        kernels = backend.kernels
        backend.kernels = kernels if rung == RUNGS[2] else None
        try:
            how = composed if rung == RUNGS[0] else nullcontext
            return layer(mg, device, wait, how, H, B, T)
        finally:
            backend.kernels = kernels
    xp = backend.xp

    def made(precision: str, *shape: int) -> Any:
        return xp.ones(shape, "float16" if precision == "float16" else "float32")

    return simple(kind, made, lambda x: x.copy(), lambda x: x @ x, lambda x: x + x, wait, *case)


def torch_side(kind: str, device: str, *case: Any) -> Figures:
    torch = torch_module()
    wait = (lambda: None) if device == "cpu" else torch.cuda.synchronize
    precision = "strict" if kind == "step" else case[-1]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "TF32"
    if kind == "step":
        return training_step.torch_side(*case, device=device)
    if kind == "layer":
        H, B, T, _, _ = case
        dtype = torch.float16 if precision == "float16" else torch.float32
        return layer(torch, device, wait, nullcontext, H, B, T, dtype=dtype)

    def made(precision: str, *shape: int) -> Any:
        dtype = torch.float16 if precision == "float16" else torch.float32
        return torch.ones(*shape, dtype=dtype, device=device)

    return simple(kind, made, lambda x: x.clone(), lambda x: x @ x, lambda x: x + x, wait, *case)


def simple(
    kind: str, made: Callable, copy: Callable, product: Callable, add: Callable, wait: Callable,
    size: int, precision: str,
) -> Figures:  # fmt: skip
    """A copy of so many MB, a square product, or what a call for a tiny array costs, in its time:
    GB/s, TFLOP/s, calls per second in thousands.
    """
    if kind == "copy":
        x, work, amount = made(precision, size * 2**18), copy, 2 * size * 2**20 / 1e9
    elif kind == "product":
        x, work, amount = made(precision, size, size), product, 2 * size**3 / 1e12
    else:
        x, amount = made(precision, 8, 8), CALLS / 1e3
        one = add if kind == "add" else product

        def work(x: Any) -> None:
            for _ in range(CALLS):
                one(x)

    def done() -> None:
        work(x)
        wait()

    ms = timed(done)[0]
    return {"ms": ms, "rate": amount / (ms / 1e3)}


def layer(
    m: Any, device: str, wait: Callable, how: Callable, H: int, B: int, T: int, **dtype: Any
) -> Figures:
    """nn.LSTM: the time forward, and forward and back."""
    rnn = m.nn.LSTM(H, H, device=device, **dtype)
    x = m.ones(T, B, H, device=device, **dtype).requires_grad_()

    def forward() -> Any:
        with how():
            ys = rnn(x)[0]
        wait()
        return ys

    def backward(ys: Any) -> None:
        ys.sum().backward()
        wait()

    there, back = timed(forward, backward)
    return {"forward": there, "ms": there + back}


def cases() -> dict[str, list]:
    found: dict[str, list] = {}
    for precision in ("strict", "TF32", "float16"):
        found[f"product of 8192 x 8192, {precision}"] = ["product", "cuda", 8192, precision]
    found[f"copy of {MEGABYTES} MB"] = ["copy", "cuda", MEGABYTES, "strict"]
    found[f"{CALLS} sums of 8 x 8"] = ["add", "cuda", 0, "strict"]
    found[f"{CALLS} products of 8 x 8"] = ["small product", "cuda", 0, "strict"]
    for H, B, T in dict.fromkeys(LAYERS):
        name = f"LSTM H {H}, B {B}, T {T}"
        if (H, B, T) == LAYERS[0]:
            for rung in RUNGS[:2]:
                found[f"{name}, {rung}, strict"] = ["layer", "cuda", H, B, T, rung, "strict"]
        for precision in ("strict", "TF32", "float16"):
            found[f"{name}, {precision}"] = ["layer", "cuda", H, B, T, RUNGS[2], precision]
    for name, case in training_step.BENCHMARK.cases.items():
        if "default" in name or "Multi30k" in name:
            found[f"step, {name}"] = ["step", "cuda", *case]
    return found


BENCHMARK = Benchmark(
    __doc__,
    sides={"minigrad": minigrad_side, "torch": torch_side},
    cases=cases,
    smallest={
        "copy": ["copy", "cpu", 1, "strict"],
        "product": ["product", "cpu", 64, "strict"],
        "add": ["add", "cpu", 0, "strict"],
        "LSTM op by op": ["layer", "cpu", 8, 2, 3, RUNGS[0], "strict"],
        "LSTM": ["layer", "cpu", 8, 2, 3, RUNGS[2], "strict"],
        "step": ["step", "cpu", *training_step.BENCHMARK.smallest["smallest"]],
    },
    columns={
        "minigrad, ms": cell("minigrad"),
        "torch, ms": cell("torch"),
        "torch / minigrad": ratio("torch", "minigrad"),
        "minigrad, GB/s, TFLOP/s or 1000 calls/s": cell("minigrad", "rate"),
        "torch": cell("torch", "rate"),
    },
    head="what",
)


def main() -> None:
    if not {"--smallest", "--worker", "--help", "-h"} & set(sys.argv):
        import minigrad as mg

        try:
            mg.backend_for("cuda")
        except RuntimeError as error:
            print(f"not measured\n\n{error}")
            return
    BENCHMARK.main()


if __name__ == "__main__":
    main()
