"""Differentiation by name: `autograd.grad` and `autograd.backward`, for one tensor or several."""

from .engine import backward, grad
from .op import enable_grad, no_grad, set_grad_enabled
