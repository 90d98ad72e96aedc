"""Train an LSTM translator: on a built-in corpus, or on sentence pairs of your own.

python train_seq2seq.py                          the default translator, a few minutes on a CPU
python train_seq2seq.py --train-file pairs.tsv   your own corpus: source TAB target
python train_seq2seq.py --no-attention           what attention is for
python train_seq2seq.py --resume runs/NAME       go on with a run that was stopped
"""

from __future__ import annotations

import signal

ANSWER = signal.getsignal(signal.SIGINT)
if __name__ == "__main__" and ANSWER is signal.default_int_handler:
    # an import that Ctrl-C interrupts ends in a traceback: until main() it ends the program
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import ast
import hashlib
import json
import math
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

import minigrad as mg
from datasets import (
    KINDS,
    SPECIALS,
    CorpusError,
    Tokenizer,
    build_tokenizer,
)
from datasets.builtin import CORPORA, corpus
from datasets.files import read_parallel, read_tsv, split_by_source
from minigrad.serialization import write_text
from models.checks import bptt_report, check_resume
from models.evaluation import evaluate
from models.logs import fixed
from models.optimisation import SCHEDULES, TrainingOptions
from models.options import ModelOptions, OptionError
from models.plots import draw_run
from models.ranges import Amount, Count, Range, Size, Words, number, path, rule, rules
from models.training import Stopped, Trainer, TrainingError
from models.translator import FREE, RunError, Translator, read_json

Pairs = list[tuple[str, str]]

# what may be said beside --resume: the rest is as the run began
WITH_RESUME = "resume", "epochs", "patience", "max_steps", "save_every", "device", "bptt_report"
# and where the data lies now: that it is the same is seen by its digest
PARTS = "train", "valid", "test"
MOVED = tuple([f"{part}_{kind}" for part in PARTS for kind in ("file", "src", "tgt")])

INTERRUPTED = 130  # the status of a program that Ctrl-C ended


