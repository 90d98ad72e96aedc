"""Train an LSTM translator: on the built-in English-French corpus, or on pairs of your own.

python train_seq2seq.py                          the default translator, a few minutes on a CPU
python train_seq2seq.py --train-file pairs.tsv   your own corpus: source TAB target
python train_seq2seq.py --no-attention           what attention is for
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
import time
from collections.abc import Callable
from datetime import datetime
from itertools import count
from pathlib import Path

import numpy as np
from tqdm import tqdm

import minigrad as mg
from datasets import Vocabulary, bucketed_batches, tokenize
from datasets.english_french import english_french
from datasets.files import CorpusError, read_parallel, read_tsv, split_by_source
from minigrad import nn, optim
from minigrad.serialization import write_text
from models.evaluation import evaluate, teacher_forced
from models.seq2seq import backward_in_windows
from models.translator import ModelOptions, RunError, Translator

Pairs = list[tuple[str, str]]


def number(kind: type, low: float, high: float = math.inf) -> Callable[[str], float]:
    """An argparse type: a finite number of `kind` from low to high."""
    name = "whole number" if kind is int else "number"
    bounds = f"of at least {low}" if high == math.inf else f"from {low} to {high}"

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (low <= value <= high and value < math.inf):
            raise argparse.ArgumentTypeError(f"{text} given, expected a {name} {bounds}")
        return value

    return parse


def path(text: str) -> str:
    """An argparse type: the name of a file or directory; an unset shell variable gives none."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    whole, positive = number(int, 1), number(float, 1e-12)

    def add(group, name, kind, default, meaning, **more):
        if default is not None:
            meaning += f" (default: {default})"
        if kind not in (str, path):
            more["metavar"] = "N"
        group.add_argument(name, type=kind, default=default, help=meaning, **more)

    data = parser.add_argument_group("data (without files: the built-in English-French corpus)")
    for part, use in (("train", "training"), ("valid", "validation"), ("test", "test")):
        tsv = f"{use} pairs, source TAB target, UTF-8"
        if part != "train":
            tsv += "; split off from training, by source sentence, if not given"
        add(data, f"--{part}-file", path, None, tsv, metavar="TSV")
        add(data, f"--{part}-src", path, None, f"{use} sources, one a line", metavar="FILE")
        add(data, f"--{part}-tgt", path, None, f"{use} targets, one a line", metavar="FILE")
    limit = "the first N training pairs (default: all; built-in corpus: 60000 are made)"
    add(data, "--limit", whole, None, limit)
    add(data, "--max-length", whole, 50, "longer training pairs, in tokens, are left out")
    add(data, "--max-vocabulary", whole, 20000, "types on each side, the most frequent ones")
    add(data, "--min-count", whole, 1, "types seen less often become <unk>")

    model = parser.add_argument_group("model")
    add(model, "--embedding-size", whole, 64, "size of the word vectors")
    add(model, "--hidden-size", whole, 128, "size of the LSTM states, in each direction")
    add(model, "--layers", whole, 1, "LSTM layers in encoder and decoder")
    dropout = "share of embeddings, states between layers and outputs set to zero"
    add(model, "--dropout", number(float, 0, 0.99), 0.1, dropout)
    attention = "the decoder sees the encoder's last state only"
    model.add_argument("--no-attention", action="store_true", help=attention)

    training = parser.add_argument_group("optimisation")
    epochs = "passes over the training pairs, at most (default: 6 built-in, 20 on your own)"
    add(training, "--epochs", whole, None, epochs)
    add(
        training, "--patience", whole, 3, "stop after so many epochs without better validation loss"
    )
    add(training, "--batch-size", whole, 64, "sentences in a batch")
    add(training, "--lr", positive, 4e-3, "Adam's learning rate at the start")
    schedule = "linear: the learning rate falls to zero at the end of the last epoch"
    add(training, "--schedule", str, "linear", schedule, choices=("linear", "constant"))
    bptt = "truncate backpropagation to windows of K target steps (default: no truncation)"
    add(training, "--bptt", whole, None, bptt, metavar="K")
    add(training, "--clip-norm", positive, 1.0, "largest norm of the gradient")
    add(training, "--seed", number(int, 0), 0, "of weights, dropout, order and built-in corpus")
    add(training, "--device", str, "cpu", "cpu, cuda, cuda:1, or auto")
    out = "a new directory for the run (default: a fresh one under runs/)"
    add(training, "--out", path, None, out, metavar="DIR")
    return parser


