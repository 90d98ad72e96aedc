"""Derivatives for users, under PyTorch's names."""

from __future__ import annotations

from ..modes import enable_grad, inference_mode, no_grad, set_grad_enabled
from . import functional
from .function import Function
from .gradcheck import GradcheckError, gradcheck, gradgradcheck
from .gradients import backward, grad
from .variable import Variable