def setting(text: str) -> tuple[str, Any]:
    """An argparse type: NAME=VALUE, the value a number, a list, true, false or a word."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} given, expected NAME=VALUE")
    try:
        found = ast.literal_eval({"true": "True", "false": "False"}.get(value, value))
        json.dumps(found)  # as config.json keeps it
    except (ValueError, SyntaxError, TypeError):
        found = value
        if not value.replace("-", "_").isidentifier():
            raise argparse.ArgumentTypeError(
                f"{text!r} given, expected a number, a list of numbers, true, false or a word"
            ) from None
    if name == "lr":
        raise argparse.ArgumentTypeError("the learning rate is given by --lr")
    return name, found


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """In one line: the usage of so many options would hide it."""
        self.exit(2, f"{self.prog}: error: {message} (--help lists the options)\n")


def arguments() -> argparse.ArgumentParser:
    parser = Parser(
        usage="%(prog)s [options]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # what is taken out of a command line must be spelled out in it
    )
    known, defaults = {}, {}
    for options in (ModelOptions, TrainingOptions):
        known |= rules(options)
        defaults |= {one.name: one.default for one in fields(options)}

    def add(group, name, meaning, **more):
        """An option; what it may be and its default are those of its field, if it has one."""
        dest = name[2:].replace("-", "_")
        allowed = more.pop("allowed", known.get(dest))
        more.setdefault("default", defaults.get(dest))
        if isinstance(allowed, Range):
            more |= {"type": number(allowed), "metavar": "N"}
        elif isinstance(allowed, Words):
            more["choices"] = allowed.known
        if more["default"] not in (None, []):
            meaning += f" (default: {more['default']})"
        group.add_argument(name, help=meaning, **more)

    def flag(group, name, meaning):
        group.add_argument(name, action="store_true", help=meaning)

    data = parser.add_argument_group("data (without files: a built-in corpus)")
    built_in = "; ".join(f"{name}: {one.description}" for name, one in CORPORA.items())
    add(data, "--corpus", f"english-french if not given. {built_in}", choices=CORPORA,
        metavar="NAME")  # fmt: skip
    for part, use in (("train", "training"), ("valid", "validation"), ("test", "test")):
        tsv = f"{use} pairs, source TAB target, UTF-8"
        if part != "train":
            tsv += "; split off from training, by source sentence, if not given"
        file = {"type": path, "metavar": "FILE"}
        add(data, f"--{part}-file", tsv, type=path, metavar="TSV")
        add(data, f"--{part}-src", f"{use} sources, one a line", **file)
        add(data, f"--{part}-tgt", f"{use} targets, one a line", **file)
    add(data, "--limit", "the first N training pairs (default: all)", allowed=Range(int, 1, 10**7))
    some, whole = rule(Count), rule(Size)
    add(data, "--data-seed", "of a built-in corpus, and of what is split off", allowed=some,
        default=0)  # fmt: skip
    add(data, "--max-length", "longer training pairs, in tokens, are left out", allowed=whole,
        default=50)  # fmt: skip

    text = parser.add_argument_group("text")
    kinds = "what a token is: words, characters, or pieces of words learned from the training data"
    add(text, "--tokens", f"{kinds} (default: words, or the built-in corpus' own)", choices=KINDS)
    add(text, "--source-tokens", "of the source alone", choices=KINDS)
    add(text, "--target-tokens", "of the target alone", choices=KINDS)
    flag(text, "--joint", "one vocabulary for both languages")
    flag(text, "--lowercase", "lower-case everything")
    add(text, "--max-vocabulary", "types on each side, the most frequent ones", allowed=whole,
        default=20000)  # fmt: skip
    add(text, "--min-count", "types seen less often become <unk>", allowed=whole, default=1)

    model = parser.add_argument_group("model")
    add(model, "--cell", "of encoder and decoder")
    add(model, "--embedding-size", "size of the word vectors")
    add(model, "--hidden-size", "size of the states, in each direction")
    add(model, "--layers", "recurrent layers in encoder and decoder")
    add(model, "--encoder-hidden-size", "where the encoder's differs, 0 where not")
    add(model, "--encoder-layers", "where the encoder's differ, 0 where not")
    flag(model, "--unidirectional", "the encoder reads from the beginning only")
    flag(model, "--reverse-source", "the encoder reads the source backwards; makes a difference "
         "with --unidirectional")  # fmt: skip
    flag(model, "--hidden-only", "the decoder takes the encoder's hidden state, not its cell")
    add(model, "--attention", "how a query finds its source words")
    flag(model, "--no-attention", "the decoder sees the encoder's last state only")
    add(model, "--heads", "of multi-head attention")
    flag(model, "--direct-readout", "the output layer sees state and context as they are")
    flag(model, "--input-feeding", "the decoder hears its last attentional vector")
    flag(model, "--coverage", "attention knows what has been attended to")
    flag(model, "--peeky", "the decoder hears the encoder's last state at every step")
    add(model, "--tie", "one matrix for the output layer and the target embeddings, or for all "
        "embeddings (with --joint)")  # fmt: skip
    add(model, "--dropout", "share of embeddings, states between layers and outputs set to zero",
        default=0.1)  # fmt: skip
    add(model, "--embedding-dropout", "where that of the embeddings differs")
    add(model, "--output-dropout", "where that of the outputs differs")
    add(model, "--annotation-dropout", "of the encoder's outputs that attention reads")
    add(model, "--recurrent-dropout", "of the states, the same at every step")
    flag(model, "--variational", "dropout between layers is the same at every step, too")
    flag(model, "--layer-norm", "layer normalisation in the LSTM")
    add(model, "--forget-bias", "of the LSTM's forget gates")
    add(model, "--init", "how the weights begin")
    add(model, "--embedding-std", "standard deviation of the first embeddings (default: 1; tied "
        "ones 1 / √size)")  # fmt: skip

    training = parser.add_argument_group("training")
    add(training, "--epochs", "passes over the training pairs, at most (default: 6 built-in, 20 on "
        "your own)", default=None)  # fmt: skip
    add(training, "--max-steps", "stop after so many steps; --resume goes on")
    add(training, "--batch-size", "sentences in a batch")
    add(training, "--batch-tokens", "at most so many tokens in a batch instead, padding included")
    add(training, "--accumulate", "batches that make one step together")
    further = {"type": setting, "default": [], "action": "append", "metavar": "NAME=VALUE"}
    add(training, "--optimizer", "of the library")
    add(training, "--optimizer-option", "further argument of the optimizer, such as momentum=0.9",
        **further)  # fmt: skip
    add(training, "--lr", "learning rate at the start")
    add(training, "--schedule", "of the learning rate; linear: to zero at the end of the last "
        "epoch")  # fmt: skip
    add(training, "--schedule-option", "further argument of the schedule, such as gamma=0.5",
        **further)  # fmt: skip
    add(training, "--warmup", "steps in which the learning rate rises to its start")
    add(training, "--weight-decay", "the optimizer's")
    add(training, "--l1", "weight of the sum of absolute weights in the loss")
    add(training, "--label-smoothing", "share of the truth spread over all types")
    add(training, "--coverage-loss", "weight of attending again, with --coverage")
    add(training, "--sampling", "scheduled sampling: how the share of its own tokens that the "
        "decoder hears grows")  # fmt: skip
    add(training, "--sampling-rate", "that share, at the end")
    add(training, "--sampling-by", "what it is a share of: tokens, or sentences all of whose "
        "tokens are its own")  # fmt: skip
    add(training, "--bptt", "truncate backpropagation to windows of K target steps (default: no "
        "truncation)")  # fmt: skip
    add(training, "--encoder-bptt", "the same for source steps")
    add(training, "--clip-norm", "largest norm of the gradient, 0 for any (default: 1, or any with "
        "--clip-value)", allowed=rule(Amount), default=None)  # fmt: skip
    add(training, "--clip-value", "largest element of the gradient instead")
    add(training, "--on-nonfinite", "a loss or gradient that is not finite ends the run, or the "
        "step is left out")  # fmt: skip
    add(training, "--patience", "stop after so many epochs without better validation")
    add(training, "--stop-on", "what better means")
    add(training, "--average", "translate with the mean weights of the last or the best epochs")
    add(training, "--average-count", "how many epochs")
    add(training, "--ema", "decay of a moving average of the weights, validated and kept in their "
        "place; 0 for none")  # fmt: skip
    add(training, "--seed", "of weights, dropout and order")
    add(training, "--device", "cpu, cuda, cuda:1, or auto", default="cpu")

    run = parser.add_argument_group("run")
    add(run, "--out", "a new directory for the run (default: a fresh one under runs/)", type=path,
        metavar="DIR")  # fmt: skip
    beside = ", ".join(f"--{name.replace('_', '-')}" for name in WITH_RESUME[1:])
    again = f"go on with a run, as if it had not stopped; beside it only {beside}"
    again += ", and the data files, where they were moved"
    add(run, "--resume", again, type=path, metavar="RUN")
    add(run, "--save-every", "steps after which the run is saved, beside the end of each epoch; 0 "
        "for only then")  # fmt: skip
    flag(run, "--check-resume", "show that a killed run of these options goes on bit for bit")
    flag(run, "--bptt-report", "compare truncated with full gradients, of a fresh model or of the "
         "one of --resume")  # fmt: skip
    return parser


def given() -> dict[str, Any]:
    """What the command line says, without any defaults."""
    parser = arguments()
    names = vars(parser.parse_args([]))
    parser.set_defaults(**dict.fromkeys(names))
    return {name: value for name, value in vars(parser.parse_args()).items() if value is not None}


def refuse(parser: argparse.ArgumentParser, names: list[str]) -> None:
    """Options that --resume does not take."""
    if names:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in names)
        parser.error(f"--resume goes on with the options of the run: {options} refused")


def resumed(parser: argparse.ArgumentParser, args: argparse.Namespace) -> argparse.Namespace:
    """What the run of --resume began with, and what is changed."""
    run, said = Path(args.resume), given()
    refuse(parser, [name for name in said if name not in WITH_RESUME + MOVED])
    if not os.path.isdir(run):
        parser.error(f"--resume {run}: there is no such run directory")
    try:
        config = read_json(run / "config.json")
    except RunError as error:
        parser.error(f"--resume {run}: {error}")
    refuse(parser, [name for name in said if name in MOVED and not config.get(name)])
    said |= {name: str(Path(said[name]).absolute()) for name in MOVED if name in said}
    missing = [name for name in (*vars(args), "data_sha256") if name not in config]
    if missing:
        parser.error(
            f"--resume {run}: its config.json lacks {', '.join(missing[:3])}: another version of "
            "this program wrote it, or another program"
        )
    args = argparse.Namespace(**config | {"max_steps": None, "bptt_report": False} | said)
    if args.epochs != config["epochs"]:
        for ends, what in (
            (args.schedule in SCHEDULES and SCHEDULES[args.schedule][2], "schedule"),
            (args.sampling in ("linear", "inverse-sigmoid"), "sampling"),
        ):
            if ends:
                parser.error(
                    f"--epochs: --{what} {getattr(args, what)} of the run ends with epoch "
                    f"{config['epochs']}"
                )
    check_device(parser, args)
    return args


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The command line, or, with --resume, what the run began with and what may be changed.

    What no single argument can see is refused here, before anything is loaded.
    """
    args = parser.parse_args()
    if args.resume:
        return resumed(parser, args)
    own = args.train_file or args.train_src
    if args.check_resume and args.bptt_report:
        parser.error("--check-resume or --bptt-report, not both")
    for part in PARTS:
        tsv, source, target = (getattr(args, f"{part}_{kind}") for kind in ("file", "src", "tgt"))
        if bool(source) != bool(target):
            parser.error(f"--{part}-src and --{part}-tgt go together")
        if tsv and source:
            parser.error(f"--{part}-file or --{part}-src with --{part}-tgt, not both")
        if part != "train" and (tsv or source) and not own:
            parser.error(
                f"{part} files need training files: --train-file, or --train-src with --train-tgt"
            )
    if own and args.corpus:
        parser.error("--corpus or files of your own, not both")
    if args.out and os.path.exists(args.out):
        parser.error(
            f"--out {args.out} exists already; a run is never overwritten: name a new directory"
        )
    said = given()
    for needed, names, why in inert(args):
        idle = [name for name in names if name in said]
        if idle and not needed:
            parser.error(f"--{idle[0].replace('_', '-')} {why}")
    if args.no_attention:
        args.attention = "none"
    if args.clip_value and args.clip_norm:
        parser.error("--clip-norm or --clip-value, not both")
    if args.clip_norm is None and not args.clip_value:
        args.clip_norm = 1.0
    if args.warmup and SCHEDULES[args.schedule][1] in ("epoch", "metric"):
        parser.error(f"--warmup counts steps, --schedule {args.schedule} epochs: take another")
    if args.optimizer == "lbfgs" and (args.weight_decay or args.on_nonfinite == "skip"):
        parser.error("--optimizer lbfgs has neither --weight-decay nor --on-nonfinite skip")
    if args.tie == "all" and not args.joint:
        parser.error("--tie all needs one vocabulary for both languages: --joint")
    args.corpus = None if own else args.corpus or "english-french"
    default = "words" if own else None
    for side in ("source", "target"):
        kind = getattr(args, f"{side}_tokens") or args.tokens or default
        setattr(args, f"{side}_tokens", kind or getattr(corpus(args.corpus), side))
    if args.joint and args.source_tokens != args.target_tokens:
        parser.error(
            f"--joint: source tokens are {args.source_tokens}, target tokens {args.target_tokens}; "
            "give --tokens"
        )
    args.epochs = args.epochs or (20 if own else 6)
    for name in ("optimizer", "schedule"):
        setattr(args, f"{name}_option", dict(getattr(args, f"{name}_option")))
    for name, value in vars(args).items():  # so that the run goes on from anywhere
        if value and name.startswith(("train_", "valid_", "test_")):
            setattr(args, name, os.path.abspath(value))
    check_device(parser, args)
    try:
        model_options(args)
    except OptionError as error:
        parser.error(str(error))
    return args


