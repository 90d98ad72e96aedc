"""Corpora made by the project, readers for users' files, tokenizers and batches. Knows NumPy, not
minigrad.
"""

from .batching import Batch, Batches, bucketed_batches, epoch_batches, sorted_batches
from .files import CorpusError
from .text import BOS, EOS, PAD, SPECIALS, UNK, detokenize, tokenize
from .tokenizers import KINDS, Tokenizer, Vocabulary, build_tokenizer, load_tokenizer
