"""PyTorch's addresses: `import minigrad.backends.cudnn as cudnn` finds what lives under another name
here.
"""

from __future__ import annotations

import sys

from . import amp, autograd, backends, cuda, diagnostics, modes, nn, random, testing

ADDRESSES = {
    "autograd.anomaly_mode": diagnostics,
    "autograd.grad_mode": modes,
    "autograd.gradcheck": testing,
    "autograd.variable": autograd,
    "backends.cuda": backends.cuda,
    "backends.cudnn": backends.cudnn,
    "backends.mps": backends.mps,
    "cuda.amp": cuda.amp,
    "cuda.random": random,
    "nn.parallel": nn.parallel,
    "nn.utils.clip_grad": nn.utils.clip,
    "nn.utils.convert_parameters": nn.utils.convert,
}
