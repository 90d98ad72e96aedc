"""A trained model with its vocabularies: a run directory that translates by itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from datasets import Vocabulary, sorted_batches
from minigrad.serialization import load_file, save_file, write_text

from .search import greedy_search
from .seq2seq import Seq2Seq

FORMAT = 1  # of the run directory; a newer one is refused with a sentence


class RunError(ValueError):
    """A run directory that is missing, damaged, or written by something else."""


@dataclass(frozen=True)
class ModelOptions:
    """What the shape of a model depends on, apart from its vocabularies."""

    embedding_size: int
    hidden_size: int
    layers: int
    dropout: float
    attention: bool


class Translator:
    """Text in, text out. `max_source` tokens of a sentence are read, the rest is not."""

    def __init__(
        self,
        model: Seq2Seq,
        source: Vocabulary,
        target: Vocabulary,
        options: ModelOptions,
        max_source: int,
    ):
        self.model, self.source, self.target = model, source, target
        self.options, self.max_source = options, max_source

    @classmethod
    def new(
        cls, source: Vocabulary, target: Vocabulary, options: ModelOptions, max_source: int
    ) -> Translator:
        """With fresh weights, drawn from minigrad's default generator."""
        model = Seq2Seq(len(source), len(target), **asdict(options))
        return cls(model, source, target, options, max_source)

    def example(self, source: str, target: str = "") -> tuple[list[int], list[int]]:
        """A sentence pair as token numbers, the source cut to `max_source`."""
        return self.source.encode(source)[: self.max_source], self.target.encode(target)

    def too_long(self, sentence: str) -> bool:
        """Whether a sentence has more tokens than are read."""
        return len(self.source.encode(sentence)) > self.max_source

    def translate(self, sentences: Sequence[str], batch_size: int = 64) -> list[str]:
        """One translation a sentence, in order; an empty sentence stays empty."""
        translations = [""] * len(sentences)
        examples = [self.example(sentence) for sentence in sentences]
        filled = [n for n, (source, _) in enumerate(examples) if source]
        self.model.eval()
        for positions, batch in sorted_batches([examples[n] for n in filled], batch_size):
            limits = 2 * batch.source_lengths + 10  # no sentence of the corpora needs more
            for position, ids in zip(positions, greedy_search(self.model, batch, limits)):
                translations[filled[position]] = self.target.decode(ids)
        return translations

    # the run directory

    def save_description(self, run: Path) -> None:
        """Everything but the weights."""
        write_text(
            run / "model.json",
            _json({"format": FORMAT, "max_source": self.max_source} | asdict(self.options)),
        )
        for name, vocabulary in (("source", self.source), ("target", self.target)):
            write_text(run / f"{name}_vocabulary.json", _json(vocabulary.types))

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
    def load(cls, run: str | Path, device: str = "cpu") -> Translator:
        """The best model of a run. Raises RunError, saying which file and why."""
        run = Path(run)
        if not (run / "model.json").is_file():
            raise RunError(
                f"{run} is no run directory (it has no model.json): train one with train_seq2seq.py"
            )
        description = _read_json(run / "model.json", dict)
        if description.get("format") != FORMAT:
            raise RunError(
                f"{run} has format {description.get('format')}, this program reads format {FORMAT}"
            )
        try:
            source, target = (
                Vocabulary(_read_json(run / f"{name}_vocabulary.json", list))
                for name in ("source", "target")
            )
            options = {
                field.name: checked(description, field.name, field.type)
                for field in fields(ModelOptions)
            }
            limit = checked(description, "max_source", "int")
            translator = cls.new(source, target, ModelOptions(**options), limit)
        except (KeyError, TypeError, ValueError) as error:
            raise (
                error if isinstance(error, RunError) else RunError(f"{run} is damaged: {error!r}")
            ) from error
        translator.load_weights(run / "model.safetensors")
        translator.model.to(device=device)
        return translator


def checked(description: dict[str, Any], name: str, kind: str) -> Any:
    """An entry of model.json, of the type it was written with, and positive if it is a size."""
    value = description[name]
    if type(value).__name__ != kind or (kind == "int" and value < 1):
        raise RunError(f"model.json says {name} is {value!r}, expected a valid {kind}")
    return value


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, indent=1) + "\n"


def _read_json(path: Path, kind: type) -> Any:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path}: {error}") from error
    if not isinstance(data, kind):
        raise RunError(
            f"cannot read {path}: expected a {kind.__name__}, found a {type(data).__name__}"
        )
    return data
