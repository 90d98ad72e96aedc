"""Measure everything that `benchmarks/README.md` shows, and write it there.

    python benchmarks/page.py                 all of it
    python benchmarks/page.py linear.py       only the commands with this in them

What a command of the page prints stands between `<!-- python benchmarks/... -->` and
`<!-- end -->`; all else there is written by hand.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import time

from harness import ROOT

PAGE = ROOT / "benchmarks" / "README.md"
BLOCK = re.compile(r"<!-- (python benchmarks/.*?) -->\n.*?<!-- end -->", re.DOTALL)


def measured(command: str) -> str:
    """The block of a command, with what it prints now."""
    print(command, end=" ", flush=True)
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *shlex.split(command)[1:]], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        sys.exit(f"failed: {command}")
    print(f"{time.perf_counter() - began:.0f} s", flush=True)
    return f"<!-- {command} -->\n`{command}`: {done.stdout}<!-- end -->"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("only", nargs="*", help="parts of commands")
    only = parser.parse_args().only or [""]
    for block in BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        if any(part in block[1] for part in only):
            new = measured(block[1])
            # written at once, so that a run that is stopped keeps what it has
            page = PAGE.read_text(encoding="utf-8").replace(block[0], new)
            PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
