"""Layers, losses, initialisers and clipping, under PyTorch's names."""

from . import functional, init, utils
from .layers import CrossEntropyLoss, Dropout, Embedding, Linear
from .module import Module, Parameter
from .recurrent import LSTM
