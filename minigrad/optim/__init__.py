"""Optimizers and schedules of their learning rates, under PyTorch's names and with its
arithmetic.
"""

from . import lr_scheduler, swa_utils
from .adam import Adam, Adamax, AdamW, NAdam, RAdam
from .adaptive import Adadelta, Adagrad, RMSprop, Rprop
from .lbfgs import LBFGS
from .optimizer import Optimizer
from .sgd import ASGD, SGD
from .sparse_adam import SparseAdam
