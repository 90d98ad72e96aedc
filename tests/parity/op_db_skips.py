"""What is asked of PyTorch's database of operators, and what minigrad answers otherwise and why."""

# what recurrent programs use, in the database's names; its other operators that exist in minigrad
# are tested as well
NAMED = """
arange linspace eye zeros ones full empty zeros_like ones_like full_like empty_like randn randn_like
rand_like randint randint_like normal normal.number_mean normal.in_place uniform exponential
bernoulli multinomial nn.functional.one_hot tril triu meshgrid.variadic_tensors
meshgrid.list_of_tensors new_zeros new_ones new_full new_empty scalar_tensor bool byte char double
float half int long short to clone contiguous item fill zero_

add sub mul div.no_rounding_mode div.trunc_rounding div.floor_rounding true_divide floor_divide pow
float_power __radd__ __rdiv__ __rmul__ __rand__ __ror__ __rxor__ __rmatmul__ __rmod__ __rpow__
__rsub__ rsub neg positive floor ceil round round.decimals_0 round.decimals_3 round.decimals_neg_3
trunc frac remainder fmod exp exp2 expm1 log log1p log2 log10 sqrt rsqrt reciprocal square abs sign
sgn sin cos tan tanh sinh cosh asin acos atan asinh acosh atanh atan2 sigmoid logit erf erfc hypot
xlogy logaddexp addcmul addcdiv nn.functional.relu nn.functional.leaky_relu nn.functional.elu
nn.functional.gelu nn.functional.silu nn.functional.softplus nn.functional.softsign
nn.functional.logsigmoid nn.functional.hardtanh nn.functional.relu6 nn.functional.celu
nn.functional.selu nn.functional.mish nn.functional.hardsigmoid nn.functional.hardswish
nn.functional.hardshrink nn.functional.softshrink nn.functional.tanhshrink nn.functional.threshold
nn.functional.prelu nn.functional.glu clamp clamp_min clamp_max maximum minimum max.binary
min.binary fmax fmin where lerp eq ne lt le gt ge equal isclose allclose logical_and logical_or
logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift
bitwise_right_shift isnan isinf isfinite isposinf isneginf nan_to_num signbit copysign

sum mean prod var var.unbiased std std.unbiased var_mean var_mean.unbiased std_mean
std_mean.unbiased norm norm.fro norm.inf linalg.vector_norm linalg.norm amax amin aminmax
max.reduction_no_dim max.reduction_with_dim min.reduction_no_dim min.reduction_with_dim argmax
argmin all any logsumexp softmax softmax.with_dtype log_softmax log_softmax.with_dtype
nn.functional.softmin cumsum cumprod topk sort argsort unique unique_consecutive bincount nonzero
count_nonzero argwhere median kthvalue

reshape reshape_as view view_as permute transpose t T mT movedim squeeze squeeze.multiple unsqueeze
flatten unflatten ravel expand expand_as broadcast_to broadcast_tensors broadcast_shapes repeat
repeat_interleave tile cat stack hstack vstack split split.list_args split_with_sizes chunk
tensor_split unbind narrow select flip fliplr flipud roll constant_pad_nd nn.functional.pad.constant
nn.functional.pad.reflect nn.functional.pad.replicate nn.functional.pad.circular diag diagonal
diag_embed gather scatter scatter_add index_select index_add index_put index_fill index_copy take
take_along_dim masked_fill masked_select masked_scatter __getitem__

matmul mm bmm mv dot outer inner addmm addmm.decomposed baddbmm addmv addr addbmm einsum tensordot
nn.functional.linear nn.functional.bilinear trace

nn.functional.scaled_dot_product_attention nn.functional.layer_norm nn.functional.group_norm
nn.functional.batch_norm nn.functional.instance_norm nn.functional.rms_norm nn.functional.normalize
nn.functional.cosine_similarity nn.functional.pairwise_distance nn.functional.embedding
nn.functional.dropout nn.functional.alpha_dropout nn.functional.cross_entropy nn.functional.nll_loss
nn.functional.mse_loss nn.functional.l1_loss nn.functional.smooth_l1_loss nn.functional.huber_loss
nn.functional.binary_cross_entropy nn.functional.binary_cross_entropy_with_logits
nn.functional.kl_div nn.functional.poisson_nll_loss nn.functional.gaussian_nll_loss
nn.functional.hinge_embedding_loss nn.functional.margin_ranking_loss
nn.functional.cosine_embedding_loss nn.functional.triplet_margin_loss nn.functional.soft_margin_loss
nn.functional.multi_margin_loss nn.functional.multilabel_margin_loss
nn.functional.multilabel_soft_margin_loss nn.functional.ctc_loss nn.functional.conv1d
nn.functional.max_pool1d nn.functional.avg_pool1d nn.functional.adaptive_avg_pool1d
nn.functional.multi_head_attention_forward
""".split()

