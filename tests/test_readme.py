"""What the README shows is what runs, and what it names is there."""

import contextlib
import io
import re
from pathlib import Path

import pytest

import train_seq2seq
import translate

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


EXAMPLES = re.findall(r"```python\n(.*?)```(?:\n\nprints\n\n```text\n(.*?)```)?", README, re.S)


@pytest.mark.parametrize("code, shown", EXAMPLES)
def test_an_example_prints_what_the_readme_says(code, shown):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert printed.getvalue() == shown


def test_every_file_and_option_the_readme_names_exists():
    for path in re.findall(r"`((?:minigrad|models|datasets|docs|benchmarks)/[\w/.]*)`", README):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"\]\(([\w/.]+)\)", README):
        assert (ROOT / path).exists(), path
    known, found = "", 0
    for line in README.splitlines():
        if line.startswith("## "):
            known = (translate if line == "## Translate" else train_seq2seq).arguments()
            known = known.format_help()
        if re.search(r"^    .*(train_seq2seq|translate)\.py", line) or line.startswith("| `--"):
            for option in re.findall(r"--[\w-]+", line):
                assert re.search(rf"{option}\b(?!-)", known), option
                found += 1
    assert found > 20


def test_the_readme_calls_what_ci_calls():
    assert "    make test\n" in README and "    make train\n" in README
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
