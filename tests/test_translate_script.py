"""translate.py as its users meet it, and as those who try to break it do."""

import contextlib
import fcntl
import io
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
import translate
from datasets import UNK, build_tokenizer
from datasets.english_french import english_french
from models.options import ModelOptions
from models.search import Search
from models.translator import Translator

ROOT = Path(__file__).resolve().parent.parent
PAIRS = [(p.source, p.target) for p in english_french("train", 60, seed=3)]
SOURCES = [source for source, _ in PAIRS]
COMMAND = [sys.executable, str(ROOT / "translate.py")]
ENV = {**os.environ, "PYTHONIOENCODING": "utf-8", "OPENBLAS_NUM_THREADS": "1"}


def made(run, seed=0, types=PAIRS[:40], unknown=2, **options):
    """A run that was never trained: large weights, so that it has something to say."""
    mg.manual_seed(seed)
    sides = [build_tokenizer("words", side) for side in zip(*types)]
    options = ModelOptions(embedding_size=6, hidden_size=8, **options)
    translator = Translator.new(*sides, options, max_source=20)
    rng = np.random.default_rng(seed)
    for p in translator.model.parameters():
        p.array[...] = rng.uniform(-1, 1, p.shape)
    translator.model.decoder.output.bias.array[UNK] += unknown
    run.mkdir(parents=True)
    translator.save_description(run)
    translator.save_weights(run / "model.safetensors")
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return made(tmp_path_factory.mktemp("my runs") / "a run")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return made(tmp_path_factory.mktemp("runs") / "plain", attention="none")


@pytest.fixture(scope="module")
def translator(run):
    return Translator.load(run)


class Done:
    """How the program ended and what it wrote."""

    def __init__(self, rc, out, err):
        self.rc, self.out, self.err = rc, out, err
        self.lines = out.decode("utf-8").split("\n")[:-1]

    def failed(self, *named):
        assert self.rc and "Traceback" not in self.err
        assert len(self.err.splitlines()) == 1, self.err
        for part in named:
            assert part in self.err
        return self


@pytest.fixture
def script(monkeypatch):
    """The program in this process: a fresh one for each of a long table would take minutes."""

    def call(*args, text=b"", terminal=None):
        text = text.encode("utf-8") if isinstance(text, str) else text
        out, err = io.BytesIO(), io.StringIO()
        monkeypatch.setattr(sys, "argv", ["translate.py", *map(str, args)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text), "ascii"))
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, "ascii"))
        monkeypatch.setattr(sys, "stderr", terminal or err)
        rc = 0
        try:
            translate.main()
        except SystemExit as end:
            rc = end.code
            if isinstance(rc, str):
                rc = print(rc, file=err) or 1
        sys.stdout.flush()
        return Done(rc, out.getvalue(), err.getvalue())

    return call


def test_lines_and_arguments_come_back_in_order(script, run, translator):
    some = [*SOURCES[:30], "", "  ", SOURCES[0]]
    expected = translator.translate(some)
    by_line = script(run, text="\n".join(some) + "\n")
    by_argument = script(run, *some)
    assert by_line.lines == by_argument.lines == expected
    assert by_line.err == by_argument.err == "" and by_line.rc == 0
    assert by_line.lines[-3:-1] == ["", ""]
    assert script(run, "--batch-size", 1, text="\n".join(some)).out == by_line.out


def test_an_empty_sentence_is_not_drawn(script, run, tmp_path):
    done = script(run, "--plot", tmp_path / "drawn", text="\n")
    assert done.rc == 0 and list((tmp_path / "drawn").iterdir()) == []
    assert done.err == "sentence 1 is empty: there is nothing to draw\n"


def test_options_may_stand_anywhere(script, run):
    expected = script("--beam", 3, run, *SOURCES[:2]).lines
    assert expected == script(run, SOURCES[0], "--beam", 3, SOURCES[1]).lines
    assert expected == script(run, "--beam", 3, *SOURCES[:2]).lines and len(expected) == 2


