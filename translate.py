"""Translate with a trained run.

    python translate.py RUN "The cat is hungry."         one sentence
    python translate.py RUN < sentences.txt              one translation a line, in order
    python translate.py RUN                              a prompt
    python translate.py RUN --beam 5 --n-best 3          the three best: number, score, translation
    python translate.py RUN --json                       JSON lines with tokens and attention
    python translate.py RUN --score < pairs.tsv          how probable given translations are
    python translate.py RUN --plot DIR "The cat ..."     attention and gates, drawn

Standard output carries the translations and nothing else; from a pipe they come every 1000 lines.
Scores and log-probabilities are natural logarithms, </s> included.
"""

from __future__ import annotations

import signal

ANSWER = signal.getsignal(signal.SIGINT)
if __name__ == "__main__" and ANSWER is signal.default_int_handler:
    # an import that Ctrl-C interrupts ends in a traceback: until all is there it ends the program
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import json
import os
import sys
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any, NoReturn, TextIO

from models.ranges import Range, number, path

HOW_TO_TRAIN = "train one first:  python train_seq2seq.py  (a few minutes), or  make train"
CHUNK = 1000  # sentences read before the first is written: memory stays bounded, batches stay full
PATIENCE = 2  # seconds until there is a progress bar

PENALTY = Range(float, 0, 100)  # beyond, powers of lengths leave the range of floats
SIZE, COUNT = Range(int, 1), Range(int, 0)

