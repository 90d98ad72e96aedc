"""Published results, trained again: runs what is missing and writes benchmarks/RESULTS.md.

    python benchmarks/results.py --data DIR               all of them: hours
    python benchmarks/results.py --data DIR --only scan   those whose name begins so
    python benchmarks/results.py --page                   the page alone, from the figures there are

DIR holds the corpora that are not part of this project, as `corpora` below names them; without it
the experiments that need one are left out. Every run goes into runs/results/NAME-SEED, and one that
was stopped is resumed. The figures gather in benchmarks/results.json.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parent.parent
RUNS = Path("runs", "results")
FIGURES, PAGE = ROOT / "benchmarks" / "results.json", ROOT / "benchmarks" / "RESULTS.md"
BOOK_TRAIN, BOOK_VALID = 45_000, 500  # pairs; the book keeps the last 5,000 for the test
BOOK_WIDTH = 29  # characters of a question


@dataclass(frozen=True)
class Experiment:
    """One row: how it is trained, and what it is held against."""

    name: str
    what: str
    train: str  # arguments of train_seq2seq.py
    published: str
    figure: str = "exact_match"  # of the test split, or "bleu"
    seeds: tuple[int, ...] = (0,)
    data: str = ""  # which of the corpora it needs
    translate: str = ""  # arguments of translate.py for BLEU, greedy without
    samples: tuple[str, ...] = ()  # sentences whose translations the page shows

    def key(self, seed: int) -> str:
        return f"{self.name}-{seed}"

    def found(self, figures: dict, seed: int) -> dict | None:
        """The figures of a seed, by the recipe as it stands, or None."""
        one = figures.get(self.key(seed), {})
        same = (one.get("train"), one.get("translate")) == (self.train, self.translate)
        return one if same else None


DATES = (
    "--train-file {data}/{file}-train.tsv --valid-file {data}/{file}-valid.tsv "
    "--test-file {data}/{file}-test.tsv --tokens characters "
    "--embedding-size 16 --hidden-size 256 --unidirectional --reverse-source --dropout 0 --lr 1e-3 "
    "--schedule constant --batch-size 128 --clip-norm 5 --epochs 10 --patience 10 --forget-bias 0 "
    "{more}"
)
# of the paper: sizes, dropout of embeddings and between layers, sampling by sentence, clipping, and
# 100,000 pairs; but batches of 8 and a rate that falls from 2e-3, where it has one pair and 1e-3
SCAN = (
    "--corpus scan-{split} --hidden-size 200 --embedding-size 200 --layers 2 --unidirectional "
    "--dropout 0.5 --output-dropout 0 --lr 2e-3 --schedule linear --batch-size 8 --clip-norm 5 "
    "--sampling constant --sampling-rate 0.5 --sampling-by sentence --epochs {epochs} --patience 9"
)
MULTI30K = (
    "--train-src {{data}}/multi30k/train.{0}.gz --train-tgt {{data}}/multi30k/train.{1}.gz "
    "--valid-src {{data}}/multi30k/val.{0}.gz --valid-tgt {{data}}/multi30k/val.{1}.gz "
    "--test-src {{data}}/multi30k/test_2016_flickr.{0}.gz "
    "--test-tgt {{data}}/multi30k/test_2016_flickr.{1}.gz"
)
TUTORIAL = (
    MULTI30K.format("de", "en") + " --lowercase --min-count 2 --embedding-size 256 "
    "--hidden-size 512 --dropout 0.5 --output-dropout 0 --lr 1e-3 --schedule constant "
    "--batch-size 128 --clip-norm 1 --epochs 10 --patience 10 --sampling constant "
    "--sampling-rate 0.5"
)
OURS = (
    MULTI30K.format("en", "de") + " --lowercase --tokens bpe --joint --max-vocabulary 4000 "
    "--tie target --embedding-size {size} --hidden-size {size} --attention additive "
    "--input-feeding --label-smoothing 0.1 --batch-size 64 --clip-norm 5 --stop-on bleu "
    "--average best --patience 45 "
)
SMALL = OURS.replace("{size}", "100") + (
    "--dropout 0.2 --embedding-dropout 0.1 --annotation-dropout 0.2 --lr 3e-3 --epochs 45"
)
LARGE = OURS.replace("{size}", "256") + (
    "--dropout 0.3 --embedding-dropout 0.2 --annotation-dropout 0.3 --lr 2e-3 --epochs 20"
)
TATOEBA = (
    "--train-file {data}/tatoeba/fra.tsv --tokens bpe --max-vocabulary 6000 --attention general "
    "--embedding-size 384 --hidden-size 384 --tie target --dropout 0.2 --label-smoothing 0.1 "
    "--lr 2e-3 --batch-size 128 --epochs 10 --stop-on bleu --average best"
)
# not of the corpus: its sentences do not belong into this project
SAMPLES = (
    "Where did you put my keys?",
    "I would rather stay at home tonight.",
    "She has been learning the piano for three years.",
    "If it rains tomorrow, we will not go to the beach.",
    "Could you speak a little more slowly, please?",
    "Nobody knew why the train had stopped.",
    "My brother is taller than our father.",
    "They wanted to buy the house, but it was too expensive.",
    "What would you do in my place?",
    "It is the best book that I have ever read.",
)
NOTES = """\
- Dates: the book's recipe is more than its sizes: weights of variance 1 / inputs, embeddings a
  hundredth as large as ours, questions padded to one width, state and context side by side at the
  output. By it attention learns the task and the plain model does not. With our embeddings, an
  attentional vector and no padding the plain model learns it, too. With PyTorch's weights besides,
  attention stays on a plateau for ten epochs, unless the decoder takes over the encoder's cell.
