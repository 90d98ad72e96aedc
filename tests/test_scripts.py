"""Both scripts from end to end, through their command lines."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from datasets.english_french import english_french
from minigrad.serialization import load_file

ROOT = Path(__file__).resolve().parent.parent
TINY = "--embedding-size 8 --hidden-size 12 --limit 200 --epochs 2 --batch-size 32".split()
MEASURES = {
    "loss", "perplexity", "token_accuracy", "exact_match", "bleu", "chrf", "sentences",
}  # fmt: skip


def script(name, *args, cwd=None, text=None, **env):
    """Run a script of the project in `cwd`, UTF-8 in and out."""
    return subprocess.run(
        [sys.executable, ROOT / name, *map(str, args)],
        cwd=cwd or ROOT,
        input=text if text is not None else "",
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **env},
        timeout=300,
    )


def train(*args, **options):
    return script("train_seq2seq.py", *TINY, *args, **options)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A user's corpus as TSV and as two files, in a folder with a space in its name."""
    folder = tmp_path_factory.mktemp("my corpus")
    pairs = english_french("train", 300, seed=5)
    (folder / "pairs.tsv").write_text(
        "".join(f"{p.source}\t{p.target}\n" for p in pairs), encoding="utf-8"
    )
    for side in ("source", "target"):
        lines = "".join(getattr(p, side) + "\n" for p in pairs)
        (folder / f"{side}.txt").write_text(lines, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on the built-in corpus, and what the script printed."""
    out = tmp_path_factory.mktemp("runs") / "first run"
    done = train("--out", out)
    assert done.returncode == 0, done.stderr
    return out, done


def test_a_run_leaves_everything_that_translating_needs(run):
    out, _ = run
    names = {path.name for path in out.iterdir()}
    assert names == {
        "config.json", "model.json", "source_vocabulary.json", "target_vocabulary.json",
        "model.safetensors", "last.safetensors", "metrics.jsonl", "results.json",
    }  # fmt: skip
    assert load_file(out / "model.safetensors").keys() == load_file(out / "last.safetensors").keys()


def test_results_hold_every_split_and_measure(run):
    results = json.loads((run[0] / "results.json").read_text(encoding="utf-8"))
    assert list(results) == ["test", "agreement", "longer", "new_pairs"]
    for split in results.values():
        assert set(split) == MEASURES
        assert all(math.isfinite(value) for value in split.values())
        assert split["perplexity"] == pytest.approx(math.exp(split["loss"]))
        assert 0 <= split["exact_match"] <= 1 and 0 <= split["token_accuracy"] <= 1
        assert 0 <= split["bleu"] <= 100 and 0 <= split["chrf"] <= 100


def test_metrics_have_a_line_an_epoch(run):
    lines = (run[0] / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert [record["epoch"] for record in records] == [1, 2]
    assert records[1]["train_loss"] < records[0]["train_loss"]


def test_the_report_shows_ten_sentences_and_the_next_steps(run):
    printed = run[1].stdout
    assert printed.count("\n  reference  ") == 10 and printed.count("\n  translation  ") == 10
    assert "translate with it:" in printed and "translate.py" in printed
    assert "--no-attention" in printed
    assert "tokens/s" in run[1].stderr  # progress goes to standard error


def test_the_same_command_twice_gives_the_same_bits(run, tmp_path):
    done = train("--out", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    for name in ("results.json", "model.safetensors", "last.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (run[0] / name).read_bytes(), name
    other = train("--out", tmp_path / "other", "--seed", 1)
    assert other.returncode == 0
    assert (tmp_path / "other" / "results.json").read_bytes() != (
        run[0] / "results.json"
    ).read_bytes()


def test_translate_arguments_and_lines_agree(run, tmp_path):
    sentences = ["The cat is hungry.", "We are tired."]
    by_argument = script("translate.py", run[0], *sentences, cwd=tmp_path)
    by_line = script("translate.py", run[0], cwd=tmp_path, text="\n".join(sentences) + "\n")
    assert by_argument.returncode == by_line.returncode == 0, by_argument.stderr
    assert by_argument.stdout == by_line.stdout
    assert len(by_line.stdout.splitlines()) == 2
    assert by_line.stderr == ""


AWKWARD = {
    "an unknown word": "The xylograph is hungry.",
    "other scripts": "猫は 😀 e\u0301té",
    "a line separator inside": "The cat\u2028is\x0bhungry.\x85Yes.",
    "a very long line": "the cat " * 20_000,
    "only spaces": "   ",
    "an empty line": "",
    "a carriage return": "The cat is hungry.\r",
}


def test_awkward_lines_do_not_shift_the_others(run):
    lines = ["The cat is hungry.", *AWKWARD.values(), "The cat is hungry."]
    done = script("translate.py", run[0], text="\n".join(lines) + "\n")
    assert done.returncode == 0, done.stderr
    out = done.stdout.split("\n")
    assert len(out) == len(lines) + 1 and out[-1] == ""
    assert out[0] == out[len(lines) - 1] == out[1 + list(AWKWARD).index("a carriage return")]
    assert out[1 + list(AWKWARD).index("an empty line")] == ""
    assert out[1 + list(AWKWARD).index("only spaces")] == ""
    assert "only the first 50 tokens" in done.stderr


def test_translating_invalid_utf8_and_an_ascii_terminal(run):
    done = subprocess.run(
        [sys.executable, ROOT / "translate.py", run[0]],
        input="The café is old.\n".encode("latin-1") + b"The cat is hungry.\n",
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"},
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.decode("utf-8").splitlines()) == 2


@pytest.mark.parametrize("no_newline", ["The cat is hungry.", ""])
def test_the_last_line_needs_no_end(run, no_newline):
    done = script("translate.py", run[0], text=no_newline)
    assert len(done.stdout.splitlines()) == (1 if no_newline else 0)


def test_translate_without_a_run_says_how_to_get_one(tmp_path):
    for args in ((), (tmp_path / "nothing",)):
        done = script("translate.py", *args, cwd=tmp_path)
        assert done.returncode != 0 and done.stdout == ""
        assert "train_seq2seq.py" in done.stderr and "Traceback" not in done.stderr


def damage_weights(out):
    path = out / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def damage_vocabulary(out):
    (out / "target_vocabulary.json").write_text('["a",', encoding="utf-8")


def newer_format(out):
    text = (out / "model.json").read_text(encoding="utf-8").replace('"format": 1', '"format": 99')
    (out / "model.json").write_text(text, encoding="utf-8")


def smaller_vocabulary(out):
    (out / "target_vocabulary.json").write_text('["a"]', encoding="utf-8")


def text_for_a_number(out):
    text = (out / "model.json").read_text(encoding="utf-8").replace("50,", '"x",')
    (out / "model.json").write_text(text, encoding="utf-8")


def no_weights(out):
    (out / "model.safetensors").unlink()


@pytest.mark.parametrize(
    "harm, named",
    [
        (damage_weights, "model.safetensors"),
        (damage_vocabulary, "target_vocabulary.json"),
        (newer_format, "format 99"),
        (smaller_vocabulary, "decoder.output.weight"),
        (text_for_a_number, "max_source"),
        (no_weights, "model.safetensors"),
    ],
)
def test_a_damaged_run_is_named_in_one_line(run, tmp_path, harm, named):
    out = tmp_path / "copy"
    out.mkdir()
    for path in run[0].iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    harm(out)
    done = script("translate.py", out, "The cat is hungry.")
    assert done.returncode != 0 and done.stdout == ""
    assert named in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("form", ["tsv", "parallel"])
def test_a_users_corpus_trains_and_translates(corpus, tmp_path, form):
    if form == "tsv":
        files = ["--train-file", corpus / "pairs.tsv"]
    else:
        files = ["--train-src", corpus / "source.txt", "--train-tgt", corpus / "target.txt"]
    options = ["--no-attention", "--bptt", 3, "--layers", 2, "--dropout", 0.2, "--min-count", 2]
    done = train(*files, *options, "--out", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert list(results) == ["test"] and results["test"]["sentences"] >= 1
    out = script("translate.py", tmp_path / "run", "The cat is hungry.", cwd=tmp_path)
    assert out.returncode == 0 and len(out.stdout.splitlines()) == 1


def test_validation_and_test_files_are_used_as_given(corpus, tmp_path):
    lines = (corpus / "pairs.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    for name, part in (("v", lines[:7]), ("t", lines[7:18])):
        (tmp_path / name).write_text("".join(part), encoding="utf-8")
    # fmt: skip
    done = train(
        "--train-file", corpus / "pairs.tsv",
        "--valid-file", tmp_path / "v",
        "--test-file", tmp_path / "t",
        "--out", tmp_path / "run",
    )
    assert done.returncode == 0, done.stderr
    assert "200 train, 7 valid, 11 test" in done.stdout
    results = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["test"]["sentences"] == 11


def test_without_out_a_fresh_directory_is_made(corpus, tmp_path):
    for count in (1, 2):
        done = train("--train-file", corpus / "pairs.tsv", "--epochs", 1, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        made = list((tmp_path / "runs").iterdir())
        assert len(made) == count and all((path / "results.json").is_file() for path in made)


@pytest.mark.parametrize(
    "args, named",
    [
        (["--epochs", "0"], "--epochs"),
        (["--epochs", "2.5"], "--epochs"),
        (["--batch-size", "-3"], "--batch-size"),
        (["--lr", "0"], "--lr"),
        (["--lr", "nan"], "--lr"),
        (["--lr", "inf"], "--lr"),
        (["--hidden-size", "0"], "--hidden-size"),
        (["--embedding-size", "x"], "--embedding-size"),
        (["--layers", "0"], "--layers"),
        (["--dropout", "1"], "--dropout"),
        (["--dropout", "-0.1"], "--dropout"),
        (["--bptt", "0"], "--bptt"),
        (["--clip-norm", "0"], "--clip-norm"),
        (["--limit", "0"], "--limit"),
        (["--seed", "-1"], "--seed"),
        (["--patience", "0"], "--patience"),
        (["--device", "tpu"], "--device"),
        (["--train-src", "x"], "--train-tgt"),
        (["--valid-file", "x"], "--train-file"),
        (["--train-file", "x", "--train-src", "y", "--train-tgt", "z"], "--train-file"),
        (["--train-file", "nowhere.tsv"], "nowhere.tsv"),
        (["--train-file", "empty.tsv"], "empty.tsv"),
        (["--train-file", "notab.tsv"], "line 2"),
        (["--train-file", "latin1.tsv"], "line 1"),
        (["--train-src", "two.txt", "--train-tgt", "three.txt"], "three.txt"),
        (["--train-file", "long.tsv", "--max-length", "3"], "--max-length"),
        (["--out", "."], "--out"),
        (["--out", ""], "--out"),
        (["--train-file", ""], "--train-file"),
        (["--seed", "1.5"], "--seed"),
        (["--train-file", "long.tsv", "--min-count", "1000"], "--min-count"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(tmp_path, args, named):
    (tmp_path / "empty.tsv").write_text("")
    (tmp_path / "notab.tsv").write_text("a\tb\nno tab here\n")
    (tmp_path / "latin1.tsv").write_bytes("café\tb\n".encode("latin-1"))
    (tmp_path / "two.txt").write_text("a\nb\n")
    (tmp_path / "three.txt").write_text("a\nb\nc\n")
    lines = "".join(f"one two three four {n}\tun deux trois\n" for n in range(60))
    (tmp_path / "long.tsv").write_text(lines)
    before = sorted(tmp_path.iterdir())
    done = script("train_seq2seq.py", *args, cwd=tmp_path)
    assert done.returncode != 0
    assert named in done.stderr and "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before  # nothing was begun


@pytest.mark.parametrize("name", ["train_seq2seq.py", "translate.py"])
def test_help_names_every_option_with_its_meaning(name):
    done = script(name, "--help")
    assert done.returncode == 0
    wanted = "batch-size device"
    if name == "train_seq2seq.py":
        wanted += (
            " train-file train-src train-tgt valid-file valid-src valid-tgt test-file test-src"
            " test-tgt limit epochs lr embedding-size hidden-size layers dropout bptt clip-norm"
            " seed out"
        )
    for option in wanted.split():
        lines = done.stdout.split(f"  --{option} ", 1)[1].split("\n  -")[0]
        assert len(lines.split()) > 3, option  # not only the name but what it means


@pytest.mark.parametrize("epochs", [1, 3])
def test_numbers_out_of_range_end_a_run_with_one_line(corpus, tmp_path, epochs):
    done = train(
        "--train-file", corpus / "pairs.tsv", "--out", tmp_path / "run", "--lr", 1e38,
        "--epochs", epochs,
    )  # fmt: skip
    assert done.returncode != 0
    assert "--lr" in done.stderr and "Traceback" not in done.stderr


def test_a_byte_order_mark_is_no_word(run):
    plain, marked = (script("translate.py", run[0], text=m + "The cat.\n") for m in ("", "\ufeff"))
    assert plain.stdout == marked.stdout != ""


def test_a_failed_run_keeps_an_existing_one(run):
    before = {path.name: path.read_bytes() for path in run[0].iterdir()}
    done = train("--out", run[0])
    assert done.returncode != 0 and "never overwritten" in done.stderr
    assert {path.name: path.read_bytes() for path in run[0].iterdir()} == before
