"""Layers, losses, initialisers and clipping, under PyTorch's names."""

from . import functional, init, utils
from .cells import GRUCell, LSTMCell, RNNCell, RNNCellBase
from .layers import CrossEntropyLoss, Dropout, Embedding, Linear
from .module import Module, Parameter
from .recurrent import GRU, LSTM, RNN, RNNBase
