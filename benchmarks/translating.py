"""Translating: sentences a second of the default translator, greedily and with a beam, against the
same model and search in PyTorch.

    python benchmarks/translating.py
    python benchmarks/translating.py --case "beam 5" --threads 1

Every side begins with the same weights, trained for a few steps, and translates the same sentences
of the built-in corpus in batches of 64, longest first. The mean log-probability of what they find
must agree.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import numpy as np
from harness import ROOT, Benchmark, Figures, cell, ratio, timed, torch_module

sys.path.insert(0, str(ROOT))
from datasets import Batch, Vocabulary, bucketed_batches, sorted_batches  # noqa: E402
from datasets.english_french import english_french  # noqa: E402
from models.options import ModelOptions  # noqa: E402

BATCH = 64


@cache
def trained(pairs: int, steps: int, sentences: int) -> tuple[Any, list[Batch]]:
    """A minigrad model, and the batches to translate."""
    import minigrad as mg
    from models.objective import Objective
    from models.seq2seq import Seq2Seq

    texts = [(pair.source, pair.target) for pair in english_french("train", pairs, 0)]
    source, target = (Vocabulary.build(side) for side in zip(*texts))
    examples = [(source.encode(a), target.encode(b)) for a, b in texts]
    mg.manual_seed(0)
    model = Seq2Seq(len(source), len(target), ModelOptions())
    optimizer = mg.optim.Adam(model.parameters(), lr=4e-3)
    for batch in bucketed_batches(examples, BATCH, np.random.default_rng(0))[:steps]:
        optimizer.zero_grad()
        Objective().backward(model, batch)
        mg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    test = [(source.encode(pair.source), []) for pair in english_french("test", sentences, 0)]
    return model.eval(), [batch for _, batch in sorted_batches(test, BATCH)]


def limits(batch: Batch) -> np.ndarray:
    return 2 * batch.source_lengths + 10


def figures(search: Any, batches: list[Batch]) -> Figures:
    """`search(batch)` gives the log-probability of the best translation of each sentence."""
    found: list[float] = []

    def all_batches() -> None:
        found[:] = [log_p for batch in batches for log_p in search(batch)]

    ms = timed(all_batches)[0]
    return {"speed": len(found) / ms * 1000, "log_probability": float(np.mean(found))}


def minigrad_side(beam: int, *task: int) -> Figures:
    from models.search import Search, search

    model, batches = trained(*task)
    how = Search(beam)

    def run(batch: Batch) -> list[float]:
        return [best[0].log_probability for best in search([model], batch, limits(batch), how)]

    return figures(run, batches)


def torch_side(beam: int, *task: int) -> Figures:
    torch = torch_module()
    import torch_translator

    mine, batches = trained(*task)
    V = mine.decoder.output.weight.shape[0]
    model = torch_translator.Seq2Seq(mine.encoder.embedding.weight.shape[0], V, ModelOptions())
    weights = {name: torch.from_numpy(p.to_numpy()) for name, p in mine.state_dict().items()}
    model.load_state_dict(weights)
    model.eval()

    def run(batch: Batch) -> list[float]:
        with torch.inference_mode():
            return torch_translator.search(model, batch, limits(batch), beam).tolist()

    return figures(run, batches)


BENCHMARK = Benchmark(
    __doc__,
    sides={"minigrad": minigrad_side, "torch": torch_side},
    cases={f"beam {beam}": [beam, 25_600, 400, 1000] for beam in (1, 5)},
    smallest=[2, 200, 2, 8],
    columns={
        "minigrad, sentences/s": cell("minigrad", "speed"),
        "torch, sentences/s": cell("torch", "speed"),
        "minigrad / torch": ratio("minigrad", "torch", "speed"),
    },
    head="1,000 sentences",
    same=("log_probability",),
    threads=(1, 2),
)

if __name__ == "__main__":
    BENCHMARK.main()