# name, what it may be, default, meaning
SEARCH: list[tuple[str, Range, Any, str]] = [
    ("--beam", SIZE, 1, "hypotheses kept at every step; 1 is greedy search"),
    ("--n-best", SIZE, 1, "translations of each sentence, best first; at most --beam"),
    ("--length-penalty", PENALTY, 0.0, "α of Wu et al. (2016): above 0 for longer translations"),
    ("--coverage-penalty", PENALTY, 0.0, "β of Wu et al.: for looking at every source word"),
    ("--min-length", COUNT, 0, "tokens that a translation has at least, if --no-repeat lets it"),
    ("--max-length", SIZE, None, "and at most; without, as many as training lets expect"),
    ("--no-repeat", COUNT, 0, "no sequence of N tokens twice; 0 for any"),
]


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line; the usage of so many options would bury it."""
        self.exit(2, f"error: {message}; see --help\n")


def arguments() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made = "a run directory made by train_seq2seq.py"
    parser.add_argument("run", metavar="RUN", nargs="?", type=path, help=made)
    parser.add_argument("sentence", nargs="*", help="sentences; standard input without")
    more = "a further run of the same tokenizers: their probabilities are averaged; may be repeated"
    parser.add_argument(
        "--ensemble", action="append", default=[], metavar="RUN", type=path, help=more
    )

    search = parser.add_argument_group("search")
    for name, allowed, default, meaning in SEARCH:
        meaning += f" (default: {default})" if default is not None else ""
        kind = {"type": number(allowed), "metavar": "N"}
        search.add_argument(name, default=default, help=meaning, **kind)
    unknown = "a word that the model does not know becomes the source word that it looked at"
    search.add_argument("--replace-unknown", action="store_true", help=unknown)
    words = "with --replace-unknown: translations of such words, source TAB target"
    search.add_argument("--dictionary", metavar="TSV", type=path, help=words)

    output = parser.add_argument_group("output")
    lines = "JSON lines: source, translation, tokens, scores, attention"
    output.add_argument("--json", action="store_true", help=lines)
    given = "input is source TAB translation; output the translation's log-probability"
    given += ", where <unk> is read as the letters it is"
    output.add_argument("--score", action="store_true", help=given)
    where = "draw attention and decoder gates of each sentence into a directory, as PNG and SVG"
    output.add_argument("--plot", metavar="DIR", type=path, help=where)
    for what in "attention", "gates":
        shown = f"draw the {what} in the terminal, on standard error"
        output.add_argument(f"--show-{what}", action="store_true", help=shown)
    size = "sentences at a time (default: 64)"
    output.add_argument("--batch-size", type=number(SIZE), default=64, help=size, metavar="N")
    output.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, or auto")
    return parser


def check(parser: Parser, args: argparse.Namespace) -> None:
    """Ends the program where options do not go together."""
    if args.max_length is not None and args.max_length < args.min_length:
        parser.error(
            f"--max-length {args.max_length}: expected at least --min-length, {args.min_length}"
        )
    if args.dictionary and not args.replace_unknown:
        parser.error("--dictionary goes with --replace-unknown")
    defaults = {name: default for name, _, default, _ in SEARCH} | {"--replace-unknown": False}
    for name, default in defaults.items() if args.score else ():
        if getattr(args, name[2:].replace("-", "_")) != default:
            parser.error(f"{name} is for translating: --score takes translations as they are")
    if args.n_best > args.beam:
        parser.error(f"--n-best {args.n_best}: expected at most --beam, which is {args.beam}")


def runs() -> list[Path]:
    """Runs that could be meant, newest last."""
    found = Path("runs").glob("*/model.safetensors")
    return [path.parent for path in sorted(found, key=lambda path: path.stat().st_mtime)]


def fail(error: object) -> NoReturn:
    sys.exit(f"error: {error}")


def lines_of(stream: TextIO | None) -> Iterator[str]:
    """UTF-8 lines without their ends; only \\n and \\r\\n end a line: one line in, one line out."""
    if stream is None:
        fail("standard input is closed: give sentences as arguments, or a file")
    stream.reconfigure(encoding="utf-8", errors="replace", newline="\n")
    try:
        for n, line in enumerate(stream):
            line = line.removeprefix("\ufeff") if n == 0 else line  # a byte order mark
            yield line.removesuffix("\n").removesuffix("\r")
    except OSError as error:
        fail(f"cannot read standard input: {error.strerror or error}")


def prompted(what: str) -> Iterator[str]:
    """What is typed, until the end of input or an empty line."""
    try:
        import readline  # noqa: F401  line editing
    except ImportError:
        pass
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    print(f"{what}, an empty line to end", file=sys.stderr)
    # line editing must know the prompt, but a file that takes the translations must not
    mine, its = ("", "> ") if sys.stdout.isatty() else ("> ", "")
    while True:
        try:
            print(mine, end="", file=sys.stderr, flush=True)
            line = input(its)
        except EOFError:
            print(file=sys.stderr)
            return
        if not line.strip():
            return
        yield line


def one_line(text: str) -> str:
    """A sentence without line ends inside, and without bytes that are no UTF-8: an argument may
    hold some.
    """
    text = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return " ".join(text.split("\n"))


def pair_of(line: str, number: int) -> tuple[str, str]:
    source, tab, target = line.partition("\t")
    if not tab:
        fail(f"line {number} of the input has no tab: --score needs source TAB target")
    return source, target.partition("\t")[0]


def with_tabs(lines: Iterator[str]) -> Iterator[str]:
    """What is typed to be scored: a line without a tab is asked for again."""
    for line in lines:
        if "\t" in line:
            yield line
        else:
            print("no tab in it: source TAB translation is needed", file=sys.stderr)


def record(number: int, sentence: str, one: Any) -> dict[str, Any]:
    """A translation as a JSON line shows it."""
    return {
        "sentence": number,
        "source": sentence,
        "translation": one.text,
        "score": one.score,
        "log_probability": one.log_probability,
        "source_tokens": one.source,
        "tokens": one.target,
        "attention": None if one.weights is None else one.weights.astype(float).round(4).tolist(),
    }


def main() -> None:
    # without standard error, what is printed there would go to standard output
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")
    if sys.stdout is None:
        fail("standard output is closed: there is nowhere to write translations to")
    # translations are UTF-8 whatever the terminal's locale says
    sys.stdout.reconfigure(encoding="utf-8", errors="replace", newline="\n")
    parser = arguments()
    args = parser.parse_intermixed_args()  # options may stand between RUN and sentences
    if args.run is None:
        known = f"; runs here: {', '.join(map(str, runs()))}" if runs() else ""
        parser.exit(2, f"error: a run directory is missing; {HOW_TO_TRAIN}{known}\n")
    check(parser, args)

    import minigrad as mg
    from datasets.files import CorpusError, read_tsv
    from models.translator import RunError, Translator

    signal.signal(signal.SIGINT, ANSWER)
    try:
        dictionary = dict(read_tsv(args.dictionary)) if args.dictionary else None
        mg.backend_for(args.device)
        translator = Translator.load(args.run, *args.ensemble, device=args.device)
    except (CorpusError, RunError, OSError, RuntimeError, MemoryError) as error:
        fail(error)
    needs = {
        "--replace-unknown": args.replace_unknown,
        "--coverage-penalty": args.coverage_penalty,
        "--show-attention": args.show_attention,
    }
    if not translator.attends:
        for name in filter(needs.get, needs):
            fail(f"{name} needs attention, which {args.run} was trained without")
    try:
        if args.plot:
            Path(args.plot).mkdir(parents=True, exist_ok=True)  # not only after the first chunk
        work(args, translator, dictionary)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        abandon(sys.stdout)
        sys.exit(141)  # as programs that die of SIGPIPE
    except OSError as error:
        abandon(sys.stdout)
        fail(f"cannot write{f' {error.filename}' if error.filename else ''}: {error.strerror}")
    except MemoryError:
        fail("out of memory: a smaller --batch-size or --beam needs less")
    except (FloatingPointError, RuntimeError) as error:
        fail(error)


def abandon(stream: TextIO) -> None:
    """What is still to be written goes nowhere: the interpreter tries once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def work(args: argparse.Namespace, translator: Any, dictionary: dict[str, str] | None) -> None:
    """Read, translate or score, and write."""
    from tqdm import tqdm

    from models.search import Search

    by_hand = not args.sentence and sys.stdin is not None and sys.stdin.isatty()
    if args.sentence:
        sentences = map(one_line, args.sentence)
    elif by_hand:
        what = "source TAB translation to score" if args.score else "a sentence to translate"
        sentences = with_tabs(prompted(what)) if args.score else prompted(what)
    else:
        sentences = lines_of(sys.stdin)
    options = {
        "how": Search(
            args.beam,
            args.length_penalty,
            args.coverage_penalty,
            args.min_length,
            args.no_repeat,
            args.n_best,
        ),
        "max_length": args.max_length,
        "attention": bool(args.json or args.plot or args.show_attention),
        "replace_unknown": args.replace_unknown,
        "dictionary": dictionary,
    }
    # on a terminal's standard error, and only where there is something to wait for
    hidden = True if by_hand or args.sentence else None
    bar = tqdm(unit="sentence", delay=PATIENCE, disable=hidden, dynamic_ncols=True, leave=False)
    number = count(1)
    with bar:
        for first in count(1, CHUNK):
            # where a person waits, one by one
            chunk = list(islice(sentences, 1 if by_hand else CHUNK))
            if not chunk:
                return
            given = [pair_of(line, first + n) for n, line in enumerate(chunk)] if args.score else []
            for n, sentence in enumerate([source for source, _ in given] or chunk, first):
                if translator.too_long(sentence):
                    what = f"only the first {translator.max_source} tokens are read"
                    tqdm.write(f"warning: sentence {n} is long, {what}", file=sys.stderr)
            if args.score:
                scored = translator.score(given, args.batch_size, bar.update)
                found = [[one] for one in scored]
            else:
                found = translator.search(chunk, args.batch_size, progress=bar.update, **options)
            for line, pair, best in zip(chunk, given or chunk, found):
                write(args, next(number), pair[0] if args.score else line, best, translator)
            sys.stdout.flush()