def test_more_lines_than_are_read_at_once(script, run, monkeypatch):
    monkeypatch.setattr(translate, "CHUNK", 7)
    some = [*SOURCES[:20], "the " * 30]
    done = script(run, text="\n".join(some))
    monkeypatch.setattr(translate, "CHUNK", 1000)
    assert done.lines == script(run, text="\n".join(some)).lines and len(done.lines) == 21
    assert done.err == "warning: sentence 21 is long, only the first 20 tokens are read\n"


def test_lines_of_every_kind(script, run, translator):
    one = SOURCES[0]
    text = (
        b"\xef\xbb\xbf" + one.encode() + b"\r\n\n\t\nThe caf\xe9\n" + b"a\tb\n"
        + "猫 😀 e\u0301\u2028x\x0by\x85z\x0c\n".encode() + b"\0\n" + one.encode()
    )  # fmt: skip
    done = script(run, text=text)
    assert done.rc == 0 and len(done.lines) == 8
    expected = translator.translate([one, "", "\t", "The caf\ufffd"])
    assert done.lines[:4] == expected and done.lines[-1] == expected[0]
    assert script(run, text=b"").out == b"" and script(run, text=b"\n").out == b"\n"
    assert script(run, "The cat\nis here").lines == translator.translate(["The cat is here"])
    assert len(script(run, "\udcff caf\udce9").lines) == 1  # arguments that are no UTF-8


def test_json_lines_agree_with_the_text(script, run, translator):
    args = run, "--beam", 3, "--n-best", 2, "--length-penalty", 0.7, "--coverage-penalty", 0.1
    some = [*SOURCES[:6], "", "猫 is \"here\" \\ \u2028"]  # fmt: skip
    text = script(*args, *some).lines
    records = [json.loads(line) for line in script(*args, "--json", *some).lines]
    assert [f"{r['sentence']}\t{r['score']:.4f}\t{r['translation']}" for r in records] == text
    assert [r["source"] for r in records] == [some[r["sentence"] - 1] for r in records]
    assert [r["sentence"] for r in records] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 8, 8]
    how = Search(3, 0.7, 0.1, best=2)
    found = [one for best in translator.search(some, how=how) for one in best]
    for record, one in zip(records, found):
        assert (record["tokens"], record["source_tokens"]) == (one.target, one.source)
        assert record["score"] == pytest.approx(one.score, rel=1e-4)
        assert record["log_probability"] == pytest.approx(one.log_probability, rel=1e-4)
        if record["source"]:
            weights = np.array(record["attention"])
            assert weights.shape == (len(one.target), len(one.source))
            np.testing.assert_allclose(weights.sum(1), 1, atol=5e-4 * len(one.source))
    assert "猫" in script(*args, "--json", *some).out.decode("utf-8")


def test_scores_of_its_own_translations(script, run):
    lines = script(run, "--beam", 4, "--json", *SOURCES[:20]).lines
    records = [json.loads(line) for line in lines]
    # what reads <unk> was not said in these letters
    records = [r for r in records if "<unk>" not in r["tokens"]]
    text = "".join(f"{r['source']}\t{r['translation']}\tmore\n" for r in records)
    scores = [float(line) for line in script(run, "--score", text=text).lines]
    assert len(scores) == len(records) > 0
    assert scores == pytest.approx([r["score"] for r in records], rel=1e-4)
    by_argument = script(run, "--score", "--json", *text.splitlines()).lines
    again = [json.loads(line) for line in by_argument]
    assert [r["tokens"] for r in again] == [r["tokens"] for r in records]
    assert [r["source"] for r in again] == [r["source"] for r in records]


