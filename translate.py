"""Translate with a trained run.

    python translate.py RUN "The cat is hungry."         one sentence
    python translate.py RUN < sentences.txt              one translation a line, in order
    python translate.py RUN                              a prompt
    python translate.py RUN --beam 5 --n-best 3 --json   the three best, as JSON lines
    python translate.py RUN --score < pairs.tsv          how probable given translations are
    python translate.py RUN --plot DIR "The cat ..."     attention and gates, drawn

Standard output carries the translations and nothing else; from a pipe they come every 1000 lines.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

HOW_TO_TRAIN = "train one first:  python train_seq2seq.py  (a few minutes), or  make train"
CHUNK = 1000  # sentences read before the first is written: memory stays bounded, batches stay full


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="a run directory made by train_seq2seq.py")
    parser.add_argument("sentence", nargs="*", help="sentences; standard input without")
    more = "a further run of the same tokenizers: their probabilities are averaged; may be repeated"
    parser.add_argument("--ensemble", action="append", default=[], metavar="RUN", help=more)

    search = parser.add_argument_group("search")

    def add(name: str, kind: type, default: Any, meaning: str) -> None:
        meaning += f" (default: {default})" if default is not None else ""
        search.add_argument(name, type=kind, default=default, help=meaning, metavar="N")

    add("--beam", int, 1, "hypotheses kept at every step; 1 is greedy search")
    add("--n-best", int, 1, "translations of each sentence, best first")
    add("--length-penalty", float, 0.0, "α of Wu et al. (2016): above 0 for longer translations")
    add("--coverage-penalty", float, 0.0, "β of Wu et al. (2016): for looking at every source word")
    add("--min-length", int, 0, "tokens that a translation has at least")
    add("--max-length", int, None, "tokens that it has at most; twice the source's and 10 without")
    add("--no-repeat", int, 0, "no sequence of N tokens twice; 0 for any")
    unknown = "a word that the model does not know becomes the source word that it looked at"
    search.add_argument("--replace-unknown", action="store_true", help=unknown)
    words = "with --replace-unknown: translations of such words, source TAB target"
    search.add_argument("--dictionary", metavar="TSV", help=words)

    output = parser.add_argument_group("output")
    lines = "JSON lines: source, translation, tokens, scores, attention"
    output.add_argument("--json", action="store_true", help=lines)
    given = "input is source TAB translation; output the translation's log-probability"
    output.add_argument("--score", action="store_true", help=given)
    where = "draw attention and decoder gates of each sentence into a directory, as PNG and SVG"
    output.add_argument("--plot", metavar="DIR", help=where)
    shown = "draw the attention in the terminal, on standard error"
    output.add_argument("--show-attention", action="store_true", help=shown)
    output.add_argument("--batch-size", type=int, default=64, help="sentences at a time (64)")
    output.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, or auto")
    return parser


def runs() -> list[Path]:
    """Runs that could be meant, newest last."""
    return sorted(path.parent for path in Path("runs").glob("*/model.safetensors"))


def lines_of(stream: TextIO) -> Iterator[str]:
    """UTF-8 lines without their ends; only \\n and \\r\\n end a line: one line in, one line out."""
    stream.reconfigure(encoding="utf-8", errors="replace", newline="\n")
    for number, line in enumerate(stream):
        line = line.removeprefix("\ufeff") if number == 0 else line  # a byte order mark
        yield line.removesuffix("\n").removesuffix("\r")


def prompted() -> Iterator[str]:
    """What is typed, until the end of input or an empty line."""
    try:
        import readline  # noqa: F401  line editing
    except ImportError:
        pass
    print("a sentence to translate, an empty line to end", file=sys.stderr)
    while True:
        try:
            print("> ", end="", file=sys.stderr, flush=True)
            line = input()
        except EOFError:
            return
        if not line.strip():
            return
        yield line


def one_line(text: str) -> str:
    """A sentence without line ends inside: an argument may hold some."""
    return " ".join(text.split("\n"))


def pair_of(line: str, number: int) -> tuple[str, str]:
    source, tab, target = line.partition("\t")
    if not tab:
        sys.exit(f"error: line {number} of the input has no tab: --score needs source TAB target")
    return source, target.partition("\t")[0]


def record(sentence: str, one: Any) -> dict[str, Any]:
    """A translation as a JSON line shows it; scores are natural logarithms."""
    return {
        "source": sentence,
        "translation": one.text,
        "score": one.score,
        "log_probability": one.log_probability,
        "source_tokens": one.source,
        "tokens": one.target,
        "attention": None if one.weights is None else one.weights.round(4).tolist(),
    }


def main() -> None:
    parser = arguments()
    if len(sys.argv) == 1:
        found = runs()
        known = f"\nruns here: {', '.join(map(str, found))}" if found else ""
        parser.exit(
            2, f"{parser.format_usage()}a run directory is missing; {HOW_TO_TRAIN}{known}\n"
        )
    args = parser.parse_args()
    if args.batch_size < 1:
        parser.error(f"--batch-size {args.batch_size}: expected at least 1")
    if args.max_length is not None and args.max_length < max(1, args.min_length):
        parser.error(f"--max-length {args.max_length}: expected at least 1 and --min-length")
    if args.dictionary and not args.replace_unknown:
        parser.error("--dictionary goes with --replace-unknown")

    import minigrad as mg
    from datasets.files import CorpusError, read_tsv
    from models.plots import attention_text, draw_translation
    from models.search import Search
    from models.translator import Translator

    try:
        how = Search(
            args.beam,
            args.length_penalty,
            args.coverage_penalty,
            args.min_length,
            args.no_repeat,
            args.n_best,
        )
    except ValueError as error:
        parser.error(str(error))
    try:
        dictionary = dict(read_tsv(args.dictionary)) if args.dictionary else None
        mg.backend_for(args.device)
        translator = Translator.load(args.run, *args.ensemble, device=args.device)
    except (CorpusError, ValueError, RuntimeError) as error:
        sys.exit(f"error: {error}" + (f"\n{HOW_TO_TRAIN}" if not Path(args.run).exists() else ""))
    # translations are UTF-8 whatever the terminal's locale says
    sys.stdout.reconfigure(encoding="utf-8", errors="replace", newline="\n")

    by_hand = not args.sentence and sys.stdin.isatty()
    sentences: Iterable[str]
    if args.sentence:
        sentences = map(one_line, args.sentence)
    else:
        sentences = prompted() if by_hand and not args.score else lines_of(sys.stdin)
    looking = args.json or args.plot or args.show_attention
    options = {"max_length": args.max_length, "attention": looking, "dictionary": dictionary}
    options["replace_unknown"] = args.replace_unknown

    def results(chunk: list[str]) -> Iterator[tuple[str, list]]:
        """Each sentence with its translations."""
        if args.score:
            pairs = [pair_of(line, read + n) for n, line in enumerate(chunk, 1)]
            scored = translator.score(pairs, args.batch_size)
            return zip([source for source, _ in pairs], [[one] for one in scored])
        for sentence in filter(translator.too_long, chunk):
            what = f"only the first {translator.max_source} tokens were read of"
            print(f"{what}: {sentence[:60]}...", file=sys.stderr)
        return zip(chunk, translator.search(chunk, args.batch_size, how, **options))

    # on a terminal's standard error, and only where there is something to wait for
    from tqdm import tqdm

    hidden = True if by_hand or args.sentence else None
    bar = tqdm(unit="sentence", delay=2, disable=hidden, dynamic_ncols=True, leave=False)
    read = 0
    try:
        with bar:
            while chunk := list(islice(iter(sentences), 1 if by_hand else CHUNK)):
                for sentence, found in results(chunk):
                    read += 1
                    for one in found:
                        if args.json:
                            print(json.dumps(record(sentence, one), ensure_ascii=False))
                        elif args.score:
                            print(f"{one.log_probability:.6f}")
                        elif args.n_best > 1:
                            print(f"{one.score:.6f}\t{one.text}")
                        else:
                            print(one.text)
                    if args.show_attention:
                        print(attention_text(found[0]), file=sys.stderr)
                    if args.plot:
                        draw_translation(translator, sentence, found[0], Path(args.plot), read)
                sys.stdout.flush()
                bar.update(len(chunk))
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        sys.stderr.close()
    except OSError as error:
        sys.exit(f"error: cannot write: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