def check_together(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """What no single argument can see; an argument that makes no sense is refused before anything
    is loaded.
    """
    own = args.train_file or args.train_src
    for part in ("train", "valid", "test"):
        tsv, source, target = (getattr(args, f"{part}_{kind}") for kind in ("file", "src", "tgt"))
        if bool(source) != bool(target):
            parser.error(f"--{part}-src and --{part}-tgt go together")
        if tsv and source:
            parser.error(f"--{part}-file or --{part}-src with --{part}-tgt, not both")
        if part != "train" and (tsv or source) and not own:
            parser.error(
                f"{part} files need training files: --train-file, or --train-src with --train-tgt"
            )
    if args.out and Path(args.out).exists():
        parser.error(
            f"--out {args.out} exists already; a run is never overwritten: name a new directory"
        )
    args.epochs = args.epochs or (20 if own else 6)
    args.limit = args.limit or (None if own else 60000)
    try:
        mg.backend_for(args.device)
    except (ValueError, RuntimeError) as error:
        parser.error(f"--device {args.device}: {error}")


def load_data(args: argparse.Namespace) -> dict[str, Pairs]:
    """Sentence pairs by split: train, valid, and those to report on."""
    if not (args.train_file or args.train_src):
        counts = {"train": args.limit, "valid": 1000, "test": 1000}
        counts |= {"agreement": 500, "longer": 500, "new_pairs": 500}
        return {
            split: [(pair.source, pair.target) for pair in english_french(split, count, args.seed)]
            for split, count in counts.items()
        }
    splits = {}
    for part in ("train", "valid", "test"):
        if getattr(args, f"{part}_file"):
            splits[part] = read_tsv(getattr(args, f"{part}_file"))
        elif getattr(args, f"{part}_src"):
            splits[part] = read_parallel(getattr(args, f"{part}_src"), getattr(args, f"{part}_tgt"))
    splits["train"] = splits["train"][: args.limit]
    missing = [part for part in ("valid", "test") if part not in splits]
    if missing:
        splits |= split_by_source(splits["train"], dict.fromkeys(missing, 0.05), args.seed)
    return {part: splits[part] for part in ("train", "valid", "test")}


def not_too_long(pairs: Pairs, limit: int) -> Pairs:
    return [pair for pair in pairs if all(len(tokenize(side)) <= limit for side in pair)]


def diverged(what: str, epoch: int, run: Path) -> None:
    """End a run whose numbers have left the range of floats."""
    kept = "keeps the epochs before" if (run / "model.safetensors").exists() else "has no weights"
    sys.exit(f"\nerror: {what} in epoch {epoch}: lower --lr or --clip-norm; {run} {kept}")


def train(
    args: argparse.Namespace, translator: Translator, splits: dict[str, Pairs], run: Path
) -> None:
    """Until the validation loss has not improved for `patience` epochs; leaves the best weights in
    the model.
    """
    model = translator.model.to(device=args.device)
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    order = np.random.default_rng(args.seed)
    examples = [translator.example(*pair) for pair in splits["train"]]
    steps = args.epochs * -(-len(examples) // args.batch_size)
    best, since_best, step = math.inf, 0, 0
    for epoch in range(1, args.epochs + 1):
        model.train()
        started, tokens, total, norms, clipped = time.perf_counter(), 0, 0.0, 0.0, 0
        batches = bucketed_batches(examples, args.batch_size, order)
        with tqdm(
            batches, desc=f"epoch {epoch:2}/{args.epochs}", unit="batch", dynamic_ncols=True
        ) as bar:
            for batch in bar:
                if args.schedule == "linear":
                    optimizer.param_groups[0]["lr"] = args.lr * (1 - step / steps)
                step += 1
                optimizer.zero_grad()
                loss = backward_in_windows(model, batch, args.bptt)
                norm = float(nn.utils.clip_grad_norm_(model.parameters(), args.clip_norm))
                if not math.isfinite(norm):
                    diverged(f"the gradient's norm is {norm} at step {step}", epoch, run)
                optimizer.step()
                total += loss * batch.target_tokens
                tokens += batch.target_tokens
                norms += norm
                clipped += norm > args.clip_norm
                speed = tokens / (time.perf_counter() - started)
                bar.set_postfix_str(
                    f"loss {total / tokens:.3f}, {speed:,.0f} tokens/s", refresh=False
                )
        valid = teacher_forced(translator, splits["valid"], args.batch_size)
        if not math.isfinite(valid["loss"]):
            diverged(f"the validation loss is {valid['loss']}", epoch, run)
        translator.save_weights(run / "last.safetensors")
        since_best += 1
        if valid["loss"] < best:
            best, since_best = valid["loss"], 0
            translator.save_weights(run / "model.safetensors")
        record = {
            "epoch": epoch,
            "train_loss": total / tokens,
            "tokens_per_second": round(speed),
            "gradient_norm": norms / len(batches),
            "clipped": clipped / len(batches),
            "lr": optimizer.param_groups[0]["lr"],
        } | {f"valid_{name}": value for name, value in valid.items()}
        with open(run / "metrics.jsonl", "a", encoding="utf-8") as log:
            log.write(json.dumps(record) + "\n")
        print(
            f"epoch {epoch}: training loss {total / tokens:.4f}, "
            f"validation loss {valid['loss']:.4f}, perplexity {valid['perplexity']:.3f}, "
            f"token accuracy {valid['token_accuracy']:.2%}" + (" (best)" if since_best == 0 else "")
        )
        if since_best == args.patience:
            print(f"no better validation loss for {args.patience} epochs: stopping early")
            break
    translator.load_weights(run / "model.safetensors")


def report(
    args: argparse.Namespace, translator: Translator, splits: dict[str, Pairs], run: Path
) -> None:
    """Measure every test split, print a table and ten translations, write results.json."""
    results, translations = {}, {}
    names = [name for name in splits if name not in ("train", "valid")]
    for name in tqdm(names, desc="evaluating", unit="split", dynamic_ncols=True):
        results[name], translations[name] = evaluate(translator, splits[name], args.batch_size)
    write_text(run / "results.json", json.dumps(results, indent=1) + "\n")

    columns = "sentences", "loss", "perplexity", "tokens", "exact", "BLEU", "chrF"
    print("\n" + f"{'split':<10}" + "{:>10} {:>7} {:>11} {:>8} {:>8} {:>6} {:>6}".format(*columns))
    row = "{:>10} {:>7.4f} {:>11.3f} {:>8.2%} {:>8.2%} {:>6.2f} {:>6.2f}"
    for name, r in results.items():
        cells = [r["sentences"], r["loss"], r["perplexity"], r["token_accuracy"], r["exact_match"]]
        print(f"{name:<10}" + row.format(*cells, r["bleu"], r["chrf"]))
    print("\nten test sentences:")
    chosen = range(0, len(splits["test"]), max(1, len(splits["test"]) // 10))[:10]
    for n in chosen:
        (source, reference), translation = splits["test"][n], translations["test"][n]
        mark = "=" if translation == reference else "≠"
        print(
            f"\n  source       {source}\n  reference    {reference}"
            f"\n  translation  {translation}   {mark}"
        )
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    command = [str(python), "translate.py", str(run), splits["test"][0][0]]
    print(f"\ntranslate with it:  {shlex.join(command)}")
    if not args.no_attention:
        given = list(sys.argv[1:])
        if "--out" in given:
            del given[given.index("--out") : given.index("--out") + 2]
        again = shlex.join([str(python), "train_seq2seq.py", *given, "--no-attention"])
        print(f"see what attention is for:  {again}")


def fresh_run() -> Path:
    """A directory under runs/ that does not exist, named after the time."""
    name = Path("runs", f"{datetime.now():%Y-%m-%d-%H%M%S}")
    names = (name.with_name(f"{name.name}-{n}") for n in count(2))
    while name.exists():
        name = next(names)
    return name


def main() -> None:
    parser = arguments()
    args = parser.parse_args()
    check_together(parser, args)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # an ASCII terminal must not stop a run
    try:
        splits = load_data(args)
    except CorpusError as error:
        sys.exit(f"error: {error}")
    read = len(splits["train"])
    splits["train"] = not_too_long(splits["train"], args.max_length)
    if not splits["train"]:
        sys.exit(f"error: all {read} training pairs are longer than --max-length {args.max_length}")
    mg.manual_seed(args.seed)
    source, target = (
        Vocabulary.build(
            (pair[side] for pair in splits["train"]), args.max_vocabulary, args.min_count
        )
        for side in (0, 1)
    )
    for side, vocabulary in (("source", source), ("target", target)):
        if not vocabulary.types:
            sys.exit(f"error: no {side} type occurs --min-count {args.min_count} times")
    options = ModelOptions(
        args.embedding_size, args.hidden_size, args.layers, args.dropout, not args.no_attention
    )
    try:
        translator = Translator.new(source, target, options, max_source=args.max_length)
    except MemoryError as error:
        sys.exit(f"error: {error}: lower --hidden-size, --embedding-size or --max-vocabulary")

    run = Path(args.out) if args.out else fresh_run()
    try:
        run.mkdir(parents=True)
        write_text(run / "config.json", json.dumps(vars(args), indent=1) + "\n")
        translator.save_description(run)
    except OSError as error:
        sys.exit(f"error: cannot write the run directory {run}: {error}")
    parameters = sum(p.numel() for p in translator.model.parameters())
    left_out = f" ({read - len(splits['train'])} longer than {args.max_length} tokens left out)"
    print(
        f"run {run}: {', '.join(f'{len(pairs)} {name}' for name, pairs in splits.items())} pairs",
        end="",
    )
    print(left_out if read > len(splits["train"]) else "")
    print(f"{len(source)} source types, {len(target)} target types, {parameters:,} parameters")
    try:
        train(args, translator, splits, run)
        report(args, translator, splits, run)
    except KeyboardInterrupt:
        sys.exit(f"\ninterrupted: {run} keeps the best epoch so far")
    except (OSError, RunError, MemoryError) as error:
        sys.exit(f"\nerror: {error}: {run} keeps what was written before")


if __name__ == "__main__":
    main()