def test_unknown_words(script, tmp_path):
    run = made(tmp_path / "run", unknown=6)
    (tmp_path / "my words.tsv").write_bytes("\ufeffzoe\tZoé\r\nxylograph\tle xylographe\n".encode())
    some = ["zoe xylograph", "xylograph xylograph", "猫 zoe"]
    plain, copied, looked_up = (
        script(run, "--max-length", 4, *more, *some).lines
        for more in (
            [], ["--replace-unknown"],
            ["--replace-unknown", "--dictionary", tmp_path / "my words.tsv"],
        )
    )  # fmt: skip
    assert "<unk>" in "".join(plain) and "<unk>" not in "".join(copied + looked_up)
    for a, b in zip(copied, looked_up):
        assert b == a.replace("zoe", "Zoé").replace("xylograph", "le xylographe")
    assert copied != looked_up


def test_ensembles(script, run, tmp_path):
    other = made(tmp_path / "other", seed=1)
    expected = Translator.load(run, other).translate(SOURCES[:9])
    assert script(run, "--ensemble", other, *SOURCES[:9]).lines == expected
    assert script(run, "--ensemble", run, *SOURCES[:9]).lines == script(run, *SOURCES[:9]).lines
    foreign = made(tmp_path / "foreign", types=PAIRS[:20])
    script(run, "--ensemble", foreign, "x").failed("foreign", "tokenizers")
    script(run, "--ensemble", tmp_path, "x").failed("model.json")


WRONG = [
    (["--beam", "0"], ["--beam: 0 given", "at least 1"]),
    (["--beam", "2.5"], ["--beam: 2.5 given", "whole number"]),
    (["--beam", "x"], ["--beam: x given"]),
    (["--beam", ""], ["--beam"]),
    (["--n-best", "2"], ["--n-best 2", "--beam"]),
    (["--n-best", "0"], ["--n-best: 0 given", "at least 1"]),
    (["--length-penalty", "nan"], ["--length-penalty: nan given", "from 0 to 100"]),
    (["--length-penalty", "inf"], ["--length-penalty: inf given", "from 0 to 100"]),
    (["--coverage-penalty", "-1"], ["--coverage-penalty: -1 given", "from 0 to 100"]),
    (["--min-length", "-1"], ["--min-length: -1 given", "at least 0"]),
    (["--max-length", "0"], ["--max-length: 0 given", "at least 1"]),
    (["--max-length", "2", "--min-length", "3"], ["--max-length 2", "--min-length"]),
    (["--no-repeat", "-1"], ["--no-repeat: -1 given", "at least 0"]),
    (["--batch-size", "0"], ["--batch-size: 0 given", "at least 1"]),
    (["--dictionary", "x"], ["--replace-unknown"]),
    (["--replace-unknown", "--dictionary", "nowhere.tsv"], ["nowhere.tsv", "does not exist"]),
    (["--replace-unknown", "--dictionary", "."], ["directory"]),
    (["--replace-unknown", "--dictionary", "latin1"], ["latin1", "line 1", "UTF-8"]),
    (["--replace-unknown", "--dictionary", "no tabs"], ["no tabs", "line 1"]),
    (["--replace-unknown", "--dictionary", ""], ["--dictionary", "empty"]),
    (["--plot", ""], ["--plot", "empty"]),
    (["--device", "tpu"], ["tpu", "cpu"]),
    (["--device", ""], ["device"]),
    (["--no-such-option"], ["--no-such-option"]),
    (["--score"], ["line 1", "tab"]),
    (["--score", "--beam", "3"], ["--beam", "--score"]),
    (["--score", "--min-length", "3"], ["--min-length", "--score"]),
    (["--score", "--replace-unknown"], ["--replace-unknown", "--score"]),
]


@pytest.mark.parametrize("args, named", WRONG, ids=[" ".join(args) for args, _ in WRONG])
def test_what_makes_no_sense_is_refused_in_one_line(script, run, tmp_path, args, named):
    (tmp_path / "latin1").write_bytes("café\tb\n".encode("latin-1"))
    (tmp_path / "no tabs").write_text("".join(f"no tab {n}\n" for n in range(9)))
    here = os.getcwd()
    os.chdir(tmp_path)
    try:
        done = script(run, *args, "The cat is here.").failed(*named)
    finally:
        os.chdir(here)
    assert done.out == b""


