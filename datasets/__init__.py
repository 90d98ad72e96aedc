"""Corpora made by the project, readers for users' files, vocabulary and batches. Knows NumPy, not
minigrad.
"""

from .batching import Batch, bucketed_batches, sorted_batches
from .text import BOS, EOS, PAD, UNK, Vocabulary, detokenize, tokenize