- SCAN: the paper drops embeddings and what passes between layers, but no outputs, and neither do
  the tutorials of Multi30k. With outputs dropped, too, the simple split is not solved. Attention
  changes little on any split.
- Times are of one thread, beside one to three other runs on a machine of two cores.
- BLEU is sacrebleu's on detokenized text, as its signature says, in lower case where the recipe has
  lower case. nmtpy's is on lower-case tokens of Moses with normalised punctuation, the tutorials'
  on lower-case tokens of spaCy.
"""
BOOK = "Deep Learning from Scratch 2, section 8.3, ten seeds"
LAKE = "Lake & Baroni (2018)"


def experiments() -> Iterator[Experiment]:
    seeds = 0, 1, 2
    lecun, large = "--init lecun --hidden-only", "embeddings of size 1"
    book = f"{lecun} --embedding-std 0.01"  # and what it reads is of one width
    own, cell = "PyTorch's initialisation", "the same, and the decoder takes over the cell"
    padded, bare = "dates-padded", "dates"
    for name, file, what, more, published in (
        ("attention", padded, "attention", f"{book} --attention dot --direct-readout", "99.92 %"),
        ("plain", padded, "plain", f"{book} --no-attention", "0.00 %"),
        ("peeky", padded, "peeky", f"{book} --no-attention --peeky", "99.98 %"),
        ("attention-large", bare, f"attention, {large}", f"{lecun} --attention dot", ""),
        ("plain-large", bare, f"plain, {large}", f"{lecun} --no-attention", ""),
        ("attention-own", bare, f"attention, {own}", "--hidden-only --attention dot", ""),
        ("plain-own", bare, f"plain, {own}", "--hidden-only --no-attention", ""),
        ("attention-cell", bare, f"attention, {cell}", "--attention dot", ""),
        ("plain-cell", bare, f"plain, {cell}", "--no-attention", ""),
    ):
        train = DATES.replace("{more}", more).replace("{file}", file)
        beside = f"{published} ({BOOK})" if published else "–"
        yield Experiment(f"dates-{name}", f"dates, {what}", train, beside, seeds=seeds, data="book")
    for split, epochs, published in (
        ("simple", 6, "99.7 %, best 99.8 %"),
        ("length", 6, "13.8 %, best 20.8 %"),
        ("add-jump", 7, "0.08 %, best 1.2 %"),
    ):
        train = SCAN.format(split=split, epochs=epochs)
        for attention in ("none", "dot"):
            name = f"scan-{split}" + ("" if attention == "none" else "-attention")
            beside = f"{published} ({LAKE})" if attention == "none" else "–"
            what = f"SCAN {name.removeprefix('scan-')}"
            yield Experiment(name, what, f"{train} --attention {attention}", beside)

    tutorial = "the tutorials' own BLEU, on lower-case tokens"
    for name, more, published in (
        ("plain", "--layers 2 --unidirectional --reverse-source --no-attention", "13.76"),
        ("attention", "--cell gru --attention additive --input-feeding", "28.30"),
    ):
        yield Experiment(
            f"multi30k-de-en-{name}",
            f"Multi30k de→en, {name}",
            f"{TUTORIAL} {more}",
            f"{published} ({tutorial}, test_2016_flickr)",
            "bleu",
            data="multi30k",
        )
    moses = "nmtpy, WMT16, on lower-case Moses tokens"
    for name, what, train, published in (
        ("small", "hidden 100", SMALL, f"37.33 ({moses})"),
        ("large", "hidden 256", LARGE, "39.0 (LIUM-CVC, WMT17, text only)"),
    ):
        yield Experiment(
            f"multi30k-en-de-{name}",
            f"Multi30k en→de, {what}",
            train,
            published,
            "bleu",
            data="multi30k",
            translate="--beam 12 --length-penalty 1",
        )
    yield Experiment(
        "tatoeba-en-fr",
        "Tatoeba en→fr",
        TATOEBA,
        "–",
        "bleu",
        data="tatoeba",
        translate="--beam 5 --length-penalty 1",
        samples=SAMPLES,
    )


def multi30k(source: Path, folder: Path) -> None:
    """As it is: two files a split, packed."""
    (folder / "multi30k").mkdir(exist_ok=True)
    for file in (source / "multi30k").glob("*.gz"):
        (folder / "multi30k" / file.name).write_bytes(file.read_bytes())


def tatoeba(source: Path, folder: Path) -> None:
    """fra.txt.gz, English TAB French, unpacked. Training splits it by English sentence."""
    (folder / "tatoeba").mkdir(exist_ok=True)
    text = gzip.decompress((source / "tatoeba-en-fr" / "fra.txt.gz").read_bytes())
    (folder / "tatoeba" / "fra.tsv").write_bytes(text)


def book(source: Path, folder: Path) -> None:
    """date.txt.gz of the book, as TSV files: "dates", and "dates-padded", whose questions are all
    29 characters long, as in the book, which pads them with spaces where there is _ here. Questions
    of the test that were trained on are left out, the last training pairs are for validation.
    """
    lines = gzip.decompress((source / "book" / "date.txt.gz").read_bytes()).decode().splitlines()
    pairs = [tuple(part.strip() for part in line.split("_")) for line in lines]
    train, valid = pairs[: BOOK_TRAIN - BOOK_VALID], pairs[BOOK_TRAIN - BOOK_VALID : BOOK_TRAIN]
    known = {question for question, _ in pairs[:BOOK_TRAIN]}
    test = [pair for pair in pairs[BOOK_TRAIN:] if pair[0] not in known]
    for name, some in (("train", train), ("valid", valid), ("test", test)):
        for file, width in (("dates", 0), ("dates-padded", BOOK_WIDTH)):
            text = "".join(f"{question:_<{width}}\t{answer}\n" for question, answer in some)
            (folder / f"{file}-{name}.tsv").write_text(text, encoding="utf-8")


CORPORA: dict[str, Callable[[Path, Path], None]] = {
    "book": book,
    "multi30k": multi30k,
    "tatoeba": tatoeba,
}


def run(experiment: Experiment, seed: int) -> dict:
    """Train, or go on training, and measure; the figures of one seed."""
    folder = RUNS / experiment.key(seed)
    train = experiment.train.format(data=RUNS / "data")
    command = [sys.executable, "train_seq2seq.py", *shlex.split(train), "--seed", str(seed)]
    if (folder / "last.safetensors").exists():
        command = [sys.executable, "train_seq2seq.py", "--resume", str(folder)]
    else:
        command += ["--out", str(folder)]
    subprocess.run(command, check=True)
    epochs = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))["test"]
    more = {}
    if experiment.figure == "bleu":
        results["bleu"], more["signature"] = bleu(experiment, folder)
        said = translated(experiment, folder, experiment.samples)
        more["samples"] = list(zip(experiment.samples, said))
    return more | {
        "figure": results[experiment.figure],
        "sentences": results["sentences"],
        "minutes": sum(json.loads(line)["seconds"] for line in epochs) / 60,
        "threads": os.environ.get("OPENBLAS_NUM_THREADS", "all"),
        "train": experiment.train,
        "translate": experiment.translate,
        "date": f"{date.today()}",
        "machine": platform.processor() or platform.machine(),
    }


def translated(experiment: Experiment, folder: Path, sentences: Sequence[str]) -> list[str]:
    command = [sys.executable, "translate.py", str(folder), *shlex.split(experiment.translate)]
    text = "".join(f"{sentence}\n" for sentence in sentences)
    done = subprocess.run(command, input=text, capture_output=True, check=True, encoding="utf-8")
    return done.stdout.splitlines()


def bleu(experiment: Experiment, folder: Path) -> tuple[float, str]:
    """sacrebleu's, of the test split on detokenized text, and its signature."""
    import sacrebleu

    sys.path.insert(0, str(ROOT))
    from train_seq2seq import load_data

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    test = load_data(argparse.Namespace(**config))["test"]
    metric = sacrebleu.metrics.BLEU(lowercase=config["lowercase"])
    said = translated(experiment, folder, [source for source, _ in test])
    score = metric.corpus_score(said, [[reference for _, reference in test]]).score
    return score, str(metric.get_signature())


