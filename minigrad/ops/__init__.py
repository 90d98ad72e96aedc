"""The primitives, one family a file. Every function takes Tensors, or arrays alone and then returns
arrays.
"""

# PyTorch's names shadow built-ins here; reduce.py, which needs those, writes sum_, max_, ...
from .convert import cast, clone, to_device
from .creation import (
    arange,
    as_tensor,
    eye,
    from_numpy,
    full,
    full_like,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from .elementwise import (
    abs,
    add,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    clamp,
    cos,
    div,
    eq,
    exp,
    ge,
    gt,
    isfinite,
    le,
    log,
    logical_and,
    logical_not,
    logical_or,
    lt,
    masked_fill,
    maximum,
    minimum,
    mul,
    ne,
    neg,
    pow,
    relu,
    sigmoid,
    sign,
    sin,
    sqrt,
    sub,
    tanh,
    where,
)
from .indexing import Part, embedding, index, index_put, index_put_, set_item
from .linalg import matmul
from .promotion import result_type
from .scatter import gather
from .random import Generator, default_generator, manual_seed, rand, randint, randn, randperm
from .reduce import all_ as all
from .reduce import amax, amin, argmax, argmin, log_softmax, logsumexp, mean, norm, softmax, sum_to
from .reduce import any_ as any
from .reduce import max_ as max
from .reduce import min_ as min
from .reduce import sum_ as sum
from .shape import (
    flat,
    view,
    broadcast_to,
    cat,
    chunk,
    expand,
    flatten,
    flip,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    t,
    transpose,
    unbind,
    unsqueeze,
)
from .writing import copy_, fill_, region_of, zero_
