"""PyTorch's own database of modules and samples, run here: the same weights, inputs, outputs and
gradients, and the same types of errors.
"""

import inspect
import warnings
from collections.abc import Mapping

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn

torch = pytest.importorskip("torch")
common_modules = pytest.importorskip("torch.testing._internal.common_modules")

# modules of the database that do not exist here, by the end or the beginning of their names
OUT_OF_SCOPE = {
    "2d": "images are out of scope",
    "3d": "images are out of scope",
    "Lazy": "lazy layers are out of scope",
    "LinearCrossEntropyLoss": "a memory saving for training large models on GPUs",
}


def exists_here(info):
    name = info.name.removeprefix("nn.")
    return not any(name.endswith(n) or name.startswith(n) for n in OUT_OF_SCOPE)


def converted(value, seen=None):
    """PyTorch's tensors, modules and functions as minigrad's, inside containers too."""
    if isinstance(value, torch.nn.Module):
        return twin_module(value)
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy().copy()
        return mg.tensor(array, requires_grad=value.requires_grad)
    if isinstance(value, torch.dtype):
        return getattr(mg, str(value).removeprefix("torch."))
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, Mapping):
        return {key: converted(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(converted(v) for v in value)
    if callable(value) and getattr(value, "__module__", "").startswith("torch"):
        return getattr(nn.functional, value.__name__)
    return value


def twin_module(module):
    """A module given as an argument (an encoder layer, a norm), made again here."""
    name, own = type(module).__name__, vars(module)
    kind = getattr(nn, name)
    arguments = {}
    for p in inspect.signature(type(module).__init__).parameters.values():
        if p.name in own:
            arguments[p.name] = own[p.name]
    if name == "TransformerEncoderLayer" or name == "TransformerDecoderLayer":
        arguments = dict(
            d_model=module.self_attn.embed_dim,
            nhead=module.self_attn.num_heads,
            dim_feedforward=module.linear1.out_features,
            dropout=module.dropout.p,
            activation=module.activation.__name__,
            layer_norm_eps=module.norm1.eps,
            batch_first=module.self_attn.batch_first,
            norm_first=module.norm_first,
            bias=module.linear1.bias is not None,
        )
    return kind(**arguments, **({"dtype": mg.float64} if list(module.parameters()) else {}))


def flat_tensors(value, kind):
    """Every tensor in a nest of containers, in order."""
    if isinstance(value, kind):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [x for v in value for x in flat_tensors(v, kind)]
    return []


def leaves(value):
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, Mapping):
        return {key: leaves(v) for key, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(leaves(v) for v in value)
    return value


def close(mine, theirs, what):
    theirs = theirs.detach().numpy()
    mine = mine.detach().numpy()
    assert mine.shape == theirs.shape, f"{what}: {mine.shape} here, {theirs.shape} there"
    assert mine.dtype == theirs.dtype, f"{what}: {mine.dtype} here, {theirs.dtype} there"
    np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-8, equal_nan=True, err_msg=what)


def made(info, arguments, training):
    name = info.name.removeprefix("nn.")
    theirs = info.module_cls(*arguments.args, **arguments.kwargs).double()
    mine = getattr(nn, name)(*converted(arguments.args), **converted(arguments.kwargs)).double()
    mine.load_state_dict({k: v.numpy().copy() for k, v in theirs.state_dict().items()})
    return mine.train(training), theirs.train(training)


def run_sample(info, sample, training):
    """Outputs, gradients of parameters and inputs, and buffers afterwards are the same."""
    mine, theirs = made(info, sample.constructor_input, training)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    if "dropout" not in repr(theirs).lower():
        assert repr(mine) == repr(theirs).replace("NonDynamicallyQuantizableLinear", "Linear")
    if sample.forward_input is None:
        return
    args, kwargs = leaves(sample.forward_input.args), leaves(sample.forward_input.kwargs)
    my_args, my_kwargs = converted(args), converted(kwargs)
    inplace = "inplace" in repr(theirs)
    if inplace:  # a leaf that requires grad may not be changed
        args = [a.clone() if isinstance(a, torch.Tensor) else a for a in args]
        my_args = [a.clone() if isinstance(a, mg.Tensor) else a for a in my_args]
    if isinstance(mine, nn.CTCLoss):  # PyTorch's gradient is right behind log_softmax only
        theirs, mine = after(theirs, torch), after(mine, nn.functional)
    expected = flat_tensors(theirs(*args, **kwargs), torch.Tensor)
    results = flat_tensors(mine(*my_args, **my_kwargs), mg.Tensor)
    assert len(results) == len(expected)
    rng = np.random.default_rng(0)
    seeds = [rng.standard_normal(tuple(y.shape)) for y in expected]
    for x, y in zip(results, expected):
        close(x, y, "output")
    total = [(y * torch.tensor(s)).sum() for y, s in zip(expected, seeds) if y.requires_grad]
    my_total = [(x * mg.tensor(s)).sum() for x, s in zip(results, seeds) if x.requires_grad]
    assert len(total) == len(my_total)
    if total and not any(torch.isinf(t) for t in total):
        sum(total).backward()
        sum(my_total).backward()
        inputs = zip(
            flat_tensors([my_args, my_kwargs], mg.Tensor),
            flat_tensors([args, kwargs], torch.Tensor),
        )
        names = [name for name, _ in theirs.named_parameters()]
        pairs = [*zip(names, zip(mine.parameters(), theirs.parameters()))]
        pairs += [] if inplace else [("input", pair) for pair in inputs]
        for name, (x, y) in pairs:
            assert (x.grad is None) == (y.grad is None), f"gradient of {name}: None"
            if y.grad is not None:
                close(x.grad, y.grad, f"gradient of {name}")
    for name, buffer in theirs.named_buffers():
        close(dict(mine.named_buffers())[name], buffer, name)


def after(loss, functions):
    def call(log_probs, *rest):
        return loss(functions.log_softmax(log_probs, -1), *rest)

    call.named_parameters = call.named_buffers = call.parameters = lambda: ()
    return call


def samples(info, training):
    torch.manual_seed(0)
    return info.module_inputs_func(
        info, device="cpu", dtype=torch.float64, requires_grad=True, training=training
    )


def described(sample):
    given = sample.constructor_input
    return f"{given.args} {given.kwargs}"


MODULES = [info for info in common_modules.module_db if exists_here(info)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("info", MODULES, ids=lambda info: info.name)
def test_samples_agree(info, training):
    problems, count = [], 0
    for number, sample in enumerate(samples(info, training)):
        count += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                run_sample(info, sample, training)
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            problems.append(f"{number} {sample.desc or described(sample)}: {text}")
    if problems:
        pytest.fail(f"{len(problems)} of {count} samples:\n" + "\n".join(problems), pytrace=False)


@pytest.mark.parametrize(
    "info", [i for i in MODULES if i.module_error_inputs_func], ids=lambda info: info.name
)
def test_errors_have_pytorchs_types(info):
    for training in (True, False):
        given = info.module_error_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=False, training=training
        )
        for case in given:
            sample, name = case.module_error_input, info.name.removeprefix("nn.")
            on_forward = case.error_on is common_modules.ModuleErrorEnum.FORWARD_ERROR

            def theirs():
                arguments, forward = sample.constructor_input, sample.forward_input
                module = info.module_cls(*arguments.args, **arguments.kwargs).train(training)
                return on_forward and module.double()(*forward.args, **forward.kwargs)

            def mine():
                arguments, forward = sample.constructor_input, sample.forward_input
                module = getattr(nn, name)(
                    *converted(arguments.args), **converted(arguments.kwargs)
                )
                module.train(training)
                given = converted(forward.args), converted(forward.kwargs)
                return on_forward and module.double()(*given[0], **given[1])

            try:
                theirs()
            except case.error_type:
                with pytest.raises(case.error_type):
                    mine()
            except Exception as error:  # PyTorch's database and PyTorch differ
                with pytest.raises(type(error)):
                    mine()
