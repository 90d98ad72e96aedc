"""What truncation costs, written out; and that a broken resume does not pass for a good one."""

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from datasets import Batch
from models.checks import bptt_report, check_resume, differences, truncation
from models.objective import Objective, token_losses
from models.options import ModelOptions
from models.seq2seq import Seq2Seq

ROOT = Path(__file__).resolve().parent.parent


def model_and_batches(**options):
    mg.manual_seed(0)
    model = Seq2Seq(15, 15, ModelOptions(embedding_size=5, hidden_size=6, **options)).double()
    rng = np.random.default_rng(0)
    for p in model.parameters():
        p.array[...] = rng.uniform(-0.9, 0.9, p.shape)
    sentence = lambda n: rng.integers(4, 15, n).tolist()  # noqa: E731
    batches = [Batch.of([(sentence(7), sentence(8)), (sentence(3), sentence(5))]) for _ in range(2)]
    return model, batches


def by_hand(model, batches, window=None, smoothing=0.0):
    """The gradients of all batches, each divided by its own tokens, the decoder one step at a time
    and its state cut where a window begins.
    """
    model.zero_grad()
    for batch in batches:
        memory = model.encode(batch)
        state, total = memory.start, 0
        for t in range(len(batch.target_in)):
            if window and t and t % window == 0:
                state = state.detached()
            decoded = model.decoder(mg.tensor(batch.target_in[t : t + 1]), state, memory)
            out = mg.tensor(batch.target_out[t : t + 1])
            total, state = total + token_losses(decoded.logits, out, smoothing).sum(), decoded.state
        (total / batch.target_tokens).backward()
    return {n: p.grad.numpy().ravel() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cosines_and_norm_ratios_are_those_of_the_written_out_gradients(smoothing):
    model, batches = model_and_batches()
    windows = 1, 2, 4
    found = truncation(model, batches, [Objective(w, smoothing=smoothing) for w in windows])
    full = by_hand(model, batches, None, smoothing)
    for window, one in zip(windows, found):
        part = by_hand(model, batches, window, smoothing)
        assert one.keys() == {name for name, _ in model.named_parameters()}
        for name, (cosine, ratio) in one.items():
            a, b = part[name], full[name]
            norms = math.sqrt((a**2).sum()), math.sqrt((b**2).sum())
            assert cosine == pytest.approx((a * b).sum() / norms[0] / norms[1], abs=1e-9), name
            assert ratio == pytest.approx(norms[0] / norms[1], rel=1e-9), name
    cosines = [one["decoder.rnn.weight_hh_l0"][0] for one in found]
    assert cosines[0] < 0.999 and all(-1 <= c < 1 - 1e-6 for c in cosines)


@pytest.mark.parametrize("longer", [0, 1, 30])
def test_a_window_of_the_whole_length_is_full_backpropagation(longer):
    model, batches = model_and_batches(attention="additive", coverage=True)
    for objective in (Objective(window=9 + longer), Objective(encoder_window=8 + longer)):
        (one,) = truncation(model, batches, [objective])
        for name, cell in one.items():
            assert cell == pytest.approx((1, 1), abs=1e-9), name


def test_the_report_has_a_column_for_each_window_below_the_length_and_the_users_own():
    model, batches = model_and_batches()
    table = bptt_report(model, batches, Objective(window=4, smoothing=0.1))
    decoder, encoder = table.split("\n\n")[:2]
    assert "--bptt)" in decoder and "9 steps" in decoder.splitlines()[0]
    assert decoder.splitlines()[1].split() == ["1", "2", "3", "4", "5"]
    assert "--encoder-bptt)" in encoder and "8 steps" in encoder.splitlines()[0]
    assert encoder.splitlines()[1].split() == ["1", "2", "3", "5"]
    row = next(line for line in decoder.splitlines() if line.startswith("decoder.rnn.weight_hh_l0"))
    (expected,) = truncation(model, batches, [Objective(window=4, smoothing=0.1)])
    cosine, ratio = expected["decoder.rnn.weight_hh_l0"]
    cells = re.findall(r"(-?\d\.\d{3}) +(\d+\.\d\d)x", row)
    assert cells[3] == (f"{cosine:.3f}", f"{ratio:.2f}")
    # the encoder's windows leave the decoder as it is
    row = next(line for line in encoder.splitlines() if line.startswith("decoder.output.weight"))
    assert re.findall(r"\d\.\d{3} +\d+\.\d\dx", row) == ["1.000  1.00x"] * 4
    assert "nan" not in table and len({len(line) for line in decoder.splitlines()[1:]}) == 1


def test_the_report_leaves_weights_and_generators_alone():
    model, batches = model_and_batches(dropout=0.4, layers=2)
    before = [p.to_numpy().copy() for p in model.parameters()]
    state = mg.get_rng_state().numpy().copy()
    bptt_report(model, batches)
    assert all((a == p.to_numpy()).all() for a, p in zip(before, model.parameters()))
    assert (mg.get_rng_state().numpy() == state).all()
    assert all(p.grad is None for p in model.parameters())


def test_differences_are_named_and_times_are_not_compared():
    a = {"w": mg.ones(2), "sums": {"seconds": 1.0, "loss": 2.0}, "kept": [[1, 0.5]], "s": None}
    assert differences(a, {**a, "w": mg.ones(2), "sums": {"seconds": 9.0, "loss": 2.0}}) == []
    assert differences(a, {**a, "w": mg.tensor([1.0, 1.0 + 1e-7])}) == ["w"]
    assert differences(a, {**a, "w": mg.ones(2).double()}) == ["w"]
    assert differences(a, {**a, "w": mg.tensor([-0.0, 1.0])}) == ["w"]
    assert differences(a, {**a, "sums": {"seconds": 1.0, "loss": 2.5}}) == ["sums.loss"]
    assert differences(a, {**a, "kept": [[1, 0.25]]}) == ["kept[0][1]"]
    assert differences(a, {**a, "kept": []}) == ["kept"]
    assert differences({"a": 1}, {"b": 1}) == [""] and differences(a, {**a, "s": {}}) == ["s"]


# what a run forgets when it is saved or restored, and what then differs; the script runs with it
BROKEN = {
    "nothing": "",
    "the generator": "m.mg.set_rng_state = lambda state: None",
    "the order": "T.draw_ = T.draw; T.restore_ = T.restore\n"
    "def restore(self, state):\n"
    "    batches = self.batches; self.restore_(state); self.batches = batches[::-1]\n"
    "T.restore = restore",
    "the optimizer": "from minigrad.optim import Adam\n"
    "Adam.load_state_dict = lambda self, state: None",
    "the average": "from minigrad.optim.swa_utils import AveragedModel as A\n"
    "A.load_state_dict = lambda self, state: None",
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_check_resume_passes_a_good_resume_and_finds_a_broken_one(tmp_path, what):
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys, runpy; sys.path.insert(0, {str(ROOT)!r})\n"
        "import models.training as m; T = m.Trainer\n"
        f"{BROKEN[what]}\n"
        f"runpy.run_path({str(ROOT / 'train_seq2seq.py')!r}, run_name='__main__')\n",
        encoding="utf-8",
    )
    lines = "".join(f"{'a b c d'[: 2 * (n % 4) + 1]} {n}\tx y {n % 5}\n" for n in range(60))
    (tmp_path / "pairs.tsv").write_text(lines, encoding="utf-8")
    given = f"--train-file {tmp_path / 'pairs.tsv'} --hidden-size 6 --embedding-size 6 --ema 0.9"
    given = [*given.split(), "--batch-size", "4", "--dropout", "0.3"]
    if what == "nothing":
        said = check_resume(script, given, steps=4)
        steps, killed = map(
            int, re.match(r"(\d+) steps in one go, and (\d+), SIGKILL", said).groups()
        )
        assert steps == killed + 4 and killed >= 1
    else:
        with pytest.raises(RuntimeError, match="the resumed run differs in "):
            check_resume(script, given, steps=4)


def test_a_run_too_short_to_be_interrupted_proves_nothing(tmp_path):
    pairs = "".join(f"a b c{n % 3}\tb a\n" for n in range(30))
    (tmp_path / "pairs.tsv").write_text(pairs, encoding="utf-8")
    given = ["--train-file", str(tmp_path / "pairs.tsv"), "--epochs", "1", "--hidden-size", "4"]
    with pytest.raises(RuntimeError, match="give it more steps"):
        check_resume(ROOT / "train_seq2seq.py", given)


def test_check_resume_says_why_a_run_fails(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "train_seq2seq.py", "--check-resume", "--train-file", "no.tsv"],
        capture_output=True, encoding="utf-8", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1 and "no.tsv" in done.stderr
    assert "Traceback" not in done.stderr and not list(tmp_path.iterdir())