def shown(experiment: Experiment, value: float) -> str:
    return f"{value:.2f}" if experiment.figure == "bleu" else f"{100 * value:.2f} %"


def page(figures: dict) -> str:
    lines = [
        "# Published results, trained again",
        "",
        "Written by `python benchmarks/results.py`. Models and searches are chosen by validation;",
        "each run measures its test set at the end. `{data}` is where the script puts third-party",
        "corpora. How fast these models train and translate beside PyTorch's stands in",
        "[README.md](README.md), under training steps and translating.",
        "",
        "| experiment | seeds | result | published | time of a run |",
        "|---|---|---|---|---|",
    ]
    commands, samples = [], []
    for experiment in experiments():
        seeds = [seed for seed in experiment.seeds if experiment.found(figures, seed)]
        found = [experiment.found(figures, seed) for seed in seeds]
        if not found:
            lines.append(f"| {experiment.what} | – | not measured | {experiment.published} | – |")
            continue
        values = [one["figure"] for one in found]
        each = ", ".join(shown(experiment, value) for value in values)
        result = each if len(values) == 1 else f"{shown(experiment, mean(values))} ({each})"
        minutes, shown_seeds = mean(one["minutes"] for one in found), ", ".join(map(str, seeds))
        lines.append(
            f"| {experiment.what} | {shown_seeds} | {result} | {experiment.published} | "
            f"{minutes:.0f} min |"
        )
        commands.append(f"- {experiment.what}: `python train_seq2seq.py {experiment.train}`")
        if experiment.figure == "bleu":
            options = f" {experiment.translate}".rstrip()
            commands.append(f"  and `python translate.py RUN{options}`: {found[0]['signature']}")
        for source, target in found[0].get("samples", []):
            samples.append(f"| {source} | {target} |")
    lines += ["", *NOTES.splitlines(), "", "## Commands", ""]
    lines += ["With `--seed` and a seed of the table.", "", *commands]
    if samples:
        lines += ["", "## Ten translations", "", "| English | French |", "|---|---|", *samples]
    return "\n".join([*lines, ""])


def read_figures() -> dict:
    return json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder of the third-party corpora")
    parser.add_argument("--only", default="", help="experiments whose name begins so")
    parser.add_argument("--page", action="store_true", help="train nothing")
    args = parser.parse_args()
    os.chdir(ROOT)
    figures = read_figures()
    (RUNS / "data").mkdir(parents=True, exist_ok=True)
    if args.data is not None:
        for prepare in CORPORA.values():
            prepare(args.data.resolve(), RUNS / "data")
    for experiment in experiments():
        skip = args.page or not experiment.name.startswith(args.only)
        if skip or (experiment.data and args.data is None):
            continue
        for seed in experiment.seeds:
            if not experiment.found(figures, seed):
                one = run(experiment, seed)
                # another process may have added some
                figures = read_figures() | {experiment.key(seed): one}
                FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