def inert(args: argparse.Namespace) -> list[tuple[bool, tuple[str, ...], str]]:
    """What must be so for options to have an effect, these options, and a word about it."""
    return [
        (not args.no_attention, ("attention",), "or --no-attention, not both"),
        (args.attention == "multi-head", ("heads",), "is for --attention multi-head"),
        (args.cell == "lstm", ("forget_bias",), f"is of the LSTM, not of --cell {args.cell}"),
        (args.coverage, ("coverage_loss",), "is for --coverage"),
        (
            args.sampling != "none",
            ("sampling_rate", "sampling_by"),
            "is for --sampling constant, linear or inverse-sigmoid",
        ),
        (args.average != "none", ("average_count",), "is for --average last or best"),
        (
            not (args.source_tokens and args.target_tokens),
            ("tokens",),
            "says what --source-tokens and --target-tokens say: give one or the other",
        ),
        (not args.bptt_report, ("out",), "is for a run: --bptt-report writes none"),
    ]


def check_device(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    try:
        mg.backend_for(args.device)
    except (ValueError, RuntimeError) as error:
        parser.error(f"--device {args.device}: {error}")


def same(options: type, args: argparse.Namespace) -> dict[str, Any]:
    """What fields and arguments of one name are."""
    return {one.name: getattr(args, one.name) for one in fields(options) if hasattr(args, one.name)}


def model_options(args: argparse.Namespace) -> ModelOptions:
    return ModelOptions(**same(ModelOptions, args), bidirectional=not args.unidirectional)


def training_options(args: argparse.Namespace) -> TrainingOptions:
    values = same(TrainingOptions, args) | {
        "optimizer_options": args.optimizer_option,
        "schedule_options": args.schedule_option,
        "clip_norm": args.clip_norm or None,
    }
    return TrainingOptions(**values)


def load_data(args: argparse.Namespace) -> dict[str, Pairs]:
    """Sentence pairs by split: train, valid, and those to report on. Raises CorpusError."""
    if args.corpus:
        splits = corpus(args.corpus).load(args.limit, args.data_seed)
    else:
        splits = {}
        for part in PARTS:
            if tsv := getattr(args, f"{part}_file"):
                splits[part] = read_tsv(tsv)
            elif source := getattr(args, f"{part}_src"):
                splits[part] = read_parallel(source, getattr(args, f"{part}_tgt"))
        splits["train"] = splits["train"][: args.limit]
        missing = [part for part in ("valid", "test") if part not in splits]
        if missing:
            splits |= split_by_source(splits["train"], dict.fromkeys(missing, 0.05), args.data_seed)
        splits = {part: splits[part] for part in PARTS}
    return splits


def digest(began: dict[str, Any]) -> str:
    """That of the data, or of the options: a run goes on only with what it began with."""
    return hashlib.sha256(json.dumps(began, sort_keys=True).encode()).hexdigest()


def identity(config: dict[str, Any]) -> str:
    """A digest of what a run began with: all but what may be changed when it goes on."""
    changes = (*WITH_RESUME, *MOVED, "out", "check_resume")
    return digest({name: value for name, value in config.items() if name not in changes})


def short_enough(
    pairs: Pairs, source: Tokenizer, target: Tokenizer, limit: int
) -> tuple[Pairs, int]:
    """Those of at most `limit` tokens on both sides, and the `ratio` that a translator of them
    needs: twice what 999 of 1,000 need, for a test may have longer ones.
    """
    sizes = [(len(source.encode(a)), len(target.encode(b))) for a, b in pairs]
    kept = [pair for pair, both in zip(pairs, sizes) if max(both) <= limit]
    needs = sorted((b - FREE) / (a + 1) for a, b in sizes if max(a, b) <= limit)
    need = needs[int(0.999 * (len(needs) - 1))] if needs else 1
    return kept, math.ceil(2 * max(1, need))


def new_translator(args: argparse.Namespace, splits: dict[str, Pairs]) -> Translator:
    """With tokenizers learned from the training pairs, and fresh weights."""
    train = splits["train"]
    sides = [[pair[side] for pair in train] for side in (0, 1)]
    sizes = {"max_size": args.max_vocabulary, "min_count": args.min_count}
    sizes["lowercase"] = args.lowercase
    try:
        if args.joint:
            source = target = build_tokenizer(args.source_tokens, sides[0] + sides[1], **sizes)
        else:
            source = build_tokenizer(args.source_tokens, sides[0], **sizes)
            target = build_tokenizer(args.target_tokens, sides[1], **sizes)
    except (ValueError, ImportError) as error:  # too small for subwords; no sentencepiece
        raise CorpusError(f"no vocabulary of the training pairs: {error}") from error
    for side, tokenizer in (("source", source), ("target", target)):
        if len(tokenizer) < len(SPECIALS) + 2:
            raise CorpusError(
                f"the {side} vocabulary has {len(tokenizer) - len(SPECIALS)} types: there is "
                "nothing to learn; lower --min-count, raise --max-vocabulary, or give more text"
            )
    kept, ratio = short_enough(train, source, target, args.max_length)
    if not kept:
        raise CorpusError(
            f"all {len(train)} training pairs are longer than --max-length {args.max_length}"
        )
    splits["train"] = kept
    return Translator.new(source, target, model_options(args), args.max_length, ratio)


def report(
    args: argparse.Namespace, translator: Translator, splits: dict[str, Pairs], run: Path
) -> None:
    """Measure every test split, print a table and ten translations, write results.json."""
    results, translations = {}, {}
    names = [name for name in splits if name not in ("train", "valid")]
    try:
        for name in tqdm(names, desc="evaluating", unit="split", dynamic_ncols=True):
            results[name], translations[name] = evaluate(translator, splits[name], args.batch_size)
    except FloatingPointError:
        draw_run(run, translator, [])  # the curves say how it came to that
        raise
    write_text(run / "results.json", json.dumps(results, indent=1) + "\n")

    columns = "sentences", "loss", "perplexity", "tokens", "exact", "BLEU", "chrF"
    print("\n" + f"{'split':<10}" + "{:>10} {:>7} {:>11} {:>8} {:>8} {:>6} {:>6}".format(*columns))
    row = "{:>10} {:>7} {:>11} {:>8.2%} {:>8.2%} {:>6.2f} {:>6.2f}"
    for name, r in results.items():
        cells = [r["sentences"], fixed(r["loss"], 4), fixed(r["perplexity"], 3)]
        cells += [r["token_accuracy"], r["exact_match"], r["bleu"], r["chrf"]]
        print(f"{name:<10}" + row.format(*cells))
    print("\nten test sentences:")
    chosen = range(0, len(splits["test"]), max(1, len(splits["test"]) // 10))[:10]
    for n in chosen:
        (source, reference), translation = splits["test"][n], translations["test"][n]
        mark = "=" if translation == reference else "≠"
        print(
            f"\n  source       {source}\n  reference    {reference}"
            f"\n  translation  {translation}   {mark}"
        )
    drawn = draw_run(run, translator, [splits["test"][n][0] for n in chosen[:3]])
    print(f"\ncurves and attention are drawn in {run}" if drawn else "")
    print(f"translate with it:  {command_line('translate.py', str(run), splits['test'][0][0])}")
    options = translator.model.options
    if options.attention == "none" or args.resume:
        return
    try:
        replace(options, attention="none")
    except OptionError:  # others need it
        return
    others = without(sys.argv[1:], "--out", "--attention", "--heads")
    again = command_line("train_seq2seq.py", *others, "--no-attention")
    print(f"see what attention is for:  {again}")


def command_line(script: str, *arguments: str) -> str:
    """What a user can paste to run a script beside this one with this Python."""
    here, words = Path.cwd(), []
    for file in (Path(sys.executable), Path(__file__).absolute().with_name(script)):
        words.append(str(file.relative_to(here) if file.is_relative_to(here) else file))
    return shlex.join([*words, *arguments])


def fresh_run() -> Path:
    """A directory under runs/ that does not exist, named after the time."""
    name = Path("runs", f"{datetime.now():%Y-%m-%d-%H%M%S}")
    names = (name.with_name(f"{name.name}-{n}") for n in count(2))
    while name.exists():
        name = next(names)
    return name


def begin(args: argparse.Namespace) -> tuple[Trainer, dict[str, Pairs], Path]:
    """A new run: data, tokenizers, model, and a directory that describes them."""
    splits = load_data(args)
    read, data = len(splits["train"]), digest(splits)
    mg.manual_seed(args.seed)
    try:
        translator = new_translator(args, splits)
    except MemoryError as error:
        raise TrainingError(
            f"{error}: lower --hidden-size, --embedding-size or --max-vocabulary"
        ) from error
    translator.model.to(device=args.device)
    run = Path(args.out) if args.out else fresh_run()
    config = vars(args) | {"resume": None, "data_sha256": data}
    trainer = Trainer(
        translator,
        splits["train"],
        splits["valid"],
        training_options(args),
        run,
        identity(config),
    )
    if args.bptt_report:
        return trainer, splits, run
    try:
        run.mkdir(parents=True)
        write_text(run / "config.json", json.dumps(config, indent=1) + "\n")
        translator.save_description(run)
        trainer.save()  # whatever happens from here on, --resume goes on
    except OSError as error:
        raise TrainingError(f"cannot write the run directory {run}: {error}") from error
    parameters = sum(p.numel() for p in translator.model.parameters())
    longer = read - len(splits["train"])
    cut = sum(translator.too_long(a) for name in splits if name != "train" for a, _ in splits[name])
    print(
        f"run {run}: {', '.join(f'{len(pairs)} {name}' for name, pairs in splits.items())} pairs"
        + (f" ({longer} longer than {args.max_length} tokens left out)" if longer else "")
    )
    if cut:
        print(f"{cut} sources of the other parts are longer, too: the rest of them is not read")
    print(
        f"{len(translator.source)} source types, {len(translator.target)} target types, "
        f"{parameters:,} parameters"
    )
    return trainer, splits, run


def resume(args: argparse.Namespace) -> tuple[Trainer, dict[str, Pairs], Path]:
    """A run as it was when it was last saved."""
    run = Path(args.resume)
    translator = Translator.described(run)
    try:
        options = training_options(args)
        splits = load_data(args)
        if digest(splits) != args.data_sha256:
            raise RunError(f"{run} was trained on other data than there is now: restore the files")
        both = translator.source, translator.target
        splits["train"], _ = short_enough(splits["train"], *both, args.max_length)
        translator.model.to(device=args.device)
        trainer = Trainer(
            translator, splits["train"], splits["valid"], options, run, identity(vars(args))
        )
    except (CorpusError, RunError):
        raise
    except OptionError as error:
        raise RunError(f"{run / 'config.json'}: {error}") from error
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        raise RunError(f"{run / 'config.json'} is damaged: {error!r}") from error
    saved = run / "last.safetensors"
    try:
        state = mg.load(saved)
    except FileNotFoundError:
        raise RunError(f"{run} was stopped before it was saved: train it again") from None
    except Exception as error:  # damage may look like anything
        raise RunError(f"cannot read {saved}: {' '.join(str(error).split())}") from error
    trainer.restore(state)
    if not args.bptt_report:
        # what was changed holds when the run goes on once more
        config = vars(args) | {"resume": None, "max_steps": None}
        write_text(run / "config.json", json.dumps(config, indent=1) + "\n")
    print(f"run {run} goes on after step {trainer.step}, in epoch {trainer.epoch}")
    return trainer, splits, run


def main() -> None:
    parser = arguments()
    args = parsed(parser)
    for package in ("safetensors", "sacrebleu"):  # not after hours of training
        if find_spec(package) is None:
            sys.exit(f'error: {package} is not installed: pip install -e ".[scripts]"')
    signal.signal(signal.SIGINT, ANSWER)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # an ASCII terminal must not stop a run
    run, kept = None, ""
    try:
        if args.check_resume:
            others = [one for one in sys.argv[1:] if one != "--check-resume"]
            print(check_resume(Path(__file__), without(others, "--out", "--max-steps")))
            return
        trainer, splits, run = resume(args) if args.resume else begin(args)
        kept = f"; what was saved is kept: --resume {run} goes on from there"
        if args.bptt_report:
            print(bptt_report(trainer.model, list(trainer.batches[:4]), trainer.objective))
            return
        again = command_line("train_seq2seq.py", "--resume", str(run))
        try:
            print(f"training ended: {trainer.fit()}")
        except Stopped:
            print(f"\nstopped at step {trainer.step} and saved; go on with:  {again}")
            sys.exit(INTERRUPTED)
        if trainer.finished:
            report(args, trainer.translator, splits, run)
        else:
            print(f"saved at step {trainer.step}; go on with:  {again}")
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"interrupted{kept}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # as of `train_seq2seq.py | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(f"error: nobody reads what is printed{kept}")
    except OSError as error:  # the run directory's have been told
        where = f" to {error.filename}" if error.filename else ", or to standard output"
        sys.exit(f"error: cannot write{where}: {error.strerror or error}{kept}")
    except (CorpusError, OptionError, TrainingError, RunError, MemoryError) as error:
        sys.exit(f"error: {error or type(error).__name__}")
    except (RuntimeError, FloatingPointError) as error:  # of --check-resume; of a model of NaN
        sys.exit(f"error: {error}")


def without(given: Sequence[str], *names: str) -> list[str]:
    """The command line without these options and their values."""
    left, skip = [], False
    for one in given:
        if not skip and not one.startswith(tuple(f"{name}=" for name in names)):
            if one not in names:
                left.append(one)
        skip = one in names and not skip
    return left


if __name__ == "__main__":
    main()