def write(
    args: argparse.Namespace, number: int, sentence: str, best: list[Any], translator: Any
) -> None:
    """All that is wanted of a sentence."""
    for one in best:
        if args.json:
            print(json.dumps(record(number, sentence, one), ensure_ascii=False))
        elif args.score:
            print(f"{one.log_probability:.4f}")
        elif args.n_best > 1:
            # beyond four places the order of sums shows: how the sentences were batched
            print(f"{number}\t{one.score:.4f}\t{one.text}")
        else:
            print(one.text)
    if not (args.show_attention or args.show_gates or args.plot):
        return
    if not best[0].target:
        print(f"sentence {number} is empty: there is nothing to draw", file=sys.stderr)
        return
    if args.show_attention or args.show_gates:
        from models.gates import gates_of
        from models.terminal import attention_text, gates_text

        if args.show_attention:
            print(attention_text(best[0]), file=sys.stderr)
        if args.show_gates:
            found = gates_of(translator, sentence, best[0])
            print(gates_text(found, best[0].target), file=sys.stderr)
    if args.plot:
        from models.plots import draw_translation

        draw_translation(translator, sentence, best[0], Path(args.plot), number)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nstopped" if sys.stderr.isatty() else "stopped", file=sys.stderr)  # after ^C
        sys.exit(130)
