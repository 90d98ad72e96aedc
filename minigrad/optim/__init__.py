"""Optimizers, under PyTorch's names and with its arithmetic."""

from .adam import Adam
from .optimizer import Optimizer
from .sgd import SGD
