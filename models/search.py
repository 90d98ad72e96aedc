"""Search: from the decoder's distributions to a translation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import minigrad as mg
from datasets import BOS, EOS, PAD, Batch

from .seq2seq import Seq2Seq


def greedy_search(model: Seq2Seq, batch: Batch, max_length: int | Sequence[int]) -> list[list[int]]:
    """The most probable token at every step, for all sentences at once, until each has said </s>.

    Returns token numbers without <s> and </s>, at most `max_length` of them, one number or one for
    each sentence. A finished sentence says only padding, so neither what the others go on to say
    nor for how long can change it. Only the source of the batch is read.
    """
    with mg.no_grad():
        memory = model.encode(batch)
        B = len(batch)
        limits = np.broadcast_to(max_length, B)
        state, token = memory.state, np.full((1, B), BOS)
        finished = np.zeros(B, bool)
        said = []
        for step in range(limits.max(initial=0)):
            heard = mg.as_tensor(token, device=model.device)
            logits, state = model.decoder(heard, state, memory)  # (1, B, V)
            token = logits.argmax(2).to_numpy()
            finished |= step >= limits
            token[0, finished] = PAD
            said.append(token[0])
            finished |= token[0] == EOS
            if finished.all():
                break
    columns = np.array(said).T.tolist() if said else [[] for _ in range(B)]
    return [[n for n in column if n not in (EOS, PAD)] for column in columns]
