"""The plain recurrent network over a whole sequence as one op."""

from __future__ import annotations

from .cells import rnn_step
from .recurrent import Recurrent, check


class RNN(Recurrent):
    """Hidden states of a sequence, and the last one (Elman 1990): h = tanh(W x + U h + b), or relu,
    or softsign.

    inputs: xs (T, B, I), h (B, H), w_ih (H, I), w_hh (H, H), b (H)
    """

    relu = False

    def cell(self, x, fed, h, w_ih, w_hh, b):
        return (rnn_step(x @ w_ih.T + fed @ w_hh.T + b, self.relu, self.softsign),)

    def step(self, t, n, a, from_x):
        a += from_x
        if self.relu:
            self.xp.maximum(a, 0, out=a)
        else:
            self.squash(a, out=a)
        self.states[t + 1] = a

    def slopes(self, steps, out):
        y, slope = self.gates[steps], out[:, 0]
        if self.relu:
            self.xp.greater(y, 0, out=slope)
        else:
            self.squash_slope(y, out=slope)

    def step_back(self, t, slopes, d, dh):
        self.xp.multiply(slopes[0], dh, out=d)

    def other_gradients(self, da):
        return (da.sum(axis=1),)


def rnn(xs, h, w_ih, w_hh, b, **options):
    """One layer in one direction: see `RNN` for the shapes, and `Recurrent` for the options. Raises
    RuntimeError for shapes that do not fit and ValueError for different dtypes.
    """
    (_, B, I), H = xs.shape, h.shape[1]
    check("rnn", xs, {"h": (B, H), "w_ih": (H, I), "w_hh": (H, H), "b": (H,)}, (h, w_ih, w_hh, b))
    return RNN(**options)(xs, h, w_ih, w_hh, b)
