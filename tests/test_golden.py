"""minigrad against numbers recorded from PyTorch, where PyTorch itself is not installed."""

import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.serialization import load_file

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

# fmt: skip
from cases import (  # noqa: E402
    CLASSES, IDS, LENGTHS, LOSSES, LSTMS, PADDINGS, RULES, STEPS, numbers,
)

RECORDED = load_file(GOLDEN / "pytorch.safetensors")


def close(x, name):
    np.testing.assert_allclose(
        x.detach().numpy(), RECORDED[name].numpy(), rtol=1e-10, atol=1e-12, err_msg=name
    )


def tensor(name, *shape):
    return mg.tensor(numbers(name, *shape), requires_grad=True)


@pytest.mark.parametrize("name", LSTMS)
def test_lstm(name):
    module = mg.nn.LSTM(3, 4, **LSTMS[name]).double()
    module.load_state_dict({k: numbers(k, *p.shape) for k, p in module.named_parameters()})
    x = tensor("x", 6, 3, 3)
    y, (h, c) = module(x, lengths=LENGTHS)
    for k, z in zip("yhc", (y, h, c)):
        close(z, f"lstm/{name}/{k}")
    sum((z * mg.tensor(numbers(k, *z.shape))).sum() for k, z in zip("yhc", (y, h, c))).backward()
    close(x.grad, f"lstm/{name}/grad x")
    for k, p in module.named_parameters():
        close(p.grad, f"lstm/{name}/grad {k}")


@pytest.mark.parametrize("name", LOSSES)
def test_cross_entropy(name):
    x = tensor("logits", 6, 4)
    loss = mg.nn.functional.cross_entropy(x, mg.tensor(CLASSES), **LOSSES[name])
    loss.backward()
    close(loss, f"loss/{name}")
    close(x.grad, f"loss/{name}/grad")


@pytest.mark.parametrize("name", PADDINGS)
def test_embedding(name):
    table = tensor("table", 5, 3)
    y = mg.nn.functional.embedding(mg.tensor(IDS), table, PADDINGS[name])
    (y * mg.tensor(numbers("rows", 2, 3, 3))).sum().backward()
    close(y, f"embedding/{name}")
    close(table.grad, f"embedding/{name}/grad")


@pytest.mark.parametrize("name", RULES)
def test_optimizer(name):
    rule, options = RULES[name]
    p = tensor("parameter", 3, 2)
    optimizer = getattr(mg.optim, rule)([p], **options)
    for step in range(STEPS):
        p.grad = mg.tensor(numbers(f"gradient {step}", 3, 2))
        optimizer.step()
        close(p, f"rule/{name}/{step}")
