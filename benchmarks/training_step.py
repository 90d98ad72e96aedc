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

BATCH, LEARNING_RATE, LARGEST_NORM, DROPOUT = 64, 4e-3, 1.0, 0.1


def default_task(pairs: int, batches: int) -> tuple[list[Batch], list[int]]:
    """Batches of the built-in corpus, and the two sizes of vocabulary."""
    texts = [(pair.source, pair.target) for pair in english_french("train", pairs, 0)]
    source, target = (Vocabulary.build(side) for side in zip(*texts))
    examples = [(source.encode(a), target.encode(b)) for a, b in texts]
    found = bucketed_batches(examples, BATCH, np.random.default_rng(0))
    return found[:batches], [len(source), len(target)]


def large_task(vocabulary: int, batches: int) -> tuple[list[Batch], list[int]]:
    """Random sentences of 15 to 25 tokens."""
    rng = np.random.default_rng(0)
    examples = [
        [rng.integers(4, vocabulary, rng.integers(15, 26)).tolist() for _ in range(2)]
        for _ in range(BATCH * batches)
    ]
    found = [Batch.of(examples[n : n + BATCH]) for n in range(0, len(examples), BATCH)]
    return found, [vocabulary, vocabulary]


TASKS = {"default": default_task, "large": large_task}


def weights_of(shapes: dict[str, tuple]) -> dict[str, np.ndarray]:
    """The same on both sides, which name their parameters alike."""
    rng = np.random.default_rng(1)
    return {
        name: rng.uniform(-0.08, 0.08, shapes[name]).astype(np.float32) for name in sorted(shapes)
    }


def figures(made: Callable, task: str, size: int, count: int, *sizes: int) -> Figures:
    """`made(vocabularies, *sizes)` gives a model, and the function that does one step and returns
    its loss.
    """
    batches, vocabularies = TASKS[task](size, count)
    _, step = made([9, 9], 3, 4)
    step(Batch.of([([5, 6], [7]), ([8], [4, 5])]))
    memory = growth()
    model, step = made(vocabularies, *sizes)
    model.eval()
    loss = [step(batches[0]) for _ in range(3)][-1]
    model.train()

    def all_batches() -> None:
        for batch in batches:
            step(batch)

    ms = timed(all_batches)[0] / len(batches)
    return {"ms": ms, "memory": memory(), "loss": loss}


def minigrad_side(*case: Any) -> Figures:
    import minigrad as mg
    from minigrad import nn, optim
    from models.objective import Objective
    from models.options import ModelOptions
    from models.seq2seq import Seq2Seq

    def made(vocabularies: list[int], embedding: int, hidden: int) -> tuple:
        options = ModelOptions(embedding_size=embedding, hidden_size=hidden, dropout=DROPOUT)
        model, objective = Seq2Seq(*vocabularies, options), Objective()
        shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
        arrays = weights_of(shapes)
        model.load_state_dict({name: mg.from_numpy(array) for name, array in arrays.items()})
        optimizer = optim.Adam(model.parameters(), lr=LEARNING_RATE)

        def step(batch: Batch) -> float:
            optimizer.zero_grad()
            loss = objective.backward(model, batch)
            nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM)
            optimizer.step()
            return loss

        return model, step

    return figures(made, *case)


def torch_side(*case: Any) -> Figures:
    torch = torch_module()
    import torch_translator

    def made(vocabularies: list[int], embedding: int, hidden: int) -> tuple:
        model = torch_translator.Seq2Seq(*vocabularies, embedding, hidden, DROPOUT)
        shapes = {name: tuple(p.shape) for name, p in model.named_parameters()}
        arrays = weights_of(shapes)
        model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
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
        "default: vocabularies 347 and 519, E 64, H 128": ["default", 6400, 8, 64, 128],
        "vocabulary 8000, E 512, H 512": ["large", 8000, 1, 512, 512],
    },
    smallest=["default", 200, 1, 8, 12],
    columns={
        "minigrad, ms": cell("minigrad"),
        "torch, ms": cell("torch"),
        "torch / minigrad": ratio("torch", "minigrad"),
        "minigrad, MB": cell("minigrad", "memory"),
        "torch, MB": cell("torch", "memory"),
        "minigrad / torch": ratio("minigrad", "torch", "memory"),
    },
    head="translator, batches of 64",
    same=("loss",),
    fresh=True,
    threads=(1, 2),
)

if __name__ == "__main__":
    BENCHMARK.main()
