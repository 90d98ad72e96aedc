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
    r"(Distributed)?DataParallel|parallel|SyncBatchNorm": (
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