# operators that exist here and are not compared
ELSEWHERE = {
    "complex": "complex numbers are out of scope, and the error says so",
    "svd": "singular vectors are defined up to their signs, and LAPACK's choice is not the same",
    "linalg.svd": "singular vectors are defined up to their signs",
    "linalg.eigh": "eigenvectors are defined up to their signs",
}

TIES = "which of several equal elements is named is open where the order is not stable"
UNBOUND = "called by name, `Tensor.__radd__(2, x)` takes a number in the place of the tensor"
DRAWN = "a random draw is a constant here; PyTorch records it with a gradient of zero"

# operator: (the reason, {dtype of the samples, or "errors" of the error inputs: how many disagree})
DISAGREE: dict[str, tuple[str, dict[str, int]]] = {
    "__radd__": (UNBOUND, {"errors": 2}),
    "__rand__": (UNBOUND, {"errors": 1}),
    "__rdiv__": (UNBOUND, {"errors": 1}),
    "__rmul__": (UNBOUND, {"errors": 2}),
    "__ror__": (UNBOUND, {"errors": 1}),
    "__rxor__": (UNBOUND, {"errors": 1}),
    "addbmm": (
        "PyTorch's in-place form enlarges a tensor of one element",
        {"float64": 4, "int64": 4, "float32": 4},
    ),
    "argsort": (TIES, {"bool": 1}),
    "bernoulli": (DRAWN, {"float64": 4}),
    "float_power": (
        "in place the float64 result is written into float32, as by every other function",
        {"float32": 5},
    ),
    "kthvalue": (TIES, {"int64": 5}),
    "linalg.norm": ("norms of matrices without elements are refused", {"float32": 14}),
    "linalg.norm.subgradients_at_zero": (
        "norms of matrices without elements are refused; a second derivative is 0, not NaN",
        {"float64": 1, "float32": 14},
    ),
    "linalg.pinv.hermitian": (
        "the gradient goes to the triangle that is read, PyTorch's to both",
        {"float64": 3},
    ),
    "mode": (TIES, {"int64": 1, "bool": 1}),
    "nn.functional.batch_norm": (
        "an empty tensor of one dimension has no channels",
        {"float64": 2, "float32": 2},
    ),
    "nn.functional.ctc_loss": (
        "PyTorch's gradient takes a log_softmax before it for granted; after one both agree",
        {"float64": 12},
    ),
    "nn.functional.local_response_norm": ("integers are refused, as by `mean`", {"int64": 10}),
    "normal": (DRAWN, {"float64": 5}),
    "normal.number_mean": (DRAWN, {"float64": 1}),
    "sort": (TIES, {"bool": 1}),
    "topk": (TIES, {"int64": 7}),
    "unfold": (
        "windows that overlap are copies, where PyTorch gives a view",
        {"float64": 19, "int64": 19, "bool": 19, "float32": 19},
    ),
}
