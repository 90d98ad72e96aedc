"""What nn leaves out, and what there is instead."""

from __future__ import annotations

import re

INSTEAD = {
    r"(Lazy)?(Conv|MaxPool|AvgPool|LPPool|BatchNorm|InstanceNorm|AdaptiveAvgPool|AdaptiveMaxPool"
    r"|ConvTranspose|ReflectionPad|ReplicationPad|ZeroPad|ConstantPad|CircularPad)[23]d": (
        "2-D and 3-D layers are out of scope; in one dimension there are Conv1d, ConvTranspose1d, "
        "MaxPool1d, AvgPool1d, BatchNorm1d, InstanceNorm1d and paddings"
    ),
    r"Lazy\w+": "lazy layers are out of scope; give the sizes: Linear, Conv1d, BatchNorm1d",
    r"Softmax2d|Dropout3d|Pixel\w+|Upsampling\w+|Fold|Unfold|Fractional\w+|MaxUnpool\w+|"
    r"ChannelShuffle|LocalResponseNorm\w+": (
        "layers for images are out of scope; there are Softmax(dim=1), Dropout1d, Upsample"
    ),
    r"DistributedDataParallel|SyncBatchNorm": (
        "minigrad runs on one device; use the module as it is, and BatchNorm1d"
    ),
    r"quantized|qat|quantizable|intrinsic": "quantised layers are out of scope; use Linear, LSTM",
}


def out_of_scope(name: str) -> AttributeError:
    """The error for a name that nn does not have."""
    for pattern, reason in INSTEAD.items():
        if re.fullmatch(pattern, name):
            return AttributeError(f"minigrad.nn.{name}: {reason}")
    return AttributeError(f"module 'minigrad.nn' has no attribute {name!r}")


def function_out_of_scope(name: str) -> AttributeError:
    """The error for a name that nn.functional does not have."""
    if re.search(r"[23]d|pixel|grid|fold|channel_shuffle|upsample_", name):
        return AttributeError(
            f"minigrad.nn.functional.{name}: images are out of scope; in one dimension there are "
            "conv1d, conv_transpose1d, max_pool1d, avg_pool1d, interpolate and pad"
        )
    return AttributeError(f"module 'minigrad.nn.functional' has no attribute {name!r}")
