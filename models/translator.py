"""A trained model with its tokenizers: a run directory that translates by itself."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datasets import UNK, Tokenizer, load_tokenizer, sorted_batches
from minigrad.serialization import load_file, replacing, save_file, write_text

from .options import ModelOptions
from .search import Search, forced, search
from .seq2seq import Seq2Seq

Progress = Callable[[int], Any]

FREE = 10  # tokens that any translation may have, beyond its share of the source's
FORMAT = 5  # of the run directory; another one is refused with a sentence


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
    """Text in, text out. `max_source` tokens of a sentence are read, the rest is not. A translation
    has at most `ratio` tokens for each of the source, and `FREE` ones, unless told otherwise.

    Several `models` of the same tokenizers translate together: the mean of their probabilities.
    """

    def __init__(
        self,
        models: Sequence[Seq2Seq],
        source: Tokenizer,
        target: Tokenizer,
        max_source: int,
        ratio: int = 2,
    ):
        self.models, self.source, self.target = list(models), source, target
        self.max_source, self.ratio = max_source, ratio

    @classmethod
    def new(
        cls,
        source: Tokenizer,
        target: Tokenizer,
        options: ModelOptions,
        max_source: int,
        ratio: int = 2,
    ) -> Translator:
        """With fresh weights, drawn from minigrad's default generator."""
        return cls([Seq2Seq(len(source), len(target), options)], source, target, max_source, ratio)

    @property
    def model(self) -> Seq2Seq:
        return self.models[0]

    @property
    def attends(self) -> bool:
        """Whether a model has attention."""
        return any(model.decoder.attention is not None for model in self.models)

    def example(self, source: str, target: str = "") -> tuple[list[int], list[int]]:
        """A sentence pair as token numbers, without spaces at the ends, as corpora are read; the
        source cut to `max_source`.
        """
        source, target = source.strip(" "), target.strip(" ")
        return self.source.encode(source)[: self.max_source], self.target.encode(target)

    def too_long(self, sentence: str) -> bool:
        """Whether a sentence has more tokens than are read."""
        sentence = sentence.strip(" ")
        # a token has a character at least, but for the space that subwords put before a sentence
        return len(sentence) >= self.max_source and (
            len(self.source.encode(sentence)) > self.max_source
        )

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
        progress: Progress | None = None,
    ) -> list[list[Translation]]:
        """The best translations of each sentence, best first, of at most `max_length` tokens, by
        default `ratio` times the source's and `FREE`, or the search's `min_length` if that is more.
        An empty sentence has one, which is empty. `progress` is told how many more are done.

        With `replace_unknown`, a word that the model does not know is the source word it looked at
        (Luong et al. 2015), in the words of the `dictionary` where it has an entry. Raises
        FloatingPointError where a model says no numbers.
        """
        found = [[Translation("", [], [], 0.0, 0.0, None)] for _ in sentences]
        replacement = self.replacement(dictionary or {}) if replace_unknown else None
        examples = [self.example(sentence) for sentence in sentences]
        filled = [n for n, (source, _) in enumerate(examples) if source]
        for model in self.models:
            model.eval()
        if progress is not None:
            progress(len(sentences) - len(filled))
        for positions, batch in sorted_batches([examples[n] for n in filled], batch_size):
            limits = max_length
            if limits is None:
                limits = np.maximum(self.ratio * batch.source_lengths + FREE, how.min_length)
            some = search(self.models, batch, limits, how, attention or replace_unknown)
            for position, hypotheses in zip(positions, some):
                n = filled[position]
                pieces = self.source.pieces(sentences[n].strip(" "))
                source = [*pieces[: self.max_source], "</s>"]
                found[n] = []
                for ids, score, log_probability, weights in hypotheses:
                    pieces = [self.target.tokens[i] for i in ids]
                    if replacement is not None and weights is not None:
                        for t in np.flatnonzero(np.array(ids) == UNK):
                            pieces[t] = replacement(source[weights[t, : len(source) - 1].argmax()])
                    text = self.target.decode_pieces(pieces)
                    pieces.append("</s>")
                    found[n].append(
                        Translation(text, source, pieces, score, log_probability, weights)
                    )
            if progress is not None:
                progress(len(positions))
        return found

    def replacement(self, dictionary: Mapping[str, str]) -> Callable[[str], str]:
        """From a piece of the source to what stands for it in the target."""

        def word_of(pieces: list[str]) -> str:
            return self.source.decode_pieces(pieces).strip(" ")

        # an entry is found however its source word is written, if the tokenizer reads it alike
        entries = {word_of(self.source.pieces(word)): entry for word, entry in dictionary.items()}

        def replaced(piece: str) -> str:
            word = word_of([piece])
            # of tokenizers that write alike, the piece itself: it knows the spaces beside it
            return entries.get(word, piece if self.source.kind == self.target.kind else word)

        return replaced

    def score(
        self,
        pairs: Sequence[tuple[str, str]],
        batch_size: int = 64,
        progress: Progress | None = None,
    ) -> list[Translation]:
        """Given translations, as the models see them: their log-probabilities and attention.
        That an empty sentence stays empty is certain: 0. `progress` is told how many more are done.
        Raises FloatingPointError where a model says no numbers.
        """
        scored: list[Any] = [None] * len(pairs)
        for model in self.models:
            model.eval()
        for positions, batch in sorted_batches([self.example(*pair) for pair in pairs], batch_size):
            log_p, weights = forced(self.models, batch)
            for column, n in enumerate(positions):
                of_source, of_target = (text.strip(" ") for text in pairs[n])
                source = [*self.source.pieces(of_source)[: self.max_source], "</s>"]
                target = [*self.target.pieces(of_target), "</s>"]
                empty = len(source) == len(target) == 1
                total = 0.0 if empty else float(log_p[:, column].sum())
                looks = None
                if weights is not None:
                    looks = weights[column, : len(target), : len(source)]
                scored[n] = Translation(pairs[n][1], source, target, total, total, looks)
            if progress is not None:
                progress(len(positions))
        return scored

    # the run directory

    def save_description(self, run: Path) -> None:
        """Everything but the weights."""
        joint = self.source is self.target
        about = {"format": FORMAT, "joint": joint}
        about |= {"max_source": self.max_source, "ratio": self.ratio}
        about["tokenizers"] = digests([one.to_bytes() for _, one in self.tokenizers(joint)])
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
            why = " ".join(str(error).split())
            why = why if len(why) < 400 else f"{why[:300]} ..."  # of a model of many layers
            raise RunError(f"cannot load {path}: {why}") from error

    @classmethod
    def described(cls, run: str | Path) -> Translator:
        """The model of a run with fresh weights. Raises RunError, saying which file and why."""
        run = Path(run)
        path = run / "model.json"
        if not os.path.exists(path):
            what = (
                "is no run directory: it has no model.json"
                if os.path.exists(run)
                else "does not exist"
            )
            raise RunError(f"{run} {what}; train a run with train_seq2seq.py")
        about = read_json(path)
        number = about.get("format")
        if number != FORMAT:
            newer = type(number) is int and number > FORMAT
            raise RunError(
                f"{run} has format {number!r}, this program reads format {FORMAT}: "
                + ("it is older than the run; update it" if newer else "train again")
            )
        try:
            joint, sizes = about["joint"], {name: about[name] for name in ("max_source", "ratio")}
            options = ModelOptions.of(about["options"])
            if type(joint) is not bool:
                raise ValueError(f"joint is {joint!r}")
            for name, value in sizes.items():
                if type(value) is not int or value < 1:
                    raise ValueError(f"{name} is {value!r}")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise RunError(f"{path} is damaged: {error!r}") from error
        names = ["joint_tokenizer"] if joint else ["source_tokenizer", "target_tokenizer"]
        read = [read_tokenizer(run / f"{name}.json") for name in names]
        if digests([one.to_bytes() for one in read]) != about.get("tokenizers"):
            raise RunError(f"{run}: {' or '.join(names)}.json is of another run than model.json")
        source, target = read[0], read[-1]
        try:
            return cls.new(source, target, options, **sizes)
        except (TypeError, ValueError, MemoryError) as error:
            raise RunError(f"{path} is damaged: {' '.join(str(error).split())}") from error

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
            translator.ratio = max(translator.ratio, one.ratio)
        return translator


def digests(contents: Iterable[bytes]) -> list[str]:
    return [hashlib.sha256(one).hexdigest() for one in contents]


def read_json(path: Path) -> dict[str, Any]:
    """Raises RunError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is damaged: {error}") from error
    if not isinstance(data, dict):
        raise RunError(f"{path} is damaged: expected a dict, found a {type(data).__name__}")
    return data


def read_tokenizer(path: Path) -> Tokenizer:
    """Raises RunError."""
    try:
        return load_tokenizer(path.read_bytes(), str(path))
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise RunError(str(error)) from error
