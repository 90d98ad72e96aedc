"""Layers, losses, initialisers and clipping, under PyTorch's names."""

from . import functional, init, modules, parameter, utils
from .containers import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from .layers import CrossEntropyLoss, Dropout, Embedding, Linear
from .module import Module
from .parameter import Buffer, Parameter
from .recurrent import LSTM
