"""Probability distributions: batches of them, with samples, densities and what a policy or a
variational model needs of gradients through both.
"""

from . import constraints
from .bernoulli import Bernoulli
from .categorical import Categorical
from .distribution import Distribution
from .kl import kl_divergence, register_kl
from .normal import Normal
from .uniform import Uniform
