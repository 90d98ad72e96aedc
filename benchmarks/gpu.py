"""On a GPU: what it can do, what a call costs the host, an LSTM in three stages, and whole training
steps of the translator, each beside PyTorch.

    python benchmarks/gpu.py --json gpu.json
    python benchmarks/gpu.py --case LSTM --rounds 3

Both are measured in strict float32 and with TF32 for products, which is what PyTorch does in an
LSTM unless told otherwise and CuPy where the environment says CUPY_TF32=1; PyTorch in float16, too.
Every time ends when the device has done its work. Errors are the largest of an output, against the
same layer in float64. Without a GPU, nothing is measured.
"""

from __future__ import annotations

import copy
import itertools
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from harness import ROOT, Benchmark, Figures, cell, shown, timed, torch_module

sys.path.insert(0, str(ROOT))
import training_step  # noqa: E402

MEGABYTES, CALLS = 256, 200
RUNGS = "op by op", "one node", "one node and kernels"
PRECISIONS = "strict", "TF32", "float16"
# (H, B, T) of one layer with inputs of its own size; the first is the one that aims are set for
LAYERS = [(512, 128, 50), *itertools.product((256, 512, 1024), (64, 128, 256), (20, 50, 100))]


def minigrad_side(kind: str, device: str, _precisions: Sequence[str], *case: Any) -> Figures:
    import minigrad as mg
    from minigrad.kernels import Long
    from minigrad.testing import composed

    backend = mg.backend_for(device)
    wait = nothing if device == "cpu" else mg.cuda.synchronize
    if kind == "step":
        return {"strict": training_step.minigrad_side(*case, device=device)["ms"]}
    if kind == "layer":
        rung, *sizes = case
        kernels = backend.kernels
        backend.kernels = kernels if rung == RUNGS[2] else None
        try:
            how = composed if rung == RUNGS[0] else nullcontext
            return layer(mg, "strict", device, wait, how, *sizes)
        finally:
            backend.kernels = kernels

    def launch(x: Any) -> None:
        given = Long(x.size), x, Long(1), np.uint32(1), 1.0
        backend.kernels("dropout.drop_factors", x.dtype, 8, *given)

    calls = {"launch": launch, "copy": lambda x: x.copy()}
    return simple(kind, calls, backend.xp, wait, ["strict"], *case)


def tf32_side(*case: Any) -> Figures:
    os.environ["CUPY_TF32"] = "1"  # before CuPy is imported, in the process of this side
    return minigrad_side(*case)


def torch_side(kind: str, device: str, precisions: Sequence[str], *case: Any) -> Figures:
    torch = torch_module()
    wait = nothing if device == "cpu" else torch.cuda.synchronize
    figures: Figures = {}
    for precision in precisions:
        tf32 = precision == "TF32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        if kind == "step":
            figures[precision] = training_step.torch_side(*case, device=device)["ms"]
        elif kind == "layer":
            _, *sizes = case
            figures |= layer(torch, precision, device, wait, nullcontext, *sizes)
        else:
            with torch.device(device):
                calls = {"launch": lambda x: x.add_(1), "copy": torch.clone}
                figures |= simple(kind, calls, torch, wait, [precision], *case)
    return figures


def nothing() -> None:
    """What waits for a CPU."""


def simple(
    kind: str, calls: dict[str, Callable], m: Any, wait: Callable,
    precisions: Sequence[str], size: int, repeated: int,
) -> Figures:  # fmt: skip
    """One call for a square array, so often: the time, and TFLOP/s, GB/s or thousands of calls per
    second; `m` has PyTorch's names for arrays.
    """
    amount = {"product": 2 * size**3 / 1e12, "copy": 8 * size**2 / 1e9} if repeated == 1 else {}
    calls = {"product": lambda x: x @ x, "sum": lambda x: x + x} | calls
    figures = {}
    for precision in precisions:
        x = m.ones((size, size), dtype=m.float16 if precision == "float16" else m.float32)

        def done(x: Any = x) -> None:
            for _ in range(repeated):
                calls[kind](x)
            wait()

        figures[precision] = ms = timed(done)[0]
        figures[f"{precision}, rate"] = amount.get(kind, repeated / 1e3) / (ms / 1e3)
    return figures


