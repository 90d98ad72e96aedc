"""A trained model with its tokenizers: a run directory that translates by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datasets import UNK, Tokenizer, load_tokenizer, sorted_batches
from minigrad.serialization import load_file, replacing, save_file, write_text

from .options import ModelOptions, OptionError
from .search import Search, forced, search
from .seq2seq import Seq2Seq

FORMAT = 2  # of the run directory; another one is refused with a sentence


class RunError(ValueError):
    """A run directory that is missing, damaged, or written by something else."""


class Translation(NamedTuple):
    text: str
    source: list[str]  # pieces, </s> last
    target: list[str]  # pieces, </s> last
    score: float  # what the search ranks by
    log_probability: float  # natural logarithm, </s> included
    weights: np.ndarray | None  # attention (target, source), where it was asked for


class Translator:
    """Text in, text out. `max_source` tokens of a sentence are read, the rest is not.

    Several `models` of the same tokenizers translate together: the mean of their probabilities.
    """

    def __init__(
        self, models: Sequence[Seq2Seq], source: Tokenizer, target: Tokenizer, max_source: int
    ):
        self.models, self.source, self.target = list(models), source, target
        self.max_source = max_source

    @classmethod
    def new(
        cls, source: Tokenizer, target: Tokenizer, options: ModelOptions, max_source: int
    ) -> Translator:
        """With fresh weights, drawn from minigrad's default generator."""
        return cls([Seq2Seq(len(source), len(target), options)], source, target, max_source)

    @property
    def model(self) -> Seq2Seq:
        return self.models[0]

    def example(self, source: str, target: str = "") -> tuple[list[int], list[int]]:
        """A sentence pair as token numbers, the source cut to `max_source`."""
        return self.source.encode(source)[: self.max_source], self.target.encode(target)

    def too_long(self, sentence: str) -> bool:
        """Whether a sentence has more tokens than are read."""
        return len(self.source.encode(sentence)) > self.max_source

    def translate(self, sentences: Sequence[str], batch_size: int = 64, **more: Any) -> list[str]:
        """One translation a sentence, in order; an empty sentence stays empty. See `search`."""
        return [best[0].text for best in self.search(sentences, batch_size, **more)]

    def search(
        self,
        sentences: Sequence[str],
        batch_size: int = 64,
        how: Search = Search(),  # noqa: B008
        max_length: int | None = None,
        attention: bool = False,
        replace_unknown: bool = False,
        dictionary: Mapping[str, str] | None = None,
    ) -> list[list[Translation]]:
        """The best translations of each sentence, best first, of at most `max_length` tokens, by
        default twice the source's and ten.

        With `replace_unknown`, a word that the model does not know is the source word it looked at
        (Luong et al. 2015), in the words of the `dictionary` where it has an entry.
        """
        found: list[list[Translation]] = [[Translation("", [], [], 0.0, 0.0, None)]] * len(
            sentences
        )
        examples = [self.example(sentence) for sentence in sentences]
        filled = [n for n, (source, _) in enumerate(examples) if source]
        for model in self.models:
            model.eval()
        for positions, batch in sorted_batches([examples[n] for n in filled], batch_size):
            # no sentence of the corpora needs more
            limits = max_length or 2 * batch.source_lengths + 10
            some = search(self.models, batch, limits, how, attention or replace_unknown)
            for position, hypotheses in zip(positions, some):
                n = filled[position]
                source = [*self.source.pieces(sentences[n])[: self.max_source], "</s>"]
                found[n] = []
                for ids, score, log_probability, weights in hypotheses:
                    pieces = [self.target.tokens[i] for i in ids]
                    if replace_unknown and weights is not None:
                        for t in np.flatnonzero(np.array(ids) == UNK):
                            word = source[weights[t, : len(source) - 1].argmax()]
                            word = self.source.decode_pieces([word])
                            pieces[t] = (dictionary or {}).get(word, word)
                    text = self.target.decode_pieces(pieces)
                    pieces.append("</s>")
                    found[n].append(
                        Translation(text, source, pieces, score, log_probability, weights)
                    )
        return found

    def score(self, pairs: Sequence[tuple[str, str]], batch_size: int = 64) -> list[Translation]:
        """Given translations, as the models see them: their log-probabilities and attention."""
        scored: list[Any] = [None] * len(pairs)
        for model in self.models:
            model.eval()
        for positions, batch in sorted_batches([self.example(*pair) for pair in pairs], batch_size):
            log_p, weights = forced(self.models, batch)
            for column, n in enumerate(positions):
                source = [*self.source.pieces(pairs[n][0])[: self.max_source], "</s>"]
                target = [*self.target.pieces(pairs[n][1]), "</s>"]
                total = float(log_p[:, column].sum())
                looks = None
                if weights is not None:
                    looks = weights[column, : len(target), : len(source)]
                scored[n] = Translation(pairs[n][1], source, target, total, total, looks)
        return scored

    # the run directory

    def save_description(self, run: Path) -> None:
        """Everything but the weights."""
        joint = self.source is self.target
        about = {"format": FORMAT, "max_source": self.max_source, "joint": joint}
        write_text(
            run / "model.json",
            json.dumps(about | {"options": asdict(self.model.options)}, indent=1) + "\n",
        )
        for name, tokenizer in self.tokenizers(joint):
            with replacing(run / f"{name}.json") as beside:
                beside.write_bytes(tokenizer.to_bytes())

    def tokenizers(self, joint: bool) -> Iterator[tuple[str, Tokenizer]]:
        yield ("joint_tokenizer" if joint else "source_tokenizer"), self.source
        if not joint:
            yield "target_tokenizer", self.target

    def save_weights(self, path: Path) -> None:
        save_file(self.model.state_dict(), path)

    def load_weights(self, path: Path) -> None:
        """Raises RunError for a file that is missing, damaged, or of another model."""
        try:
            self.model.load_state_dict(load_file(path))
        except FileNotFoundError:
            raise RunError(
                f"{path} is missing: the run was stopped before its first checkpoint"
            ) from None
        except (ValueError, RuntimeError, OSError) as error:
            raise RunError(f"cannot load {path}: {' '.join(str(error).split())}") from error

    @classmethod
    def described(cls, run: str | Path) -> Translator:
        """The model of a run with fresh weights. Raises RunError, saying which file and why."""
        run = Path(run)
        if not (run / "model.json").is_file():
            raise RunError(
                f"{run} is no run directory (it has no model.json): train one with train_seq2seq.py"
            )
        about = read_json(run / "model.json")
        if about.get("format") != FORMAT:
            raise RunError(
                f"{run} has format {about.get('format')}, this program reads format {FORMAT}: "
                "translate with the version that trained it, or train again"
            )
        try:
            joint, max_source = about["joint"], about["max_source"]
            names = ["joint_tokenizer"] * 2 if joint else ["source_tokenizer", "target_tokenizer"]
            options = ModelOptions.of(about["options"])
            if type(joint) is not bool or type(max_source) is not int or max_source < 1:
                raise ValueError(f"joint is {joint!r}, max_source is {max_source!r}")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise RunError(f"{run / 'model.json'} is damaged: {error!r}") from error
        source = read_tokenizer(run / f"{names[0]}.json")
        target = source if joint else read_tokenizer(run / f"{names[1]}.json")
        try:
            return cls.new(source, target, options, max_source)
        except OptionError as error:
            raise RunError(f"{run} is damaged: {error}") from error

    @classmethod
    def load(cls, *runs: str | Path, device: str = "cpu") -> Translator:
        """The best model of a run, or of several that translate together. Raises RunError."""
        translator = None
        for run in runs:
            one = cls.described(run)
            one.load_weights(Path(run) / "model.safetensors")
            one.model.to(device=device)
            if translator is None:
                translator = one
                continue
            if one.source != translator.source or one.target != translator.target:
                raise RunError(
                    f"{run} has other tokenizers than {runs[0]}: an ensemble needs the same ones; "
                    "train its runs on the same data with other --seed numbers"
                )
            translator.models += one.models
            translator.max_source = min(translator.max_source, one.max_source)
        return translator


def read_json(path: Path) -> dict[str, Any]:
    """Raises RunError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path}: {error}") from error
    if not isinstance(data, dict):
        raise RunError(f"cannot read {path}: expected a dict, found a {type(data).__name__}")
    return data


def read_tokenizer(path: Path) -> Tokenizer:
    """Raises RunError."""
    try:
        return load_tokenizer(path.read_bytes(), str(path))
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path}: {error}") from error
