"""How good a translator is on sentence pairs it has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import minigrad as mg
from datasets import PAD, sorted_batches

from .seq2seq import token_losses
from .translator import Translator


def teacher_forced(
    translator: Translator, pairs: Sequence[tuple[str, str]], batch_size: int
) -> dict[str, float]:
    """Loss, perplexity and token accuracy with the true tokens as context.

    loss is the mean negative log-likelihood, in nats, of all real target tokens, </s> included;
    perplexity its exp.
    """
    model = translator.model.eval()
    total, correct, tokens = 0.0, 0, 0
    with mg.no_grad():
        for _, batch in sorted_batches([translator.example(*pair) for pair in pairs], batch_size):
            logits = model(batch)  # (T, B, V)
            target = mg.as_tensor(batch.target_out, device=model.device)
            total += float(token_losses(logits, target).to(dtype="float64").sum())
            correct += int(((logits.argmax(2) == target) & (target != PAD)).sum())
            tokens += batch.target_tokens
    loss = total / tokens
    return {
        "loss": loss,
        "perplexity": math.exp(min(loss, 700)),
        "token_accuracy": correct / tokens,
    }


def evaluate(
    translator: Translator, pairs: Sequence[tuple[str, str]], batch_size: int
) -> tuple[dict[str, Any], list[str]]:
    """All measures of a split, and the translations.

    exact_match is the share of translations equal to the reference; bleu and chrf (0 to 100) are
    sacrebleu's, of the whole split, on detokenized text.
    """
    import sacrebleu

    translations = translator.translate([source for source, _ in pairs], batch_size)
    references = [target for _, target in pairs]
    scores: dict[str, Any] = teacher_forced(translator, pairs, batch_size)
    scores["exact_match"] = sum(a == b for a, b in zip(translations, references)) / len(pairs)
    bleu, chrf = sacrebleu.metrics.BLEU(), sacrebleu.metrics.CHRF()
    scores["bleu"] = bleu.corpus_score(translations, [references]).score
    scores["chrf"] = chrf.corpus_score(translations, [references]).score
    scores["sentences"] = len(pairs)
    return scores, translations