@pytest.mark.skipif(mg.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there(script, run):
    script(run, "--device", "cuda", "x").failed("cuda", "auto")
    assert script(run, "--device", "auto", SOURCES[0]).rc == 0


def test_gates_without_attention(script, plain):
    done = script(plain, "--show-gates", SOURCES[0])
    head, *rows = done.err.splitlines()
    assert head.split() == ["i", "f", "o", "|g|", "|c|", "|h|"]
    assert rows[-1].split()[0] == "</s>" and "0." in rows[-1]


@pytest.mark.parametrize("option", ["--replace-unknown", "--show-attention", "--coverage-penalty"])
def test_what_needs_attention_says_so(script, plain, option):
    args = [option, "0.5"] if option == "--coverage-penalty" else [option]
    script(plain, *args, "x").failed(option, "attention")
    (line,) = script(plain, "--json", SOURCES[0]).lines
    assert json.loads(line)["attention"] is None


def test_a_run_that_is_none(script, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for args in ([], ["--beam", "2"]):
        script(*args).failed("run directory is missing", "train_seq2seq.py")
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "model.safetensors").write_bytes(b"")
    script().failed("runs/mine")
    script("nowhere", "x").failed("nowhere", "train_seq2seq.py")
    script("runs/mine", "x").failed("runs/mine", "model.json")
    script("", "x").failed("empty")


def test_weights_that_are_no_numbers(script, run, tmp_path):
    translator = Translator.load(run)
    translator.model.decoder.output.bias.array[5] = np.nan
    broken = tmp_path / "broken"
    broken.mkdir()
    translator.save_description(broken)
    translator.save_weights(broken / "model.safetensors")
    script(broken, "x").failed("finite")
    script(broken, "--score", "x\ty").failed("finite")


def test_help_names_every_option_with_its_meaning(script, capsys):
    done = script("--help")
    assert done.rc == 0
    text = done.out.decode("utf-8")
    for name in [name for name, *_ in translate.SEARCH] + ["--device", "--ensemble", "--score"]:
        meaning = text.split(f"  {name} ", 1)[1].split("\n  -")[0]
        assert len(meaning.split()) > 3, name


# as a process of its own


def process(*args, **more):
    more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE} | more
    return subprocess.Popen(
        [*COMMAND, *map(str, args)], stderr=subprocess.PIPE, env={**ENV, **more.pop("env", {})},
        **more,
    )  # fmt: skip


def ended(process, data=None):
    out, err = process.communicate(data, timeout=60)
    return Done(process.returncode, out or b"", err.decode("utf-8"))


def in_shell(line, run):
    done = subprocess.run(
        ["bash", "-c", line, "bash", *COMMAND, run], capture_output=True, env=ENV, timeout=60
    )
    return Done(done.returncode, done.stdout, done.stderr.decode("utf-8"))


def test_an_ascii_terminal(run, translator):
    env = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = ended(process(run, stdin=subprocess.PIPE, env=env), "Thé cat.\n".encode())
    assert done.lines == translator.translate(["Thé cat."]) and done.err == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize(
    "line, named",
    [
        ('"$@" hi >&-', "standard output is closed"),
        ('"$@" <&-', "standard input is closed"),
        ('"$@" hi >/dev/full', "cannot write"),
    ],
)
def test_nowhere_to_write_or_read(run, line, named):
    assert in_shell(line, run).failed("error: ", named).out == b""


def test_without_standard_error(run, translator):
    sentence = "the cat " * 30  # there would be a warning
    done = in_shell(f'"$@" "{sentence}" 2>&-', run)
    assert done.rc == 0 and done.lines == translator.translate([sentence])


