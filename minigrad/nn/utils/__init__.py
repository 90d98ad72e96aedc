"""Clipping, parameters as one vector, normalised and otherwise computed weights, and in `rnn`
packed sequences.
"""

from typing import Any

from . import parametrizations, parametrize, rnn, stateless
from .clip import (
    clip_grad_norm,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from .convert import parameters_to_vector, vector_to_parameters
from .penalties import l1_penalty, l2_penalty
from .spectral_norm import remove_spectral_norm, spectral_norm
from .weight_norm import remove_weight_norm, weight_norm


def skip_init(module_cls: type, *args: Any, **kwargs: Any) -> Any:
    """The module; its values are nothing to rely on, although here they are initial ones."""
    return module_cls(*args, **kwargs)
