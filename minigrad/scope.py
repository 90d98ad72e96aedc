"""What PyTorch has and minigrad leaves out: asked for, it says so and names what there is."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from .tensor import Tensor

COMPLEX = "complex numbers are not supported: keep the real and the imaginary part in two tensors"
SPARSE = (
    "there are no sparse tensors but the gradients of embeddings with sparse=True: index_add, "
    "scatter_add and embedding cover most of their uses"
)
QUANTISED = "there are no quantised tensors: use float16"
COMPILER = (
    "there is no compiler and no graph export: models run as they are written; "
    "minigrad.save and safetensors store their state"
)
BFLOAT16 = "NumPy has no bfloat16: use float16 or float32"
UNSIGNED = "of the unsigned integers there is uint8: use int32 or int64"
DISTRIBUTED = "there is no distributed training: DataLoader(num_workers=...) uses worker processes"
FUNC = (
    "there are no function transforms: minigrad.autograd.functional has jacobian, hessian, jvp, "
    "vjp and hvp, minigrad.func has functional_call"
)
SIGNALS = "there are no signal transforms: compute them in NumPy"
IMAGES = "images are out of scope: there are 1-D convolutions in minigrad.nn"
PROFILER = "there is no profiler: Python's cProfile shows where the time goes"
HUB = "nothing is downloaded: load a state dict with minigrad.load"
REMOVED = "PyTorch removed it too: minigrad.linalg has eigh, solve, lstsq and matrix_rank"
OTHER_DEVICES = "the devices are 'cpu' and 'cuda'"

# names of `minigrad`
NAMES = {
    COMPLEX: """complex32 complex64 complex128 chalf cfloat cdouble polar view_as_real
        view_as_complex imag""",
    SPARSE: """sparse_coo sparse_csr sparse_coo_tensor sparse_csr_tensor sparse_csc_tensor
        sparse_bsr_tensor sparse_compressed_tensor smm sspaddmm hspmm spmm dsmm saddmm""",
    QUANTISED: "qint8 quint8 qint32 quantize_per_tensor quantize_per_channel dequantize",
    COMPILER: "compile export _dynamo",
    BFLOAT16: "bfloat16 BFloat16Tensor",
    UNSIGNED: "uint16 uint32 uint64",
    FUNC: "vmap",
    SIGNALS: "stft istft hann_window hamming_window blackman_window bartlett_window kaiser_window",
    IMAGES: """conv2d conv3d conv_transpose2d conv_transpose3d max_pool2d max_pool3d channels_last
        channels_last_3d pixel_shuffle pixel_unshuffle grid_sampler channel_shuffle""",
    REMOVED: "eig symeig solve lstsq",
}
# methods of Tensor
METHODS = {
    COMPLEX: "cfloat cdouble chalf",
    SPARSE: """to_sparse to_sparse_coo to_sparse_csr to_sparse_csc to_sparse_bsr to_sparse_bsc
        coalesce indices values crow_indices col_indices sparse_dim dense_dim sparse_mask
        sparse_resize_ smm sspaddmm""",
    QUANTISED: "dequantize int_repr q_scale q_zero_point qscheme",
    BFLOAT16: "bfloat16",
    SIGNALS: "stft istft",
    REMOVED: "eig symeig solve lstsq",
    OTHER_DEVICES: "xpu ipu mtia to_mkldnn",
}
# modules: they can be imported, and answer no to all questions; the rest of them refuses
MODULES = {
    COMPLEX: "fft",
    SPARSE: "sparse",
    QUANTISED: "quantization ao",
    COMPILER: "jit fx onnx compiler",
    DISTRIBUTED: "distributed multiprocessing",
    SIGNALS: "signal",
    PROFILER: "profiler",
    HUB: "hub",
}


def listed(table: dict[str, str]) -> dict[str, str]:
    """The reason for each name of a table."""
    return {name: reason for reason, names in table.items() for name in names.split()}


_REASONS = listed(NAMES)


def out_of_scope(name: str) -> AttributeError:
    """The error for a name that minigrad does not have."""
    reason = _REASONS.get(name)
    return AttributeError(
        f"module 'minigrad' has no attribute {name!r}" + (f": {reason}" if reason else "")
    )


def _refusing(what: str, reason: str) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{what}: {reason}")

    refuse.__name__, refuse.__doc__ = what.split(".")[-1], reason
    return refuse


class _Absent(ModuleType):
    """A module that a program may import and must not use."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        what = f"{self.__name__}.{name}"
        if name.startswith("is_"):  # is_available, is_initialized, is_scripting
            return lambda *args: False
        # a class can be called, be a decorator, a base class, and asked for by isinstance
        return type(name, (), {"__new__": _refusing(what, self.__doc__)})


for _name, _reason in listed(METHODS).items():
    setattr(Tensor, _name, _refusing(f"Tensor.{_name}", _reason))
for _name, _reason in listed(MODULES).items():
    sys.modules[f"{__package__}.{_name}"] = _Absent(f"{__package__}.{_name}", _reason)
modules = {name: sys.modules[f"{__package__}.{name}"] for name in listed(MODULES)}