def test_a_reader_that_has_seen_enough(run, translator):
    # more than a pipe holds, so that the writer must notice
    line = 'yes "The cat." | head -20000 | "$@" | head -1; exit ${PIPESTATUS[2]}'
    done = in_shell(line, run)
    assert done.rc == 141 and done.err == ""
    assert done.lines == translator.translate(["The cat."])


def test_ctrl_c(run):
    waiting = process(run, stdin=subprocess.PIPE)
    time.sleep(0.05)  # in the middle of the imports: it ends at once
    waiting.send_signal(signal.SIGINT)
    done = ended(waiting)
    assert done.rc in (130, -signal.SIGINT, 1) and "NumPy" not in done.err
    waiting = process(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for _ in range(1000):  # the first chunk is out: it waits for more
        waiting.stdin.write(b"The cat.\n")
    waiting.stdin.flush()
    assert waiting.stdout.readline()
    waiting.send_signal(signal.SIGINT)
    done = ended(waiting)
    assert done.rc == 130 and done.err == "stopped\n"


def on_a_terminal(args, said):
    """What a pseudo-terminal shows when each thing is said at the prompt, and the exit status."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(COMMAND[0], [*COMMAND, *map(str, args)], {**ENV, "TERM": "dumb"})
    shown, prompts, left = b"", 0, list(said)
    while some := read_some(terminal):
        shown += some
        if shown.count(b"> ") > prompts and left:
            prompts = shown.count(b"> ")
            time.sleep(0.3)  # CPython keeps a Ctrl-C between prompt and read until the next key
            os.write(terminal, left.pop(0))
    os.close(terminal)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL) if some == b"" else None  # it hangs
    return shown.decode("utf-8", "replace").replace("\r", ""), os.waitstatus_to_exitcode(
        os.waitpid(pid, 0)[1]
    )


def read_some(terminal):
    """What is there; None at the end, nothing if there is nothing for long."""
    ready, _, _ = select.select([terminal], [], [], 10)
    if not ready:
        return b""
    try:
        return os.read(terminal, 65536) or None
    except OSError:  # the other side is closed
        return None


@pytest.mark.parametrize("last", [b"\n", b"\x04"], ids=["an empty line", "end of input"])
def test_the_prompt(run, translator, last):
    said = ["The cat is here.", "Thé 猫."]
    shown, rc = on_a_terminal([run], [s.encode() + b"\n" for s in said] + [last])
    assert rc == 0 and "an empty line to end" in shown
    for translation in translator.translate(said):
        assert f"{translation}\n" in shown
    assert "Traceback" not in shown


def test_scoring_at_the_prompt(script, run):
    pair = "The cat is here.\tLe chat est ici."
    shown, rc = on_a_terminal([run, "--score"], [b"no tab\n", pair.encode() + b"\n", b"\n"])
    assert rc == 0 and "source TAB translation" in shown
    assert f"{script(run, '--score', text=pair).lines[0]}\n" in shown


def test_ctrl_c_at_the_prompt(run):
    shown, rc = on_a_terminal([run], [b"\x03"])
    assert rc == 130 and "stopped" in shown and "Traceback" not in shown


def test_a_progress_bar_on_standard_error_only(script, run, monkeypatch):
    """Where standard error is a terminal and there is something to wait for."""
    text = "The cat.\n" * 200
    quiet = script(run, text=text)
    assert quiet.err == "" and len(quiet.lines) == 200
    for patience, bar in ((0, True), (60, False)):
        monkeypatch.setattr(translate, "PATIENCE", patience)
        terminal, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        with open(side, "w", encoding="utf-8") as stream:
            done = script(run, "--batch-size", 1, text=text, terminal=stream)
        assert done.out == quiet.out
        shown = b""
        while some := read_some(terminal):
            shown += some
        os.close(terminal)
        assert (b"sentence/s" in shown) == bar
