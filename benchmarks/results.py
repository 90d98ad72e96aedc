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
import resource
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import mean

ROOT = Path(__file__).resolve().parent.parent
RUNS = Path("runs", "results")
FIGURES, PAGE = ROOT / "benchmarks" / "results.json", ROOT / "benchmarks" / "RESULTS.md"
BOOK_TRAIN, BOOK_VALID = 45_000, 500  # pairs; the book keeps the last 5,000 for the test


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
    translate: str = ""  # arguments of translate.py, where the test is not greedy


BOOK_DATES = (
    "--train-file {data}/dates-train.tsv --valid-file {data}/dates-valid.tsv "
    "--test-file {data}/dates-test.tsv --tokens characters "
    "--embedding-size 16 --hidden-size 256 --unidirectional --reverse-source --dropout 0 --lr 1e-3 "
    "--schedule constant --batch-size 128 --clip-norm 5 --epochs 10 --patience 10 --forget-bias 0"
)
SCAN = (
    "--corpus scan-{split} --hidden-size 200 --embedding-size 200 --layers 2 --unidirectional "
    "--dropout 0.5 --lr 1e-3 --schedule constant --batch-size 8 --clip-norm 5 --sampling constant "
    "--sampling-rate 0.5 --max-steps 12500 --epochs 10 --patience 10"
)
BOOK = "Deep Learning from Scratch 2, section 8.3, ten seeds"
LAKE = "Lake & Baroni (2018)"


def experiments() -> Iterator[Experiment]:
    seeds = 0, 1, 2
    for name, more, published in (
        ("attention", "--attention dot", f"99.92 % ({BOOK})"),
        ("plain", "--no-attention", f"0.00 % ({BOOK})"),
        ("peeky", "--no-attention --peeky", f"99.98 % ({BOOK})"),
    ):
        train = f"{BOOK_DATES} {more}"
        yield Experiment(
            f"dates-{name}", f"dates, {name}", train, published, seeds=seeds, data="book"
        )
    for split, published in (
        ("simple", "99.7 %, best 99.8 %"),
        ("length", "13.8 %, best 20.8 %"),
        ("add-jump", "0.08 %, best 1.2 %"),
    ):
        train = SCAN.format(split=split)
        for attention in ("none", "dot"):
            name = f"scan-{split}" + ("" if attention == "none" else "-attention")
            beside = f"{published} ({LAKE})" if attention == "none" else "–"
            what = f"SCAN {name.removeprefix('scan-')}"
            yield Experiment(name, what, f"{train} --attention {attention}", beside)


def book(source: Path, folder: Path) -> None:
    """date.txt.gz of the book, as TSV files without its fixed width. Questions of the test that
    were trained on are left out; the last of the training pairs are for validation.
    """
    lines = gzip.decompress((source / "book" / "date.txt.gz").read_bytes()).decode().splitlines()
    pairs = [tuple(part.strip() for part in line.split("_")) for line in lines]
    train, valid = pairs[: BOOK_TRAIN - BOOK_VALID], pairs[BOOK_TRAIN - BOOK_VALID : BOOK_TRAIN]
    known = {question for question, _ in pairs[:BOOK_TRAIN]}
    test = [pair for pair in pairs[BOOK_TRAIN:] if pair[0] not in known]
    for name, some in (("train", train), ("valid", valid), ("test", test)):
        text = "".join(f"{question}\t{answer}\n" for question, answer in some)
        (folder / f"dates-{name}.tsv").write_text(text, encoding="utf-8")


CORPORA: dict[str, Callable[[Path, Path], None]] = {"book": book}


def run(experiment: Experiment, seed: int) -> dict:
    """Train, or go on training, and measure; the figures of one seed."""
    folder = RUNS / f"{experiment.name}-{seed}"
    train = experiment.train.format(data=RUNS / "data")
    command = [sys.executable, "train_seq2seq.py", *shlex.split(train), "--seed", str(seed)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if (folder / "last.safetensors").exists():
        command = [sys.executable, "train_seq2seq.py", "--resume", str(folder)]
    else:
        command += ["--out", str(folder)]
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))["test"]
    return {
        "figure": results[experiment.figure],
        "sentences": results["sentences"],
        "cpu_minutes": (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60,
        "threads": os.environ.get("OPENBLAS_NUM_THREADS", "all"),
        "train": experiment.train,
        "date": f"{date.today()}",
        "machine": platform.processor() or platform.machine(),
    }


def shown(experiment: Experiment, value: float) -> str:
    return f"{value:.2f}" if experiment.figure == "bleu" else f"{100 * value:.2f} %"


def page(figures: dict) -> str:
    lines = [
        "# Published results, trained again",
        "",
        "Written by `python benchmarks/results.py`. Models are chosen by validation; a test set is",
        "looked at once. `{data}` is where the script puts third-party corpora.",
        "",
        "| experiment | seeds | result | published | CPU time of one run |",
        "|---|---|---|---|---|",
    ]
    commands = []
    for experiment in experiments():
        found = [
            figures[key]
            for seed in experiment.seeds
            if (key := f"{experiment.name}-{seed}") in figures
            and figures[key]["train"] == experiment.train
        ]
        if not found:
            lines.append(f"| {experiment.what} | – | not measured | {experiment.published} | – |")
            continue
        values = [one["figure"] for one in found]
        each = ", ".join(shown(experiment, value) for value in values)
        result = each if len(values) == 1 else f"{shown(experiment, mean(values))} ({each})"
        minutes = mean(one["cpu_minutes"] for one in found)
        lines.append(
            f"| {experiment.what} | {len(values)} | {result} | {experiment.published} | "
            f"{minutes:.0f} min |"
        )
        commands.append(f"- {experiment.what}: `python train_seq2seq.py {experiment.train}`")
    return "\n".join([*lines, "", "## Commands", "", *commands, ""])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="the folder of the third-party corpora")
    parser.add_argument("--only", default="", help="experiments whose name begins so")
    parser.add_argument("--page", action="store_true", help="train nothing")
    args = parser.parse_args()
    os.chdir(ROOT)
    figures = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    (RUNS / "data").mkdir(parents=True, exist_ok=True)
    if args.data is not None:
        for prepare in CORPORA.values():
            prepare(args.data.resolve(), RUNS / "data")
    for experiment in experiments():
        skip = args.page or not experiment.name.startswith(args.only)
        if skip or (experiment.data and args.data is None):
            continue
        for seed in experiment.seeds:
            key = f"{experiment.name}-{seed}"
            if figures.get(key, {}).get("train") != experiment.train:
                figures[key] = run(experiment, seed)
                FIGURES.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
