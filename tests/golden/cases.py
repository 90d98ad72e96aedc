"""What is recorded from PyTorch and checked without it: inputs by name, so both sides agree."""

import numpy as np

LENGTHS = [4, 1, 6]
LSTMS = {
    "one": dict(num_layers=1),
    "stacked": dict(num_layers=2, bidirectional=True),
    "no bias": dict(num_layers=1, bidirectional=True, bias=False),
}
LOSSES = {
    "plain": dict(),
    "smoothed": dict(label_smoothing=0.1, ignore_index=2),
    "summed": dict(label_smoothing=0.3, reduction="sum"),
}
RULES = {
    "sgd": ("SGD", dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)),
    "adam": ("Adam", dict(lr=0.05, weight_decay=0.01)),
}
STEPS = 10
IDS = np.array([[4, 0, 1], [4, 4, 2]])  # of an embedding: ids that repeat, and padding
PADDINGS = {"no padding": None, "padding 1": 1, "padding -1": -1}


def numbers(name, *shape):
    """Random numbers that belong to a name."""
    return np.random.default_rng(list(name.encode())).standard_normal(shape)


CLASSES = np.array([0, 3, 2, 1, 2, 0])
