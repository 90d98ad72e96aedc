"""Probability distributions: batches of them, with samples, densities and what a policy or a
variational model needs of gradients through both.

The rarer ones are loaded when they are first asked for.
"""

from ..later import later as _later
from . import constraints
from .bernoulli import Bernoulli
from .categorical import Categorical
from .distribution import Distribution
from .kl import kl_divergence, register_kl
from .normal import Normal
from .uniform import Uniform

# file: what it has
RARER = {
    "beta": "Beta",
    "binomial": "Binomial",
    "cauchy": "Cauchy",
    "chi2": "Chi2",
    "dirichlet": "Dirichlet",
    "exponential": "Exponential",
    "gamma": "Gamma",
    "geometric": "Geometric",
    "gumbel": "Gumbel",
    "half_normal": "HalfNormal",
    "independent": "Independent",
    "laplace": "Laplace",
    "log_normal": "LogNormal",
    "mixture_same_family": "MixtureSameFamily",
    "multinomial": "Multinomial",
    "multivariate_normal": "MultivariateNormal",
    "negative_binomial": "NegativeBinomial",
    "one_hot_categorical": "OneHotCategorical OneHotCategoricalStraightThrough",
    "poisson": "Poisson",
    "relaxed_bernoulli": "RelaxedBernoulli",
    "relaxed_categorical": "RelaxedOneHotCategorical",
    "studentT": "StudentT",
    "transformed_distribution": "TransformedDistribution",
    "transforms": """AbsTransform AffineTransform ComposeTransform ExpTransform PowerTransform
        SigmoidTransform SoftplusTransform TanhTransform Transform identity_transform""",
}
__getattr__, __dir__ = _later(
    __name__,
    RARER,
    lambda name: AttributeError(f"module 'minigrad.distributions' has no attribute {name!r}"),
)
__all__ = [
    "Bernoulli",
    "Categorical",
    "Distribution",
    "Normal",
    "Uniform",
    "constraints",
    "kl_divergence",
    "register_kl",
    *" ".join(RARER.values()).split(),
]
