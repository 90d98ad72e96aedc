"""Checks for ops, layers and models, the project's own and its users'."""

from ..autograd import GradcheckError, gradgradcheck
from ..fused.base import composed  # runs every fused op as its definition
from .close import assert_close
from .gradcheck import gradcheck
from .padding import check_padding

__all__ = [
    "GradcheckError",
    "assert_close",
    "check_padding",
    "composed",
    "gradcheck",
    "gradgradcheck",
]
