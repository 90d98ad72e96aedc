"""A whole training step of the translator, forward, loss, backward, clipping and Adam, against the
same model written for PyTorch: time, and the most memory beyond what imports, data and a step of a
tiny translator take, which makes both sides load all they ever need.

    python benchmarks/training_step.py
    python benchmarks/training_step.py --case default --threads 1

Both sides start from the same weights. Three steps without dropout must end at the same loss, then
steps with dropout are timed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from harness import ROOT, Benchmark, Figures, cell, growth, ratio, timed, torch_module

sys.path.insert(0, str(ROOT))
from datasets import Batch, Vocabulary, bucketed_batches  # noqa: E402
from datasets.english_french import english_french  # noqa: E402
from models.options import ModelOptions  # noqa: E402

LEARNING_RATE, LARGEST_NORM, DROPOUT = 4e-3, 1.0, 0.1


def default_task(size: int, batches: int, pairs: int) -> tuple[list[Batch], list[int]]:
    """Batches of the built-in corpus, and the two sizes of vocabulary."""
    texts = [(pair.source, pair.target) for pair in english_french("train", pairs, 0)]
    source, target = (Vocabulary.build(side) for side in zip(*texts))
    examples = [(source.encode(a), target.encode(b)) for a, b in texts]
    found = bucketed_batches(examples, size, np.random.default_rng(0))
    return list(found[:batches]), [len(source), len(target)]


def random_task(
    size: int, batches: int, vocabularies: list[int], source: list[int], target: list[int]
) -> tuple[list[Batch], list[int]]:
    """Random sentences, their lengths in tokens from two bounds on each side."""
    rng = np.random.default_rng(0)
    sides = list(zip(vocabularies, (source, target)))
    examples = [
        tuple(
            [rng.integers(4, V, rng.integers(low, high + 1)).tolist() for V, (low, high) in sides]
        )
        for _ in range(size * batches)
    ]
    found = [Batch.of(examples[n : n + size]) for n in range(0, len(examples), size)]
    return found, vocabularies


TASKS = {"default": default_task, "random": random_task}


def weights_of(shapes: dict[str, tuple]) -> dict[str, np.ndarray]:
    """The same on both sides, which name their parameters alike."""
    rng = np.random.default_rng(1)
    return {
        name: rng.uniform(-0.08, 0.08, shapes[name]).astype(np.float32) for name in sorted(shapes)
    }


def figures(made: Callable, task: str, sizes: list, options: dict[str, Any]) -> Figures:
    """`made(vocabularies, options)` gives a model, and the function that does one step and returns
    its loss.
    """
    batches, vocabularies = TASKS[task](*sizes)
    dropped = {"dropout": DROPOUT} | options
    _, step = made([9, 9], ModelOptions(**dropped | {"embedding_size": 3, "hidden_size": 4}))
    step(Batch.of([([5, 6], [7]), ([8], [4, 5])]))
    memory = growth()
    model, step = made(vocabularies, ModelOptions(**dropped))
    model.eval()
    loss = [step(batches[0]) for _ in range(3)][-1]
    model.train()

    def all_batches() -> None:
        for batch in batches:
            step(batch)

    ms = timed(all_batches)[0] / len(batches)
    return {"ms": ms, "memory": memory(), "loss": loss}


def minigrad_side(*case: Any, device: str = "cpu") -> Figures:
    import minigrad as mg
    from minigrad import nn, optim
    from models.objective import Objective
    from models.seq2seq import Seq2Seq

    def made(vocabularies: list[int], options: ModelOptions) -> tuple:
        model, objective = Seq2Seq(*vocabularies, options), Objective()
        shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
        arrays = weights_of(shapes)
        loaded = {name: mg.from_numpy(array) for name, array in arrays.items()}
        model.load_state_dict(loaded, strict=False)  # tied weights have one name
        model.to(device=device)
        optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE)

        def step(batch: Batch) -> float:
            optimizer.zero_grad()
            loss = objective.backward(model, batch)
            nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM)
            optimizer.step()
            return float(loss)

        return model, step

    return figures(made, *case)


def torch_side(*case: Any, device: str = "cpu") -> Figures:
    torch = torch_module()
    import torch_translator

    def made(vocabularies: list[int], options: ModelOptions) -> tuple:
        model = torch_translator.Seq2Seq(*vocabularies, options)
        shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
        arrays = weights_of(shapes)
        loaded = {name: torch.from_numpy(array) for name, array in arrays.items()}
        model.load_state_dict(loaded, strict=False)  # tied weights have one name
        model.to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)

        def step(batch: Batch) -> float:
            optimizer.zero_grad()
            loss = torch_translator.loss_of(model, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM)
            optimizer.step()
            return loss.item()

        return model, step

    return figures(made, *case)


BENCHMARK = Benchmark(
    __doc__,
    sides={"minigrad": minigrad_side, "torch": torch_side},
    cases={
        "default: vocabularies 347 and 519, E 64, H 128": ["default", [64, 8, 6400], {}],
        "vocabulary 8000, E 512, H 512": [
            "random",
            [64, 1, [8000, 8000], [15, 25], [15, 25]],
            {"embedding_size": 512, "hidden_size": 512},
        ],
        # the recipes of RESULTS.md, on random sentences of such lengths
        "dates, attention: H 256, batches of 128": [
            "random",
            [128, 2, [64, 15], [29, 29], [10, 10]],
            {
                "embedding_size": 16,
                "hidden_size": 256,
                "bidirectional": False,
                "direct_readout": True,
            },
        ],
        "SCAN: 2 x 200, batches of 8": [
            "random",
            [8, 8, [17, 10], [4, 9], [4, 40]],
            {
                "embedding_size": 200,
                "hidden_size": 200,
                "layers": 2,
                "bidirectional": False,
                "attention": "none",
            },
        ],
        "Multi30k, no attention: 2 x 512, batches of 128": [
            "random",
            [128, 1, [7900, 5900], [7, 20], [7, 20]],
            {
                "embedding_size": 256,
                "hidden_size": 512,
                "layers": 2,
                "bidirectional": False,
                "attention": "none",
            },
        ],
        "Multi30k, additive attention, GRU 512, batches of 128": [
            "random",
            [128, 1, [7900, 5900], [7, 20], [7, 20]],
            {
                "embedding_size": 256,
                "hidden_size": 512,
                "cell": "gru",
                "attention": "additive",
                "input_feeding": True,
            },
        ],
        "Multi30k, small: LSTM 100, additive attention, tied": [
            "random",
            [64, 2, [4000, 4000], [8, 22], [8, 22]],
            {
                "embedding_size": 100,
                "hidden_size": 100,
                "attention": "additive",
                "input_feeding": True,
                "tie": "target",
            },
        ],
        "Multi30k, best: LSTM 256, additive attention, tied": [
            "random",
            [64, 2, [4000, 4000], [8, 22], [8, 22]],
            {
                "embedding_size": 256,
                "hidden_size": 256,
                "attention": "additive",
                "input_feeding": True,
                "tie": "target",
            },
        ],
        "Tatoeba: LSTM 384, general attention, tied, batches of 128": [
            "random",
            [128, 2, [6000, 6000], [4, 14], [4, 16]],
            {"embedding_size": 384, "hidden_size": 384, "attention": "general", "tie": "target"},
        ],
    },  # fmt: skip
    smallest={
        "smallest": ["default", [8, 1, 200], {}],
        "smallest with all": [
            "random",
            [4, 1, [12, 12], [2, 5], [2, 5]],
            {
                "embedding_size": 6,
                "hidden_size": 8,
                "layers": 2,
                "cell": "gru",
                "tie": "all",
                "attention": "additive",
                "input_feeding": True,
            },
        ],
    },  # fmt: skip
    columns={
        "minigrad, ms": cell("minigrad"),
        "torch, ms": cell("torch"),
        "torch / minigrad": ratio("torch", "minigrad"),
        "minigrad, MB": cell("minigrad", "memory"),
        "torch, MB": cell("torch", "memory"),
        "minigrad / torch": ratio("minigrad", "torch", "memory"),
    },
    head="translator, batches of 64 where nothing else is said",
    same=("loss",),
    fresh=True,
    threads=(1, 2),
)

if __name__ == "__main__":
    BENCHMARK.main()
