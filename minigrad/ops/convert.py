"""The same values in another dtype, another memory, or a copy of their own."""

from __future__ import annotations

import numpy as np

from ..backend import backend_for
from ..op import Op


class Cast(Op):
    """The same values in another dtype."""

    def forward(self, x):
        return x.astype(self.dtype)

    def backward(self, g, _y, _x):
        return g  # the engine casts every gradient to the dtype of its input


class Clone(Op):
    """A copy."""

    def forward(self, x):
        return x.copy()

    def backward(self, g, _y, _x):
        return g


class ToDevice(Op):
    """The same values in another device's memory."""

    def forward(self, x):
        self.origin = self.backend
        self.backend, self.xp = self.target, self.target.xp  # the output belongs to the target
        return self.target.upload(self.origin.download(x))

    def backward(self, g, _y, _x):
        return ToDevice(target=self.origin)(g)


def cast(x, dtype):
    return Cast(dtype=np.dtype(dtype))(x)


def clone(x):
    return Clone()(x)


def to_device(x, device):
    return ToDevice(target=backend_for(device))(x)
