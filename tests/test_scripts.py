"""Both scripts from end to end, through their command lines."""

import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harms import cut, edit, flip, remove, write

import minigrad as mg
import train_seq2seq
from datasets.english_french import english_french
from minigrad.serialization import load_file
from models.checks import differences
from models.translator import Translator

ROOT = Path(__file__).resolve().parent.parent
TINY = "--embedding-size 8 --hidden-size 12 --limit 200 --epochs 2 --batch-size 32".split()
MEASURES = {
    "loss", "perplexity", "token_accuracy", "exact_match", "bleu", "bleu_signature", "chrf",
    "sentences",
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
    (folder / "plain").mkdir()  # on PYTHONPATH: no curves, which take seconds to draw
    (folder / "plain" / "matplotlib.py").write_text("raise ImportError")
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
    names = {path.name for path in out.iterdir() if path.suffix not in (".png", ".svg")}
    assert names == {
        "config.json", "model.json", "source_tokenizer.json", "target_tokenizer.json",
        "model.safetensors", "last.safetensors", "metrics.jsonl", "steps.jsonl", "results.json",
    }  # fmt: skip
    state = mg.load(out / "last.safetensors")
    assert load_file(out / "model.safetensors").keys() == state["model"].keys()


def test_results_hold_every_split_and_measure(run):
    results = json.loads((run[0] / "results.json").read_text(encoding="utf-8"))
    assert list(results) == ["test", "agreement", "longer", "new_pairs"]
    for split in results.values():
        assert set(split) == MEASURES
        assert split.pop("bleu_signature").startswith("nrefs:1|")
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


def test_the_same_command_twice_gives_the_same_bits(corpus, tmp_path):
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        given = ["--train-file", corpus / "pairs.tsv", "--dropout", 0.2, "--seed", seed]
        done = train(*given, "--out", tmp_path / name, PYTHONPATH=str(corpus / "plain"))
        assert done.returncode == 0, done.stderr
    one, again, other = (tmp_path / name for name in ("one", "again", "other"))
    assert left_by(one) == left_by(again)
    assert differences(*[mg.load(r / "last.safetensors") for r in (one, again)]) == []
    assert (one / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()


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
    files = ["--train-file", corpus / "pairs.tsv", "--valid-file", tmp_path / "v"]
    files += ["--test-file", tmp_path / "t"]
    done = train(*files, "--direct-readout", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert "200 train, 7 valid, 11 test" in done.stdout
    assert "--no-attention" not in done.stdout  # a direct readout needs one
    results = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["test"]["sentences"] == 11


def test_without_out_a_fresh_directory_is_made(corpus, tmp_path):
    for count in (1, 2):
        done = train("--train-file", corpus / "pairs.tsv", "--epochs", 1, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        made = list((tmp_path / "runs").iterdir())
        assert len(made) == count and all((path / "results.json").is_file() for path in made)


def main(monkeypatch, capsys, *args):
    """train_seq2seq.py in this process: status, standard output, standard error."""
    monkeypatch.setattr(sys, "argv", ["train_seq2seq.py", *map(str, args)])
    monkeypatch.setattr(train_seq2seq, "draw_run", lambda *_: None)  # takes seconds
    capsys.readouterr()
    status, said = 0, ""
    try:
        train_seq2seq.main()
    except SystemExit as end:
        status = end.code or 0
        if isinstance(status, str):  # as the interpreter prints it
            status, said = 1, status + "\n"
    out, err = capsys.readouterr()
    return status, out, err + said


REFUSED = [
    (["--epochs", "0"], "--epochs"),
    (["--epochs", "2.5"], "--epochs"),
    (["--batch-size", "-3"], "--batch-size"),
    (["--batch-tokens", "0"], "--batch-tokens"),
    (["--accumulate", "0"], "--accumulate"),
    (["--lr", "0"], "--lr"),
    (["--lr", "-1"], "--lr"),
    (["--lr", "nan"], "--lr"),
    (["--lr", "inf"], "--lr"),
    (["--lr"], "--lr"),
    (["--ema", "1"], "--ema"),
    (["--label-smoothing", "1"], "--label-smoothing"),
    (["--sampling-rate", "1.1"], "--sampling-rate"),
    (["--sampling", "often"], "--sampling"),
    (["--hidden-size", "0"], "--hidden-size"),
    (["--train-file", "fine.tsv", "--hidden-size", "999999999"], "--hidden-size"),
    (["--hidden-size", "9999999999999999999999"], "--hidden-size"),
    (["--embedding-size", "x"], "--embedding-size"),
    (["--layers", "0"], "--layers"),
    (["--dropout", "1"], "--dropout"),
    (["--dropout", "-0.1"], "--dropout"),
    (["--bptt", "0"], "--bptt"),
    (["--clip-norm", "-1"], "--clip-norm"),
    (["--clip-norm", "1", "--clip-value", "1"], "not both"),
    (["--limit", "0"], "--limit"),
    (["--limit", "-5"], "--limit"),
    (["--limit", "100000000000"], "limit"),
    (["--corpus", "esperanto"], "--corpus"),
    (["--corpus", "copy", "--train-file", "fine.tsv"], "not both"),
    (["--seed", "-1"], "--seed"),
    (["--seed", "1.5"], "--seed"),
    (["--patience", "0"], "--patience"),
    (["--device", "tpu"], "--device"),
    (["--train-src", "x"], "--train-tgt"),
    (["--valid-file", "x"], "--train-file"),
    (["--train-file", "x", "--train-src", "y", "--train-tgt", "z"], "--train-file"),
    (["--train-file", "nowhere.tsv"], "nowhere.tsv"),
    (["--train-file", "."], "directory"),
    (["--train-file", "empty.tsv"], "empty.tsv"),
    (["--train-file", "fine.tsv", "--valid-file", "empty.tsv"], "empty.tsv"),
    (["--train-file", "notab.tsv"], "line 2"),
    (["--train-file", "latin1.tsv"], "line 1"),
    (["--train-src", "two.txt", "--train-tgt", "three.txt"], "three.txt"),
    (["--train-src", "two.txt", "--train-tgt", "empty.tsv"], "empty.tsv"),
    (["--train-file", "fine.tsv", "--max-length", "3"], "--max-length"),
    (["--train-file", "fine.tsv", "--min-count", "1000"], "--min-count"),
    (["--train-file", "fine.tsv", "--max-vocabulary", "1"], "--max-vocabulary"),
    (["--train-file", "one_word.tsv"], "1 types"),
    (["--train-file", "one_word.tsv", "--limit", "1"], "distinct"),
    (["--train-file", "fine.tsv", "--tokens", "bpe", "--max-vocabulary", "3"], "vocabulary"),
    (["--train-file", ""], "--train-file"),
    (["--out", "."], "--out"),
    (["--out", ""], "--out"),
    (["--train-file", "fine.tsv", "--out", "fine.tsv/run"], "fine.tsv/run"),
    (["--train-file", "fine.tsv", "--out", "/proc/run"], "/proc/run"),
    (["--tie", "all"], "--joint"),
    (["--joint", "--source-tokens", "words", "--target-tokens", "bpe"], "--joint"),
    (["--no-attention", "--input-feeding", "--train-file", "fine.tsv"], "attention"),
    (["--no-attention", "--attention", "additive"], "--attention or --no-attention"),
    # as said as another value, though it is the default
    (["--no-attention", "--attention", "dot"], "--attention or --no-attention"),
    (["--heads", "4"], "--heads is for --attention multi-head"),
    (["--cell", "gru", "--forget-bias", "1"], "--forget-bias is of the LSTM"),
    (["--coverage-loss", "5"], "--coverage-loss is for --coverage"),
    (["--tokens", "bpe", "--source-tokens", "words", "--target-tokens", "bpe"], "--tokens says"),
    (["--bptt-report", "--out", "x"], "--out is for a run"),
    (["--optimizer", "rprop", "--weight-decay", "1", "--limit", "9"], "no weight_decay"),
    (["--sampling-by", "sentence"], "--sampling-by is for --sampling"),
    (["--average-count", "2"], "--average-count is for --average"),
    (["--layers", "1000000000"], "--layers"),
    (["--resume", "x" * 300], "there is no such run"),
    (["--train-file", "x" * 300], "File name too long"),
    (["--train-file", "fine.tsv", "--out", "x" * 300], "File name too long"),
    (["--attention", "multi-head", "--heads", "3", "--train-file", "fine.tsv"], "3 heads"),
    (["--cell", "gru", "--layer-norm", "--train-file", "fine.tsv"], "lstm"),
    (["--variational", "--train-file", "fine.tsv"], "two layers"),
    (["--optimizer", "lbfgs", "--weight-decay", "1"], "lbfgs"),
    (["--optimizer", "lbfgs", "--on-nonfinite", "skip"], "lbfgs"),
    (["--optimizer-option", "momentum=0.9", "--train-file", "fine.tsv"], "momentum"),
    (["--optimizer-option", "lr=0.9", "--train-file", "fine.tsv"], "lr"),
    (["--optimizer-option", "betas=3", "--train-file", "fine.tsv"], "betas is 3, expected a list"),
    (["--optimizer-option", "eps=x", "--train-file", "fine.tsv"], "eps is 'x', expected a number"),
    (["--optimizer-option", "amsgrad=maybe", "--train-file", "fine.tsv"], "true or false"),
    (["--optimizer-option", "betas"], "NAME=VALUE"),
    (
        [
            "--optimizer",
            "lbfgs",
            "--optimizer-option",
            "line_search_fn=armijo",
            "--train-file",
            "fine.tsv",
        ],
        "armijo",
    ),
    (
        ["--schedule", "step", "--schedule-option", "step_size=0", "--train-file", "fine.tsv"],
        "step_size is 0",
    ),
    (
        ["--schedule", "step", "--schedule-option", "gamma=a", "--train-file", "fine.tsv"],
        "gamma is 'a', expected a number",
    ),
    (
        ["--schedule", "multistep", "--schedule-option", "milestones=3"],
        "milestones is 3, expected a list like [5,8]",
    ),
    (["--schedule-option", "gamma=0.5", "--train-file", "fine.tsv"], "gamma"),
    (["--schedule", "step", "--warmup", "5"], "--warmup"),
    (["--resume", "nowhere"], "nowhere"),
    (["--resume", "."], "config.json"),
    (["--resume", ""], "--resume"),
    (["--resume", ".", "--lr", "0.004"], "--lr"),
    (["--resume", ".", "--optimizer-option", "a=1"], "--optimizer-option"),
    (["--resume", ".", "--joint"], "--joint"),
    (["--resume", ".", "--check-resume"], "--check-resume"),
    (["--no-such-option"], "--no-such-option"),
    (["--check"], "--check"),
    (["stray"], "stray"),
]


@pytest.mark.parametrize("args, named", REFUSED, ids=[" ".join(args) for args, _ in REFUSED])
def test_what_makes_no_sense_is_refused_by_name(tmp_path, monkeypatch, capsys, args, named):
    (tmp_path / "empty.tsv").write_text("")
    (tmp_path / "notab.tsv").write_text("a\tb\nno tab here\n")
    (tmp_path / "latin1.tsv").write_bytes("café\tb\n".encode("latin-1"))
    (tmp_path / "two.txt").write_text("a\nb\n")
    (tmp_path / "three.txt").write_text("a\nb\nc\n")
    lines = "".join(f"one two three four {n}\tun deux trois\n" for n in range(60))
    (tmp_path / "fine.tsv").write_text(lines)
    lines = "".join(f"one {n}\tun\n" for n in range(60))
    (tmp_path / "one_word.tsv").write_text(lines)
    before = sorted(tmp_path.iterdir())
    monkeypatch.chdir(tmp_path)
    status, out, err = main(monkeypatch, capsys, *args)
    assert status != 0 and out == ""
    assert named in err and "Traceback" not in err
    assert len(err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before  # nothing was begun


# going on

OPTIONS = "--embedding-size 8 --hidden-size 12 --batch-size 4 --epochs 3 --save-every 3".split()
KILLED = {
    "default": [],
    "much": "--dropout 0.3 --recurrent-dropout 0.2 --ema 0.9 --average best --average-count 2 "
    "--sampling linear --batch-tokens 40 --accumulate 2 --warmup 5 --stop-on bleu".split(),
    "momentum": "--optimizer sgd --optimizer-option momentum=0.9 --schedule one-cycle "
    "--patience 1 --average last --source-tokens characters".split(),
}  # fmt: skip


def last_step(run):
    return mg.load(run / "last.safetensors")["step"]


def left_by(run):
    """What a run leaves, but for the time it took."""
    found = {name: (run / name).read_bytes() for name in ("model.safetensors", "results.json")}
    for name in ("metrics", "steps"):
        lines = (run / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
        times = "seconds", "tokens_per_second"
        found[name] = [{k: v for k, v in r.items() if k not in times} for r in records]
    return found


def killed(run, *args, moment):
    """A run that gets SIGKILL when `moment` has come."""
    process = subprocess.Popen(
        [sys.executable, ROOT / "train_seq2seq.py", *map(str, args), "--out", run],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while process.poll() is None and not moment(run):
        time.sleep(0.0005)
    process.kill()
    process.wait()


MOMENTS = {
    "in an epoch": lambda run: (run / "last.safetensors").exists() and last_step(run) >= 6,
    "in a save": lambda run: (
        (run / "metrics.jsonl").exists() and any(run.glob(".last.safetensors.*"))
    ),
    "after an epoch": lambda run: (run / "metrics.jsonl").exists(),
}


@pytest.mark.parametrize("name, moment", zip(KILLED, MOMENTS))
def test_sigkill_and_resume_is_the_run_that_was_never_stopped(corpus, tmp_path, name, moment):
    given = [*OPTIONS, "--train-file", corpus / "pairs.tsv", "--limit", 60, *KILLED[name]]
    plain = {"PYTHONPATH": str(corpus / "plain")}
    whole = script("train_seq2seq.py", *given, "--out", tmp_path / "whole", **plain)
    assert whole.returncode == 0, whole.stderr
    run = tmp_path / "killed"
    killed(run, *given, moment=MOMENTS[moment])
    done = script("train_seq2seq.py", "--resume", run, cwd=tmp_path, **plain)
    assert done.returncode == 0, done.stderr
    assert left_by(run) == left_by(tmp_path / "whole")
    one, other = (mg.load(tmp_path / n / "last.safetensors") for n in ("whole", "killed"))
    assert differences(one, other) == [] and not list(run.glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_and_says_how_to_go_on(corpus, tmp_path, number):
    run = tmp_path / "a run"
    process = subprocess.Popen(
        [sys.executable, ROOT / "train_seq2seq.py", *OPTIONS, "--train-file", corpus / "pairs.tsv",
         "--epochs", "500", "--patience", "500", "--out", run],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    while process.poll() is None and not (run / "metrics.jsonl").exists():
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and "Traceback" not in err
    (line,) = [line for line in out.splitlines() if "go on with:" in line]
    assert f"stopped at step {last_step(run)} and saved" in line
    command = shlex.split(line.split("go on with:")[1])
    more = subprocess.run(
        [*command, "--max-steps", str(last_step(run) + 2)], cwd=ROOT, capture_output=True
    )
    assert more.returncode == 0 and b"goes on after step" in more.stdout


def test_a_package_that_the_report_needs_is_asked_for_before_the_training(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(train_seq2seq, "find_spec", lambda name: None)
    status, out, err = main(monkeypatch, capsys, *TINY, "--out", tmp_path / "run")
    assert status == 1 and not out and not (tmp_path / "run").exists()
    assert err == 'error: safetensors is not installed: pip install -e ".[scripts]"\n'


def test_a_run_goes_on_where_its_data_was_moved(corpus, tmp_path, monkeypatch, capsys):
    pairs, run = tmp_path / "pairs.tsv", tmp_path / "run"
    shutil.copy(corpus / "pairs.tsv", pairs)
    given = [*OPTIONS, "--train-file", pairs, "--max-steps", 2, "--out", run]
    assert main(monkeypatch, capsys, *given)[0] == 0
    moved = pairs.rename(tmp_path / "moved.tsv")
    for name in (".tmpAbC123", ".model.safetensors.x7", ".config.json.k2", ".metrics.jsonl.q"):
        (run / name).write_text("half")  # as a kill leaves it
    again = ["--resume", run, "--max-steps", 3]
    status, _, err = main(monkeypatch, capsys, *again)
    assert status != 0 and "pairs.tsv does not exist" in err
    assert main(monkeypatch, capsys, *again, "--train-src", moved)[0] != 0  # it had no such file
    assert main(monkeypatch, capsys, *again, "--train-file", corpus / "source.txt")[0] != 0
    assert main(monkeypatch, capsys, *again, "--train-file", moved)[0] == 0
    assert last_step(run) == 3 and not [p for p in run.iterdir() if p.name.startswith(".")]
    assert main(monkeypatch, capsys, *again[:2], "--max-steps", 4)[0] == 0  # it is remembered


def test_two_seeds_have_the_same_data_and_translate_together(corpus, tmp_path, monkeypatch, capsys):
    runs = [tmp_path / str(seed) for seed in (1, 2)]
    for seed, out in zip((1, 2), runs):
        given = ["--train-file", corpus / "pairs.tsv", "--seed", seed, "--out", out]
        assert main(monkeypatch, capsys, *TINY[:4], "--epochs", 1, *given)[0] == 0
    one, other = (json.loads((out / "config.json").read_text("utf-8")) for out in runs)
    assert one["data_sha256"] == other["data_sha256"]
    assert Translator.load(*runs).translate(["The cat is hungry."])
    given = ["--train-file", corpus / "pairs.tsv", "--data-seed", 1, "--out", tmp_path / "3"]
    assert main(monkeypatch, capsys, *TINY[:4], "--max-steps", 1, *given)[0] == 0
    third = json.loads((tmp_path / "3" / "config.json").read_text("utf-8"))
    assert third["data_sha256"] != one["data_sha256"]


def test_a_closed_pipe_ends_without_a_traceback(corpus, tmp_path):
    done = subprocess.run(
        f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'train_seq2seq.py'))} "
        f"{' '.join(OPTIONS)} --train-file {shlex.quote(str(corpus / 'pairs.tsv'))} --limit 60 "
        f"--out {tmp_path / 'run'} | head -c 1",
        shell=True, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
    again = script("train_seq2seq.py", "--resume", tmp_path / "run")
    assert again.returncode == 0, again.stderr


@pytest.fixture(scope="module")
def stopped(corpus, tmp_path_factory):
    """A run that stopped in its second epoch."""
    run = tmp_path_factory.mktemp("stopped") / "run"
    data = corpus / "pairs.tsv"
    done = script(
        "train_seq2seq.py", *OPTIONS, "--train-file", data, "--limit", 60, "--out", run,
        "--max-steps", 20,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--max-steps 20" in done.stdout and "go on with:" in done.stdout
    return run


HARMED = {
    "no state": (remove("last.safetensors"), "stopped before it was saved"),
    "half a state": (cut("last.safetensors"), "last.safetensors"),
    "an empty state": (write("last.safetensors", b""), "last.safetensors"),
    "a pickle": (write("last.safetensors", b"\x80\x04N."), "last.safetensors"),
    "noise": (write("last.safetensors", bytes(range(256)) * 9), "last.safetensors"),
    "other tensors": (
        lambda run: shutil.copy(run / "model.safetensors", run / "last.safetensors"),
        "another run",
    ),
    "half a config": (cut("config.json"), "config.json"),
    "no config": (remove("config.json"), "config.json"),
    "a foreign config": (write("config.json", b'{"lr": 3}'), "config.json lacks"),
    "a list": (write("config.json", b"[]"), "config.json"),
    "a word for a number": (edit("config.json", batch_size="many"), "config.json"),
    "an unknown schedule": (edit("config.json", schedule="never"), "config.json"),
    "an unknown corpus": (edit("config.json", corpus="moon", train_file=None), "moon"),
    "null": (edit("config.json", lr=None), "config.json"),
    "a newer format": (edit("model.json", format=99), "format 99"),
    "no model.json": (remove("model.json"), "model.json"),
    "half a tokenizer": (cut("source_tokenizer.json"), "source_tokenizer.json"),
    "another tokenizer": (
        lambda run: shutil.copy(run / "source_tokenizer.json", run / "target_tokenizer.json"),
        "another run",
    ),
    "other data": (edit("config.json", limit=59), "other data"),
    "other options": (edit("config.json", lr=0.5), "the options in config.json"),
    "a flipped bit": (flip("last.safetensors"), "digest"),
    "numbers that are none": (edit("config.json", l1="x"), "l1 is 'x'"),
    "nothing for a number": (edit("config.json", seed=None), "config.json"),
    "no batches": (edit("config.json", accumulate=0), "accumulate is 0"),
    "no data": (edit("config.json", train_file="/nowhere.tsv"), "nowhere.tsv"),
}


@pytest.mark.parametrize("what", HARMED)
def test_a_damaged_run_does_not_go_on_and_loses_nothing(
    stopped, tmp_path, monkeypatch, capsys, what
):
    harm, named = HARMED[what]
    run = tmp_path / "run"
    shutil.copytree(stopped, run)
    harm(run)
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    status, out, err = main(monkeypatch, capsys, "--resume", run)
    assert status != 0 and out == ""
    assert named in err and "Traceback" not in err and len(err.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_a_finished_run_goes_on_with_more_epochs_and_keeps_them(
    corpus, tmp_path, monkeypatch, capsys
):
    options = [*OPTIONS, "--schedule", "constant", "--train-file", corpus / "pairs.tsv"]
    options += ["--limit", 60, "--patience", 9]
    for run, epochs in (("a", 5), ("b", 2)):
        given = [*options, "--epochs", epochs, "--out", tmp_path / run]
        assert main(monkeypatch, capsys, *given)[0] == 0
    more = ["--resume", tmp_path / "b", "--epochs", 5, "--max-steps", 40]
    assert main(monkeypatch, capsys, *more)[0] == 0
    status, out, _ = main(monkeypatch, capsys, "--resume", tmp_path / "b")
    assert status == 0 and "training ended: 5 epochs" in out
    assert left_by(tmp_path / "a") == left_by(tmp_path / "b")


def test_a_schedule_that_ends_is_not_prolonged(stopped, monkeypatch, capsys):
    status, _, err = main(monkeypatch, capsys, "--resume", stopped, "--epochs", 9)
    assert status == 2 and "--schedule linear of the run ends with epoch 3" in err
    assert main(monkeypatch, capsys, "--resume", stopped, "--epochs", 3, "--bptt-report")[0] == 0


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


def test_a_failed_run_keeps_an_existing_one(run):
    before = {path.name: path.read_bytes() for path in run[0].iterdir()}
    done = train("--out", run[0])
    assert done.returncode != 0 and "never overwritten" in done.stderr
    assert {path.name: path.read_bytes() for path in run[0].iterdir()} == before


def test_a_run_that_went_astray_is_still_drawn(tmp_path, monkeypatch, capsys):
    drawn = []
    monkeypatch.chdir(tmp_path)
    sizes = TINY[:4] + ["--limit", "64", "--epochs", "1"]
    astray = ["--lr", "1e20", "--schedule", "constant", "--clip-norm", "1e9", "--out", "run"]
    with monkeypatch.context() as patched:
        patched.setattr(sys, "argv", ["train_seq2seq.py", *sizes, *astray])
        patched.setattr(train_seq2seq, "draw_run", lambda run, *_: drawn.append(str(run)))
        with pytest.raises(SystemExit, match="not finite numbers: train again"):
            train_seq2seq.main()
    assert drawn == ["run"]
    capsys.readouterr()


def test_the_longest_pairs_are_left_out_and_say_how_long_translations_get():
    words = train_seq2seq.build_tokenizer("words", ["a b"])
    pairs = [("a", " ".join("b" * n)) for n in (1, 12, 20, 21)]

    def kept(pairs):
        return train_seq2seq.short_enough(pairs, words, words, 20)

    # a source of 2 tokens, </s> with it, and 20 of the target, 10 of which are free: 5 for each
    assert kept(pairs * 1000) == (pairs[:3] * 1000, 2 * 5)
    assert kept(pairs[:1]) == (pairs[:1], 2)
    rare = pairs[:1] * 2000 + pairs[2:3]
    assert kept(rare) == (rare, 2)
