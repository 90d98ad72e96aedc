"""Translate with a trained run.

    python translate.py RUN "The cat is hungry."    one sentence
    python translate.py RUN < sentences.txt         one translation a line, in order

Standard output carries the translations and nothing else; from a pipe they come every 1000 lines.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

HOW_TO_TRAIN = "train one first:  python train_seq2seq.py  (a few minutes), or  make train"
CHUNK = 1000  # sentences read before the first is written: memory stays bounded, batches stay full


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="a run directory made by train_seq2seq.py")
    parser.add_argument("sentence", nargs="*", help="sentences; standard input without")
    parser.add_argument("--batch-size", type=int, default=64, help="sentences at a time (64)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, or auto")
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


def one_line(text: str) -> str:
    """A sentence without line ends inside: an argument may hold some."""
    return " ".join(text.split("\n"))


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

    import minigrad as mg
    from models.translator import Translator

    try:
        mg.backend_for(args.device)
        translator = Translator.load(args.run, args.device)
    except (ValueError, RuntimeError) as error:
        sys.exit(f"error: {error}" + (f"\n{HOW_TO_TRAIN}" if not Path(args.run).exists() else ""))
    # translations are UTF-8 whatever the terminal's locale says
    sys.stdout.reconfigure(encoding="utf-8", errors="replace", newline="\n")

    if args.sentence:
        sentences, chunk_size = map(one_line, args.sentence), CHUNK
    else:
        sentences, chunk_size = lines_of(sys.stdin), 1 if sys.stdin.isatty() else CHUNK
    try:
        while chunk := list(islice(sentences, chunk_size)):
            for sentence in filter(translator.too_long, chunk):
                what = f"only the first {translator.max_source} tokens were read of"
                print(f"{what}: {sentence[:60]}...", file=sys.stderr)
            for translation in translator.translate(chunk, args.batch_size):
                print(translation)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, `head` perhaps, has seen enough
        sys.stderr.close()
    except OSError as error:
        sys.exit(f"error: cannot write the translations: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
