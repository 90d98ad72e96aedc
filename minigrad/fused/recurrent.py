"""What the ops over whole sequences have in common: the order of time, the mask, the products with
the inputs.
"""

from __future__ import annotations

from .. import ops
from ..backend import backend_of
from ..op import raw
from .base import Fused


class Recurrent(Fused):
    """One recurrent layer in one direction.

    - inputs: xs (T, B, I), the state, each part (B, H), then the weights
    - outputs: hs (T, B, H), the first part of the state after each step, and the last state
    - `reverse` runs from the last step to the first. Inputs and outputs are turned round at the
      border; in between there is one order, that of the steps
    - `active` (T, B), bool, on the host, or None: where it is false the state stays as it was and
      the output is zero, so that both directions begin and end at real tokens

    Inside, arrays are feature-major: gates × time × batch. The recurrent product `U @ h` with the
    batch last is 1.1 to 1.5 times faster in OpenBLAS than `h @ Uᵀ` (benchmarks/products.py), and
    each gate is one contiguous block.

    A subclass says in `parts` how many parts its state has and gives `cell`, one step in
    primitives, beside `forward` and `backward`.
    """

    parts = 1

    def cell(self, x, *state_and_weights):
        """The state after one step, a tuple."""
        raise NotImplementedError

    def compose(self, xs, *inputs):
        state, weights = inputs[: self.parts], inputs[self.parts :]
        steps = range(len(xs))
        hs = [None] * len(xs)
        if self.active is not None:
            active = backend_of(raw(xs)).upload(self.active)
            xs = ops.where(active[:, :, None], xs, 0.0)  # NaN in the padding stays there
        for t in reversed(steps) if self.reverse else steps:
            new = self.cell(xs[t], *state, *weights)
            if self.active is None:
                state, hs[t] = new, new[0]
            else:
                on = active[t][:, None]
                state = [ops.where(on, after, before) for after, before in zip(new, state)]
                hs[t] = ops.where(on, new[0], 0.0)
        return ops.stack(hs), *state

    def turned(self, x):
        """An array with time first, from the order of time to that of the steps, or back."""
        return x[::-1] if self.reverse else x

    def place_mask(self, T: int) -> None:
        """`mask`, the active steps on the device, and in `idle` for each step the columns that must
        not move, or None: most steps have none.
        """
        self.mask, self.idle = None, [None] * T
        if self.active is not None and not self.active.all():
            active = self.turned(self.active).copy()
            self.mask = self.backend.upload(active)
            full = active.all(axis=1).tolist()
            self.idle = [None if f else ~on for f, on in zip(full, self.mask)]

    def rows(self, xs):
        """The inputs of all steps, (TB, I), with zeros where nothing is active: 0 × NaN of a padded
        row would spoil the weight gradients.
        """
        T, B, I = xs.shape
        xs = self.turned(xs)
        if self.mask is not None:
            xs = self.xp.where(self.mask[:, :, None], xs, 0)
        return xs.reshape(T * B, I)

    def from_inputs(self, w, b, xs):
        """The inputs' part of all gates of all steps in one product, (G, T, B)."""
        y = (w @ self.rows(xs).T).reshape(len(w), *xs.shape[:2])
        y += b[:, None, None]
        return y

    def outputs(self, states):
        """hs (T, B, H) from the state after each step, (T, H, B)."""
        hs = self.turned(states).transpose(0, 2, 1).copy()  # never a view, even of sizes of 1
        if self.mask is not None:
            self.xp.copyto(hs, 0, where=~self.turned(self.mask)[:, :, None])
        return hs

    def incoming(self, g_hs):
        """The outputs' gradient, for each step (T, H, B), zero where nothing is active."""
        g = self.turned(g_hs).transpose(0, 2, 1)
        return g if self.mask is None else self.xp.where(self.mask[:, None, :], g, 0)

    def input_gradients(self, da, xs, w_ih, at_w):
        """Those of xs and of w_ih, which is input number `at_w`, from that of the gates' inputs
        (G, TB).
        """
        d_xs = d_w = None
        if self.needs[0]:
            d_xs = self.turned((da.T @ w_ih).reshape(xs.shape))
        if self.needs[at_w]:
            d_w = da @ self.rows(xs)
        return d_xs if d_xs is None else self.xp.ascontiguousarray(d_xs), d_w

    def hidden_gradient(self, da, states, at_w):
        """That of w_hh, which is input number `at_w`: the step t began with states[t]."""
        if not self.needs[at_w]:
            return None
        T, H, B = len(states) - 1, *states.shape[1:]
        return da @ states[:T].transpose(0, 2, 1).reshape(T * B, H)


def check(name: str, xs, expected: dict, given: tuple) -> None:
    """RuntimeError for shapes that do not fit, ValueError for different dtypes."""
    for (what, shape), x in zip(expected.items(), given):
        if tuple(x.shape) != shape:
            raise RuntimeError(
                f"{name}: {what} has shape {tuple(x.shape)}, expected {shape} "
                f"for xs of {tuple(xs.shape)}"
            )
        if x.dtype != xs.dtype:
            raise ValueError(f"{name}: {what} is {x.dtype}, xs is {xs.dtype}; convert one of them")
    if not xs.shape[0]:
        raise RuntimeError(f"{name}: a sequence of length 0; expected at least one step")
