"""The plain recurrent network over a whole sequence as one op."""

from __future__ import annotations

from .cells import rnn_step
from .recurrent import Recurrent, check


class RNN(Recurrent):
    """Hidden states of a sequence, and the last one (Elman 1990): h = tanh(W x + U h + b), or relu.

    inputs: xs (T, B, I), h (B, H), w_ih (H, I), w_hh (H, H), b (H)
    """

    def cell(self, x, h, w_ih, w_hh, b):
        return (rnn_step(x @ w_ih.T + h @ w_hh.T + b, self.relu),)

    def forward(self, xs, h, w_ih, w_hh, b):
        xp, (T, B, _), H = self.xp, xs.shape, h.shape[1]
        self.place_mask(T)
        from_x = self.from_inputs(w_ih, b, xs)
        states = xp.empty((T + 1, H, B), xs.dtype)
        states[0] = h.T
        for t in range(T):
            h, h_new = states[t], states[t + 1]
            xp.matmul(w_hh, h, out=h_new)
            h_new += from_x[:, t]
            if self.relu:
                xp.maximum(h_new, 0, out=h_new)
            else:
                xp.tanh(h_new, out=h_new)
            if self.idle[t] is not None:
                xp.copyto(h_new, h, where=self.idle[t])
        self.states = states if self.recorded else None
        return self.outputs(states[1:]), states[T].T.copy()

    def backward(self, gs, _ys, xs, h, w_ih, w_hh, b):
        xp, (T, B, _) = self.xp, xs.shape
        after, H = self.states[1:], self.states.shape[1]
        slopes = (after > 0).astype(xs.dtype) if self.relu else 1 - after * after
        if self.mask is not None:
            xp.copyto(slopes, 0, where=~self.mask[:, None, :])
        g_hs, dh = self.incoming(gs[0]), gs[1].T.copy()
        da = xp.empty((H, T, B), xs.dtype)
        w_back = w_hh.T
        for t in range(T - 1, -1, -1):
            idle = self.idle[t]
            passed = None if idle is None else xp.where(idle, dh, 0)
            dh += g_hs[t]
            xp.multiply(slopes[t], dh, out=da[:, t])
            xp.matmul(w_back, da[:, t], out=dh)
            if idle is not None:
                dh += passed
        da = da.reshape(H, T * B)
        d_xs, d_w_ih = self.input_gradients(da, xs, w_ih, 2)
        return d_xs, dh.T, d_w_ih, self.hidden_gradient(da, self.states, 3), da.sum(axis=1)


def rnn(xs, h, w_ih, w_hh, b, *, relu=False, active=None, reverse=False):
    """One layer in one direction: see `RNN` for the shapes. Raises RuntimeError for shapes that do
    not fit and ValueError for different dtypes.
    """
    (_, B, I), H = xs.shape, h.shape[1]
    check("rnn", xs, {"h": (B, H), "w_ih": (H, I), "w_hh": (H, H), "b": (H,)}, (h, w_ih, w_hh, b))
    return RNN(relu=relu, active=active, reverse=reverse)(xs, h, w_ih, w_hh, b)