def layer(
    m: Any, precision: str, device: str, wait: Callable, how: Callable, H: int, B: int, T: int
) -> Figures:
    """nn.LSTM: the time forward, and forward and back, and the error of its outputs."""
    dtype = m.float16 if precision == "float16" else m.float32
    m.manual_seed(0)
    rnn, x = m.nn.LSTM(H, H).to(device, dtype), m.randn(T, B, H).to(device, dtype)
    with m.no_grad():
        error = rnn(x)[0].double() - copy.deepcopy(rnn).double()(x.double())[0]
        error = error.abs().max().item()
    x.requires_grad_()

    def forward() -> Any:
        with how():
            ys = rnn(x)[0]
        wait()
        return ys

    def backward(ys: Any) -> None:
        ys.sum().backward()
        wait()

    there, back = timed(forward, backward)
    return {f"{precision}, forward": there, precision: there + back, f"{precision}, error": error}


def cases() -> dict[str, list]:
    side = round((MEGABYTES * 2**18) ** 0.5)
    found: dict[str, list] = {
        "product of 8192 x 8192": ["product", "cuda", PRECISIONS, 8192, 1],
        f"copy of {MEGABYTES} MiB": ["copy", "cuda", ["strict"], side, 1],
        f"{CALLS} sums of 8 x 8": ["sum", "cuda", ["strict"], 8, CALLS],
        f"{CALLS} products of 8 x 8": ["product", "cuda", ["strict"], 8, CALLS],
        f"{CALLS} launches: a kernel of ours, add_": ["launch", "cuda", ["strict"], 8, CALLS],
    }
    for sizes in dict.fromkeys(LAYERS):
        name = "LSTM H {}, B {}, T {}".format(*sizes)
        if sizes == LAYERS[0]:
            for rung in RUNGS[:2]:
                found[f"{name}, {rung}"] = ["layer", "cuda", ["strict"], rung, *sizes]
        found[name] = ["layer", "cuda", PRECISIONS, RUNGS[2], *sizes]
    for name, case in training_step.BENCHMARK.cases.items():
        if "default" in name or "Multi30k" in name:
            found[f"step, {name}"] = ["step", "cuda", PRECISIONS[:2], *case]
    return found


def together(figure: str, scale: float = 1.0) -> Callable[[dict[str, Figures]], str]:
    """A column: a figure of ours, strict and TF32, and of PyTorch's precisions, in this order."""

    def column(m: dict[str, Figures]) -> str:
        ours = [of[figure.format("strict")] for side, of in m.items() if side != "torch"]
        theirs = [m.get("torch", {}).get(figure.format(name)) for name in PRECISIONS]
        return ", ".join([shown(scale * x) for x in (*ours, *theirs) if x is not None])

    return column


BENCHMARK = Benchmark(
    __doc__,
    sides={"minigrad": minigrad_side, "minigrad, TF32": tf32_side, "torch": torch_side},
    cases=cases,
    smallest={
        "copy": ["copy", "cpu", ["strict"], 8, 1],
        "product": ["product", "cpu", ["strict"], 64, 1],
        "sum": ["sum", "cpu", ["strict"], 8, 2],
        "LSTM op by op": ["layer", "cpu", ["strict"], RUNGS[0], 8, 2, 3],
        "LSTM": ["layer", "cpu", ["strict", "TF32"], RUNGS[2], 8, 2, 3],
        "step": ["step", "cpu", ["strict"], *training_step.BENCHMARK.smallest["smallest"]],
    },
    columns={
        "minigrad, ms": cell("minigrad", "strict"),
        "TF32": cell("minigrad, TF32", "strict"),
        **{f"torch, {name}": cell("torch", name) for name in PRECISIONS},
        "strict: torch / minigrad": lambda m: m["torch"]["strict"] / m["minigrad"]["strict"],
        "TF32: torch / minigrad": lambda m: m["torch"]["TF32"] / m["minigrad, TF32"]["strict"],
        "TFLOP/s, GB/s, 1000 calls/s": together("{}, rate"),
        "of these forward": together("{}, forward"),
        "errors x 10^6": together("{}, error", 1e6),
    },
    head="what",
)


def main() -> None:
    if not {"--smallest", "--worker", "--help", "-h"} & set(sys.argv):
        from minigrad import doctor

        about = dict(doctor.found())
        if not about["cuda"].startswith("can be used"):
            print(f"not measured\n\n{about['cuda']}")
            BENCHMARK.write(BENCHMARK.arguments().parse_args(), [], reason=about["cuda"])
            return
        names = "CuPy", "CUDA driver", "CUDA runtime", "GPU 0"
        print(", ".join(f"{name} {about[name]}" for name in names))
    BENCHMARK.main()


if __name__ == "__main__":
    main()
