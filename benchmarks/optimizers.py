"""Time of one step of an optimizer, and of clipping, for the parameters of a translator.

    python benchmarks/optimizers.py                        both models, all steps
    python benchmarks/optimizers.py --case "Adam, large"   one of them

`small` is the model that train_seq2seq.py trains by default, on its own corpus; `large` has two
layers of 512 and vocabularies of 8,000. Parameters and gradients are random: a step costs the same.
PyTorch's optimizers are those one gets by default.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from harness import ROOT, Benchmark, Figures, cell, on_both, ratio, timed

# vocabularies and sizes of the translators whose parameters are meant
MODELS = {
    "small": ((354, 526), {}),
    "large": ((8000, 8000), {"embedding_size": 256, "hidden_size": 512, "layers": 2}),
}
STEPS: dict[str, Callable[[Any, list], Callable[[], Any]]] = {
    "Adam": lambda m, params: m.optim.Adam(params).step,
    "AdamW": lambda m, params: m.optim.AdamW(params).step,
    "SGD with momentum": lambda m, params: m.optim.SGD(params, lr=1e-3, momentum=0.9).step,
    "RMSprop": lambda m, params: m.optim.RMSprop(params).step,
    "Adagrad": lambda m, params: m.optim.Adagrad(params).step,
    "clip_grad_norm_": lambda m, params: clipping(m, params),
    "clip_grad_value_": lambda m, params: lambda: m.nn.utils.clip_grad_value_(params, 1.0),
}


def clipping(m: Any, params: list) -> Callable[[], Any]:
    """Always with something to clip: each time to a limit that is a thousandth lower."""
    limit = float(m.nn.utils.clip_grad_norm_(params, math.inf))

    def clip() -> None:
        nonlocal limit
        limit *= 0.999
        m.nn.utils.clip_grad_norm_(params, limit)

    return clip


def step_of(m: Any, name: str, shapes: list[list[int]]) -> Figures:
    """A step's time, and what three steps before it have changed, by which sides are compared."""
    drawn = np.random.default_rng(0).standard_normal(9973, np.float32)  # again and again
    values = [np.resize(drawn, shape) for shape in shapes]
    params = [m.nn.Parameter(m.tensor(value)) for value in values]
    for p in params:
        p.grad = m.tensor(np.resize(drawn[::-1], p.shape))
    step = STEPS[name](m, params)
    for _ in range(3):
        step()
    pairs = [(p.detach().numpy() - value, p.grad.numpy()) for p, value in zip(params, values)]
    moved, gradient = (sum(float(np.abs(a).sum()) for a in arrays) for arrays in zip(*pairs))
    return {"ms": timed(step)[0], "moved": moved, "gradient": gradient}


def cases() -> dict[str, list]:
    sys.path.insert(0, str(ROOT))
    from models.options import ModelOptions
    from models.seq2seq import Seq2Seq

    found = {}
    for model, (vocabularies, sizes) in MODELS.items():
        translator = Seq2Seq(*vocabularies, ModelOptions(**sizes))
        shapes = [list(p.shape) for p in translator.parameters()]
        numbers = sum(map(math.prod, shapes)) / 1e6
        for name in STEPS:
            what = f"{name}, {model}: {numbers:.1f} M numbers in {len(shapes)} arrays"
            found[what] = [name, shapes]
    return found


BENCHMARK = Benchmark(
    __doc__,
    sides=on_both(step_of),
    cases=cases,
    smallest={name: [name, [[3, 4], [5]]] for name in STEPS},
    columns={
        "minigrad": cell("minigrad"),
        "torch": cell("torch"),
        "torch / minigrad": ratio("torch", "minigrad"),
    },
    head="step, model",
    same=("moved", "gradient"),
    threads=(1, 2),
)

if __name__ == "__main__":
    BENCHMARK.main()
