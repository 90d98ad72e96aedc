"""How good a translator is on sentence pairs it has not seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import minigrad as mg
from datasets import PAD, sorted_batches

from .objective import token_losses
from .translator import Translator

Pairs = Sequence[tuple[str, str]]


def teacher_forced(translator: Translator, pairs: Pairs, batch_size: int) -> dict[str, float]:
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


def exact_match(
    translations: Sequence[str], references: Sequence[str], lowercase: bool = False
) -> float:
    """The share of translations equal to their reference, in lower case if told so."""
    if lowercase:
        references = [reference.lower() for reference in references]
    return sum(a == b for a, b in zip(translations, references)) / len(references)


def corpus_bleu(
    translations: Sequence[str], references: Sequence[str], lowercase: bool = False
) -> float:
    """sacrebleu's BLEU, 0 to 100, on detokenized text, without regard to case if told so."""
    return bleu_of(references, lowercase).corpus_score(translations, [references]).score


def bleu_of(references: Sequence[str], lowercase: bool) -> Any:
    """The metric: characters are the words of Chinese, which has no spaces."""
    import sacrebleu

    chinese = sum("\u4e00" <= c <= "\u9fff" for text in references for c in text)
    letters = sum(c.isalpha() for text in references for c in text)
    return sacrebleu.metrics.BLEU(
        lowercase=lowercase, tokenize="zh" if 2 * chinese > letters else "13a"
    )


def evaluate(
    translator: Translator, pairs: Pairs, batch_size: int, **search: Any
) -> tuple[dict[str, Any], list[str]]:
    """All measures of a split, and the translations; `search` is what `Translator.search` takes.

    bleu and chrf (0 to 100) are sacrebleu's, of the whole split, on detokenized text; signature is
    how it computed BLEU. A translator of lower case is measured in lower case. Of an ensemble,
    loss, perplexity and token accuracy are those of the first model.
    """
    import sacrebleu

    translations = translator.translate([source for source, _ in pairs], batch_size, **search)
    references, lowercase = [target for _, target in pairs], translator.target.lowercase
    scores: dict[str, Any] = teacher_forced(translator, pairs, batch_size)
    scores["exact_match"] = exact_match(translations, references, lowercase)
    bleu = bleu_of(references, lowercase)
    scores["bleu"] = bleu.corpus_score(translations, [references]).score
    scores["bleu_signature"] = str(bleu.get_signature())
    chrf = sacrebleu.metrics.CHRF(lowercase=lowercase)
    scores["chrf"] = chrf.corpus_score(translations, [references]).score
    scores["sentences"] = len(pairs)
    return scores, translations
