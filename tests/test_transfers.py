"""What crosses the border to a GPU while a translator trains: the batch, and one loss. Counted on
the stand-in with the kernels on the CPU; no GPU code runs here.
"""

import cpu_kernels
import numpy as np
import pytest
import strict_backend
from devices import DEVICES
from strict_backend import STRICT, StrictArray, StrictBackend, called

import minigrad as mg
from datasets import build_tokenizer
from models.optimisation import TrainingOptions
from models.options import ModelOptions
from models.search import Search
from models.training import Trainer
from models.translator import Translator

needs_a_compiler = pytest.mark.skipif(not cpu_kernels.COMPILER, reason="there is no g++")
PAIRS = [("a b c", "x y"), ("c", "y z x w"), ("b a", "z"), ("a a b c d", "w w x")]
WHOLE = [("a b", "x y"), ("c d", "y z")]  # all of one length

# options of the model, options of training, pairs, what is uploaded for a batch
SOURCE, LENGTHS, TARGETS, ORDER, OWN = 1, 1, 2, 2, 1
CASES = {
    "default": ({}, {}, PAIRS, SOURCE + LENGTHS + TARGETS),
    "of one length": ({}, {}, WHOLE, SOURCE + TARGETS),
    "deep": (
        {"layers": 2, "attention": "multi-head", "heads": 2, "encoder_hidden_size": 3,
         "encoder_layers": 3, "recurrent_dropout": 0.2},
        {"label_smoothing": 0.1}, PAIRS, SOURCE + LENGTHS + TARGETS,
    ),
    "step by step": (
        {"attention": "additive", "input_feeding": True, "coverage": True, "peeky": True},
        {"bptt": 2}, PAIRS, SOURCE + LENGTHS + TARGETS,
    ),
    "gru backwards": (
        {"cell": "gru", "attention": "general", "reverse_source": True, "bidirectional": False,
         "annotation_dropout": 0.2},
        {"encoder_bptt": 2, "weight_decay": 0.1, "l1": 1e-4}, PAIRS,
        SOURCE + LENGTHS + TARGETS + ORDER,
    ),
    "own words": (
        {"attention": "none", "tie": "target", "embedding_size": 4},
        {"sampling": "constant", "sampling_rate": 1.0, "clip_value": 0.5,
         "optimizer_options": {"amsgrad": True}},
        PAIRS, SOURCE + LENGTHS + TARGETS + OWN,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    return cpu_kernels.CpuKernels(tmp_path_factory.mktemp("kernels"))


def trainer_of(folder, model, training, pairs, device):
    mg.manual_seed(0)
    folder.mkdir(exist_ok=True)
    sides = [build_tokenizer("words", [pair[n] for pair in PAIRS]) for n in (0, 1)]
    sizes = {"embedding_size": 3, "hidden_size": 4, "dropout": 0.2}
    translator = Translator.new(*sides, ModelOptions(**sizes | model), 9)
    translator.model.to(device=device)
    options = TrainingOptions(**{"epochs": 1, "batch_size": 4} | training)
    trainer = Trainer(translator, pairs, pairs, options, folder)
    trainer.model.train()
    return trainer


@needs_a_compiler
@pytest.mark.parametrize("model, training, pairs, uploads", CASES.values(), ids=CASES)
def test_a_step_uploads_the_batch_and_waits_for_the_loss(
    model, training, pairs, uploads, kernels, monkeypatch, tmp_path
):
    monkeypatch.setattr(STRICT, "kernels", kernels)
    trainer = trainer_of(tmp_path, model, training, pairs, "strict")
    trainer.train_on(list(trainer.batches))  # the optimizer's state is made
    events = []
    for owner, name, event in (
        (StrictBackend, "upload", "up"), (StrictBackend, "download", "wait"),
        (StrictArray, "_wait", "wait"), (cpu_kernels.RawModule, "launch", "launch"),
    ):  # fmt: skip
        method = getattr(owner, name)

        def watched(self, *args, method=method, event=event, **more):
            events.append(event)
            return method(self, *args, **more)

        monkeypatch.setattr(owner, name, watched)
    trainer.train_on(list(trainer.batches))
    first, waited = events.index("launch"), events.index("wait")
    assert events[:first] == ["up"] * uploads
    assert set(events[first:waited]) == {"launch"}
    assert set(events[waited + 1 :]) == {"launch"}  # of the optimizer


@needs_a_compiler
@pytest.mark.parametrize("make", [mg.nn.LSTM, mg.nn.GRU])
def test_one_more_step_is_a_product_and_a_launch(make, kernels, monkeypatch):
    """Forward and back, beside views; of matrices, into memory that is there."""
    monkeypatch.setattr(STRICT, "kernels", kernels)
    layer, events = make(3, 4).to("strict"), []

    def watched(function, args, kwargs):
        shapes = [x.ndim for x in args if type(x) is StrictArray]
        events.append((function.__name__, shapes, kwargs.keys()))
        return called(function, args, kwargs)

    monkeypatch.setattr(strict_backend, "called", watched)
    for owner, name in ((strict_backend._Module, "empty"), (StrictArray, "__iadd__")):
        method = getattr(owner, name)

        def noted(self, *args, method=method, name=name, **more):
            events.append((name,))
            return method(self, *args, **more)

        monkeypatch.setattr(owner, name, noted)
    counts = []
    for T in (5, 6):
        xs = mg.ones(T, 2, 3, device="strict").requires_grad_()
        before = len(kernels.launched)
        layer.zero_grad()
        events.clear()
        layer(xs, lengths=(T, T - 2))[0].sum().backward()
        counts.append((len(kernels.launched) - before, list(events)))
    (launches, short), (more, long) = counts
    assert more == launches + 2
    steps = [event for event in long if event[0] == "matmul"]
    assert len(steps) == 2 * 6 and all(e == ("matmul", [2, 2], {"out"}) for e in steps)
    assert sorted(map(str, long)) == sorted(map(str, [*short, *steps[:2]]))


@pytest.mark.parametrize("device", [pytest.param("strict", marks=needs_a_compiler), *DEVICES[1:]])
@pytest.mark.parametrize("model, training, pairs, _", CASES.values(), ids=CASES)
def test_twenty_steps_are_those_of_numpy(
    model, training, pairs, _, device, kernels, monkeypatch, tmp_path
):
    """With all dropout: it is drawn by place, on every device the same. Afterwards what one device
    has written is read and goes on on the other, and says the same.
    """
    monkeypatch.setattr(STRICT, "kernels", kernels)
    losses, weights, states = [], [], []
    for n, here in enumerate(("cpu", device)):
        trainer = trainer_of(tmp_path / f"{n}", model, training, pairs, here)
        losses.append([])
        for _step in range(20):
            trainer.sums["loss"] = 0.0
            trainer.train_on(list(trainer.batches))
            losses[-1].append(trainer.sums["loss"])
        weights.append({n: p.to_numpy() for n, p in trainer.model.state_dict().items()})
        states.append(trainer.state())
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
    assert losses[0][-1] < losses[0][0]
    for name, expected in weights[0].items():
        np.testing.assert_allclose(weights[1][name], expected, rtol=1e-2, atol=1e-3)

    mg.save(states[1], tmp_path / "there.safetensors")
    said = []
    for n, here in enumerate(("cpu", device)):
        trainer = trainer_of(tmp_path / f"again {n}", model, training, pairs, here)
        trainer.restore(mg.load(tmp_path / "there.safetensors"))
        trainer.train_on(list(trainer.batches))
        greedy, beam = (
            trainer.translator.search([source for source, _ in PAIRS], 4, how)
            for how in (Search(), Search(3, 1.0))
        )
        said.append([best[0] for best in (*greedy, *beam)])
    for one, other in zip(*said, strict=True):
        assert one.text == other.text and one.score == pytest.approx(other.score, rel=1e-3)
