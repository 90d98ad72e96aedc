"""What PyTorch has and minigrad leaves out: asked for, it says so and names what there is."""

from __future__ import annotations

OUT_OF_SCOPE = {
    "complex64 complex128 cfloat cdouble complex polar view_as_real view_as_complex real imag fft": (
        "complex numbers are not supported: keep the real and the imaginary part in two tensors"
    ),
    "sparse sparse_coo sparse_coo_tensor sparse_csr_tensor strided_sparse": (
        "there are no sparse tensors: index_add, scatter_add and embedding cover most of their uses"
    ),
    "qint8 quint8 quantization ao quantize_per_tensor": "there are no quantised tensors: use float16",
    "jit compile fx onnx export _dynamo": (
        "there is no compiler and no graph export: models run as they are written; "
        "minigrad.save and safetensors store their state"
    ),
    "bfloat16": "NumPy has no bfloat16: use float16 or float32",
    "multiprocessing distributed": (
        "there is no distributed training: DataLoader(num_workers=...) uses worker processes"
    ),
    "func vmap": (
        "there are no function transforms: minigrad.autograd.functional has jacobian, hessian, jvp, "
        "vjp and hvp"
    ),
    "amp autocast": "there is no mixed precision: convert with .half() or .float()",
    "hub": "nothing is downloaded: load a state dict with minigrad.load",
    "stft istft hann_window hamming_window": "there are no signal transforms: compute them in NumPy",
    "conv2d conv3d max_pool2d": "images are out of scope: there are 1-D convolutions in minigrad.nn",
}
_REASONS = {name: reason for names, reason in OUT_OF_SCOPE.items() for name in names.split()}


def out_of_scope(name: str) -> AttributeError:
    """The error for a name that minigrad does not have."""
    reason = _REASONS.get(name)
    return AttributeError(
        f"module 'minigrad' has no attribute {name!r}" + (f": {reason}" if reason else "")
    )
