"""PyTorch's addresses of what lives elsewhere here: so `import minigrad.backends.cudnn as cudnn`
and `minigrad.autograd.detect_anomaly` are found.
"""

from __future__ import annotations

import sys
from typing import Any

from . import autograd, backends, cuda, diagnostics, modes, nn, random
from .nn.utils import clip, convert

MODULES: dict[str, Any] = {
    "autograd.anomaly_mode": diagnostics,
    "autograd.grad_mode": modes,
    "backends.cuda": backends.cuda,
    "backends.cudnn": backends.cudnn,
    "backends.mkl": backends.mkl,
    "backends.mkldnn": backends.mkldnn,
    "backends.mps": backends.mps,
    "cuda.random": random,
    "nn.parallel.data_parallel": nn.parallel,
    "nn.utils.clip_grad": clip,
    "nn.utils.convert_parameters": convert,
}
# by the name's home, what stands to the right of it in the order of the imports
NAMES = {
    autograd: {
        "detect_anomaly": diagnostics.detect_anomaly,
        "set_detect_anomaly": diagnostics.set_detect_anomaly,
    },
    cuda: {"random": random},
    nn.utils: {"clip_grad": clip, "convert_parameters": convert},
}

for _name, _module in MODULES.items():
    sys.modules[f"{__package__}.{_name}"] = _module
for _home, _names in NAMES.items():
    vars(_home).update(_names)
