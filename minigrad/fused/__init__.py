"""Ops with a hand-written backward on raw arrays, each with its meaning in primitives."""

from .additive import additive_scores
from .cells import gru_cell, lstm_cell, rnn_cell
from .cross_entropy import cross_entropy
from .gru import gru
from .lstm import lstm
from .rnn import rnn
