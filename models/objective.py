"""What training minimises, and its gradient by truncated backpropagation through time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import minigrad as mg
from datasets import PAD, Batch
from minigrad import Tensor
from minigrad.nn import functional as F

from .seq2seq import Seq2Seq


def token_losses(logits: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """Negative log-likelihoods (T, B) of the target tokens; 0 at padding.

    With `smoothing` a share of the truth is spread over all types but padding (Szegedy et al.
    2016).
    """
    T, B, V = logits.shape
    more, scale = {}, 1.0
    if smoothing:
        # cross_entropy spreads over V types; without padding it is V - 1, each with more
        spread = smoothing * V / (V - 1)
        scale = 1 - smoothing + spread
        weight = mg.ones(V, dtype=logits.dtype, device=logits.device)
        weight[PAD] = 0
        more = {"label_smoothing": spread / scale, "weight": weight}
    flat = logits.reshape(T * B, V), target.reshape(T * B)
    losses = F.cross_entropy(*flat, ignore_index=PAD, reduction="none", **more)
    losses = losses.reshape(T, B)
    return losses * scale if smoothing else losses


@dataclass(frozen=True)
class Objective:
    """The loss per real target token, and how far its gradient reaches back.

    - `window`: the decoder's graph ends after so many target steps, None: never. The state passes
      on by value, so memory is bounded by the window (Williams & Peng 1990; Sutskever 2013);
      `encoder_window` is the same for the source
    - `smoothing` of the labels
    - `coverage`: the weight of what was attended to again (See et al. 2017)
    """

    window: int | None = None
    encoder_window: int | None = None
    smoothing: float = 0.0
    coverage: float = 1.0

    def backward(
        self,
        model: Seq2Seq,
        batch: Batch,
        own: np.ndarray | None = None,
        tokens: int | None = None,
    ) -> Tensor:
        """Add the gradient to the parameters'; returns the loss, for which a GPU is not waited.

        `own` (T, B), bool, says where the decoder hears its own last token. `tokens` is what sums
        are divided by where several batches make one step, the batch's own count otherwise. A
        window of the target's length or more gives the gradient of full backpropagation: the source
        is encoded once and receives the gradients of all windows together.
        """
        tokens = tokens or batch.target_tokens
        # all that is uploaded
        device, source = model.device, model.encoder.source(batch)
        target_in = mg.as_tensor(batch.target_in, device=device)
        target_out = mg.as_tensor(batch.target_out, device=device)
        own = None if own is None else mg.as_tensor(own, device=device)
        memory, pairs = model.encode(source, self.encoder_window).cut()
        state, total = memory.start, 0.0
        T = len(batch.target_in)
        window = self.window or T
        for start in range(0, T, window):
            steps = slice(start, start + window)
            here = None if own is None else own[steps]
            decoded = model.decoder(target_in[steps], state, memory, here)
            loss = token_losses(decoded.logits, target_out[steps], self.smoothing).sum()
            if decoded.overlap is not None and self.coverage:
                again = (decoded.overlap * (target_out[steps] != PAD)).sum()
                loss = loss + self.coverage * again
            loss = loss / tokens
            loss.backward()
            total = total + loss.detach()
            state = decoded.state.detached()
        # one walk back through the encoder, with everything that arrived at its outputs
        arrived = [(x, leaf.grad) for x, leaf in pairs if leaf.grad is not None]
        mg.autograd.backward([x for x, _ in arrived], [g for _, g in arrived])
        return total
