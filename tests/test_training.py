"""Training: each piece against its formula; runs that go on bit for bit wherever they stopped."""

import dataclasses
import itertools
import json
import math
import os
import signal
import warnings

import numpy as np
import pytest

import minigrad as mg
from datasets import Batch, build_tokenizer
from minigrad.serialization import load_file
from models import training
from models.checks import differences
from models.evaluation import corpus_bleu, evaluate, exact_match, teacher_forced
from models.optimisation import OPTIMIZERS, SCHEDULES, TrainingOptions, new_optimizer, new_schedule
from models.options import ATTENTIONS, CELLS, ModelOptions, OptionError
from models.training import IN_A_ROW, Stopped, Trainer, TrainingError
from models.translator import RunError, Translator

WORDS = "one two three four five six seven eight nine ten".split()


def pairs_of(n, seed=0, longest=5):
    """Numbers in words, to be said backwards in capitals."""
    rng = np.random.default_rng(seed)
    made = [[WORDS[i] for i in rng.integers(0, 10, rng.integers(1, longest + 1))] for _ in range(n)]
    return [(" ".join(words), " ".join(words[::-1]).upper()) for words in made]


TRAIN, VALID = pairs_of(40), pairs_of(8, seed=1)


def translator_of(options=None, seed=0, joint=False, **more):
    sides = [[pair[side] for pair in TRAIN] for side in (0, 1)]
    if joint:
        source = target = build_tokenizer("words", sides[0] + sides[1])
    else:
        source, target = (build_tokenizer("words", side) for side in sides)
    mg.manual_seed(seed)
    options = options or ModelOptions(**{"embedding_size": 5, "hidden_size": 6} | more)
    return Translator.new(source, target, options, 50)


def trainer_of(run, model=None, train=TRAIN, valid=VALID, **options):
    """A Trainer of a small model with a run directory that describes it."""
    options = TrainingOptions(**{"epochs": 3, "batch_size": 8, "save_every": 0} | options)
    translator = model if isinstance(model, Translator) else translator_of(**model or {})
    run.mkdir(exist_ok=True)
    translator.save_description(run)
    return Trainer(translator, train, valid, options, run)


def metrics(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]


def weights(trainer):
    return {name: p.to_numpy().copy() for name, p in trainer.model.named_parameters()}


def gradients(trainer):
    return {
        name: p.grad.to_numpy().astype(np.float64)
        for name, p in trainer.model.named_parameters()
        if p.grad is not None
    }


def assert_close(a, b, **tolerance):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], err_msg=name, **tolerance)


# one step


def test_accumulated_batches_are_one_big_batch(tmp_path):
    """Sentences of unequal length: sums over tokens, not means of means."""
    whole, parts = (trainer_of(tmp_path, accumulate=n, clip_norm=None) for n in (1, 3))
    examples = whole.examples[:9]
    loss, norm, _ = whole.gradient([Batch.of(examples)])
    split = [Batch.of(examples[:2]), Batch.of(examples[2:3]), Batch.of(examples[3:])]
    loss_of_parts, norm_of_parts, _ = parts.gradient(split)
    assert loss_of_parts == pytest.approx(loss, rel=1e-6)
    assert norm_of_parts == pytest.approx(norm, rel=1e-5)
    assert_close(gradients(parts), gradients(whole), rtol=1e-4, atol=1e-7)


def test_accumulation_takes_every_batch_of_an_epoch_once(tmp_path):
    trainer = trainer_of(tmp_path, batch_size=8, accumulate=3, epochs=1)
    assert len(trainer.batches) == 5 and trainer.steps == 2
    seen = []
    gradient = trainer.gradient
    trainer.gradient = lambda group: (seen.append([len(b) for b in group]), gradient(group))[1]
    trainer.fit()
    assert [len(group) for group in seen] == [3, 2] and sum(map(sum, seen)) == len(TRAIN)


def test_l1_adds_the_signs_and_weight_decay_shrinks(tmp_path):
    plain, l1 = trainer_of(tmp_path, clip_norm=None), trainer_of(tmp_path, clip_norm=None, l1=0.01)
    batch = [plain.batches[0]]
    assert l1.gradient(batch)[0] == plain.gradient(batch)[0]  # the loss is that of the sentences
    expected = {n: g + 0.01 * np.sign(weights(l1)[n]) for n, g in gradients(plain).items()}
    assert_close(gradients(l1), expected, rtol=1e-4, atol=1e-7)

    sgd = {"optimizer": "sgd", "lr": 0.5, "clip_norm": None, "schedule": "constant"}
    decayed = trainer_of(tmp_path, weight_decay=0.1, **sgd)
    before = weights(decayed)
    decayed.train_on(batch)
    expected = {n: before[n] - 0.5 * (g + 0.1 * before[n]) for n, g in gradients(plain).items()}
    after = weights(decayed)
    assert_close({n: after[n] for n in expected}, expected, rtol=1e-4, atol=1e-6)


def test_clipping_by_norm_and_by_value_and_what_is_logged_of_it(tmp_path):
    free = trainer_of(tmp_path, clip_norm=None)
    batch = [free.batches[0]]
    _, norm, clipped = free.gradient(batch)
    whole = gradients(free)
    written_out = math.sqrt(sum((g**2).sum() for g in whole.values()))
    assert norm == pytest.approx(written_out, rel=1e-5) and not clipped

    for limit in (written_out / 3, written_out * 3):
        trainer = trainer_of(tmp_path, clip_norm=limit)
        assert trainer.gradient(batch)[1:] == (pytest.approx(norm), limit < written_out)
        scale = min(1, limit / written_out)
        expected = {n: g * scale for n, g in whole.items()}
        assert_close(gradients(trainer), expected, rtol=1e-3, atol=1e-7)

    largest = max(abs(g).max() for g in whole.values())
    for limit in (largest / 3, largest * 3):
        trainer = trainer_of(tmp_path, clip_norm=None, clip_value=limit)
        assert trainer.gradient(batch)[1:] == (pytest.approx(norm), limit < largest)
        expected = {n: g.clip(-limit, limit) for n, g in whole.items()}
        assert_close(gradients(trainer), expected, rtol=1e-4, atol=1e-7)


def test_the_log_of_an_epoch_is_of_its_steps(tmp_path):
    trainer = trainer_of(tmp_path, epochs=1, clip_norm=0.3, schedule="constant")
    steps, gradient = [], trainer.gradient
    trainer.gradient = lambda group: steps.append((*gradient(group), group)) or steps[-1][:3]
    trainer.fit()
    (record,) = metrics(tmp_path)
    losses, norms, _, groups = zip(*steps)
    tokens = [group[0].target_tokens for group in groups]
    assert record["train_loss"] == pytest.approx(np.average(losses, weights=tokens))
    assert record["gradient_norm"] == pytest.approx(np.mean(norms))
    assert record["largest_gradient_norm"] == max(norms)
    assert record["clipped"] == np.mean([norm > 0.3 for norm in norms]) and record["skipped"] == 0
    total = math.sqrt(sum((w.astype(np.float64) ** 2).sum() for w in weights(trainer).values()))
    assert record["weight_norm"] == pytest.approx(total, rel=1e-5)
    assert record["step"] == 5 and record["epoch"] == 1


def test_label_smoothing_is_trained_on_and_perplexity_is_of_the_plain_loss(tmp_path):
    smoothing, (plain, smooth) = 0.2, (trainer_of(tmp_path, label_smoothing=s) for s in (0, 0.2))
    batch = plain.batches[0]
    with mg.no_grad():
        logits = plain.model.eval()(batch).numpy().astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    V, real = log_p.shape[-1], batch.target_out != 0
    true = np.take_along_axis(log_p, batch.target_out[..., None], -1)[..., 0]
    others = log_p[..., 1:].sum(-1)  # all types but padding
    expected = -((1 - smoothing) * true + smoothing / (V - 1) * others)[real].mean()
    smooth.model.eval()
    assert smooth.gradient([batch])[0] == pytest.approx(expected, rel=1e-5)

    smooth.fit()
    last = metrics(tmp_path)[-1]
    assert last["valid_perplexity"] == pytest.approx(math.exp(last["valid_loss"]), rel=1e-12)
    total, tokens = 0.0, 0
    with mg.no_grad():
        for source, target in VALID:  # sentence by sentence, without padding
            one = Batch.of([smooth.translator.example(source, target)])
            logits = smooth.model.eval()(one).numpy().astype(np.float64)[:, 0]
            log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            total -= log_p[np.arange(len(logits)), one.target_out[:, 0]].sum()
            tokens += len(logits)
    best = min(record["valid_loss"] for record in metrics(tmp_path))
    assert total / tokens == pytest.approx(best, rel=1e-5)


# schedules


def piecewise(w, rest):
    """A linear rise over w steps, then the schedule."""
    return lambda k: (k + 1) / (w + 1) if k < w else rest(k - w)


def one_cycle(total, pct=0.3):
    top, end = pct * total - 1, total - 1
    between = lambda a, b, x: b + (a - b) / 2 * (1 + math.cos(math.pi * x))  # noqa: E731
    return lambda k: (
        between(1 / 25, 1, k / top)
        if k <= top
        else between(1, 1 / 25 / 1e4, (k - top) / (end - top))
    )


def triangle(k, up):
    """CyclicLR from a tenth to the full rate and back, `up` steps each way."""
    x = abs(k / up - 2 * math.floor(1 + k / (2 * up)) + 1)
    return 0.1 + 0.9 * max(0, 1 - x)


RATES = {  # the rate of step k = 0, 1, ... of 20 over the one given
    "constant": ({}, lambda k: 1),
    "linear": ({}, lambda k: 1 - k / 20),
    "polynomial": ({}, lambda k: (1 - k / 20) ** 2),
    "polynomial 3": ({"schedule_options": {"power": 3}}, lambda k: (1 - k / 20) ** 3),
    "cosine": ({}, lambda k: (1 + math.cos(math.pi * k / 20)) / 2),
    "cosine-restarts": ({}, lambda k: (1 + math.cos(math.pi * (k % 5) / 5)) / 2),
    "one-cycle": ({}, one_cycle(20)),
    "cyclic": ({"schedule_options": {"step_size_up": 4}}, lambda k: triangle(k, 4)),
    "inverse-sqrt": (
        {"schedule_options": {"warmup_steps": 4}}, lambda k: min((k + 1) / 4, (4 / (k + 1)) ** 0.5)
    ),
    "inverse-sqrt warm": ({"warmup": 6}, lambda k: min((k + 1) / 6, (6 / (k + 1)) ** 0.5)),
    "step": ({}, lambda k: 0.5 ** (k // 5)),  # an epoch has 5 steps
    "multistep": (
        {"schedule_options": {"milestones": [1, 3]}}, lambda k: 0.5 ** ((k >= 5) + (k >= 15))
    ),
    "exponential": ({}, lambda k: 0.9 ** (k // 5)),
    "constant-factor": (
        {"schedule_options": {"total_iters": 2}}, lambda k: 1 / 3 if k < 10 else 1
    ),
    "linear-factor": (
        {"schedule_options": {"total_iters": 2}}, lambda k: (1 + min(k // 5, 2)) / 3
    ),
    "constant warm": ({"warmup": 4}, piecewise(4, lambda k: 1)),
    "linear warm": ({"warmup": 4}, piecewise(4, lambda k: 1 - k / 16)),
    "cosine warm": ({"warmup": 3}, piecewise(3, lambda k: (1 + math.cos(math.pi * k / 17)) / 2)),
}  # fmt: skip


def rates_of(trainer):
    """The learning rate of every step."""
    found, gradient = [], trainer.gradient

    def watched(group):
        found.append(trainer.optimizer.param_groups[0]["lr"])
        return gradient(group)

    trainer.gradient = watched
    trainer.fit()
    return found


@pytest.mark.parametrize("name", RATES)
def test_the_rate_of_every_step_follows_the_formula(tmp_path, name):
    more, formula = RATES[name]
    trainer = trainer_of(
        tmp_path, epochs=4, patience=9, lr=0.01, schedule=name.split()[0], **more
    )  # fmt: skip
    rates = rates_of(trainer)
    assert len(rates) == trainer.steps == 20
    np.testing.assert_allclose(rates, [0.01 * formula(k) for k in range(20)], rtol=1e-9, atol=1e-12)
    # the log says which rate a step had
    logged = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert [(line["step"], line["lr"]) for line in logged] == [(10, rates[9]), (20, rates[19])]
    assert [record["lr"] for record in metrics(tmp_path)] == rates[4::5]


def test_every_schedule_has_its_formula_here():
    assert set(SCHEDULES) - {"plateau"} == {name.split()[0] for name in RATES}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_goes_with_every_schedule_or_is_refused_in_words(optimizer, schedule):
    model = mg.nn.Linear(2, 2)
    options = TrainingOptions(optimizer=optimizer, schedule=schedule)
    made = new_optimizer(model, options)
    try:
        new_schedule(made, options, 20)
    except OptionError as error:
        assert schedule == "one-cycle" and "momentum" in str(error)


@pytest.mark.parametrize("schedule", [n for n in SCHEDULES if SCHEDULES[n][2]])
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("warmup", [0, 1, 7])
def test_schedules_of_very_short_runs(tmp_path, schedule, steps, warmup):
    options = {"schedule": schedule, "warmup": warmup, "epochs": 1, "batch_size": 8}
    rates = rates_of(trainer_of(tmp_path, train=TRAIN[: 8 * steps], **options))
    assert len(rates) == steps and all(0 <= rate <= 4e-3 * 1.0001 for rate in rates)


@pytest.mark.parametrize("stop_on", ["loss", "bleu", "exact"])
def test_plateau_halves_the_rate_when_what_is_watched_gets_no_better(
    tmp_path, monkeypatch, stop_on
):
    values = {"loss": [3, 2, 2.5, 2, 1], "bleu": [20, 20, 30, 10, 31], "exact": [0, 0, 0.1, 0, 1]}
    fake(monkeypatch, stop_on, values[stop_on])
    trainer = trainer_of(
        tmp_path, epochs=5, patience=9, schedule="plateau", stop_on=stop_on, lr=0.01
    )  # fmt: skip
    rates = rates_of(trainer)[::5]
    halved = {"loss": [0, 0, 1, 2, 2], "bleu": [0, 1, 1, 2, 2], "exact": [0, 1, 1, 2, 2]}[stop_on]
    expected = [0.01 * 0.5**n for n in [0, *halved[:-1]]]
    assert rates == pytest.approx(expected)


def test_batches_by_tokens_hold_the_budget_and_their_number_may_change(tmp_path):
    """Epochs differ in their number of batches; a schedule of so many steps must not mind."""
    trainer = trainer_of(
        tmp_path, train=pairs_of(400), batch_tokens=20, epochs=4, patience=99,
        schedule="one-cycle", accumulate=2,
    )  # fmt: skip
    counts, draw = [len(trainer.batches)], trainer.draw

    def drawn():
        batches = draw()
        counts.append(len(batches))
        for batch in batches:
            longest = max(len(batch.source), len(batch.target_in))
            assert longest * len(batch) <= 20 or len(batch) == 1
        return batches

    trainer.draw = drawn
    trainer.fit()
    assert len(set(counts[:4])) > 1
    assert trainer.step == sum(-(-n // 2) for n in counts[:4])


# scheduled sampling


@pytest.mark.parametrize(
    "sampling, formula",
    [
        ("none", lambda x: 0),
        ("constant", lambda x: 0.4),
        ("linear", lambda x: 0.4 * x),
        ("inverse-sigmoid", lambda x: 0.4 / (1 + math.exp(5 - 10 * x))),
    ],
)
def test_the_share_of_its_own_tokens_follows_the_formula(tmp_path, sampling, formula):
    options = TrainingOptions(sampling=sampling, sampling_rate=0.4)
    for step in range(0, 21):
        assert options.own_share(step, 20) == pytest.approx(formula(step / 20))
    assert options.own_share(50, 20) == pytest.approx(formula(1))

    trainer = trainer_of(tmp_path, sampling=sampling, sampling_rate=0.4, epochs=4, patience=9)
    shares, objective = [], trainer.objective

    class Watched:
        def backward(self, model, batch, own, tokens):
            shares.append(0 if own is None else own.mean())
            return objective.backward(model, batch, own, tokens)

    trainer.objective = Watched()
    trainer.fit()
    expected = [formula(step / 20) for step in range(20)]
    assert np.mean(shares) == pytest.approx(np.mean(expected), abs=0.05)
    if sampling == "linear":
        assert shares[0] == 0 and np.mean(shares[15:]) > np.mean(shares[:5]) + 0.1


def test_whole_sentences_are_sampled_where_told_so(tmp_path):
    trainer = trainer_of(tmp_path, sampling="constant", sampling_rate=0.5, sampling_by="sentence")
    seen, objective = [], trainer.objective

    class Watched:
        def backward(self, model, batch, own, tokens):
            seen.extend([0] * len(batch) if own is None else own.mean(0))
            return objective.backward(model, batch, own, tokens)

    trainer.objective = Watched()
    trainer.fit()
    assert set(seen) == {0, 1}
    assert 0.25 < np.mean(seen) < 0.75


# averages


def test_the_moving_average_is_validated_kept_and_as_written_out(tmp_path):
    trainer = trainer_of(tmp_path, epochs=1, ema=0.7, schedule="constant")
    average, train_on = {}, trainer.train_on

    def watched(group):
        train_on(group)
        for name, w in weights(trainer).items():
            before = average.get(name, w.astype(np.float64))
            average[name] = 0.7 * before + 0.3 * w

    trainer.train_on = watched
    trainer.fit()
    saved = {n: x.numpy() for n, x in load_file(tmp_path / "model.safetensors").items()}
    assert_close({n: saved[n] for n in average}, average, rtol=1e-4, atol=1e-6)
    own = mg.load(tmp_path / "last.safetensors")["model"]
    assert any(not np.allclose(own[n].numpy(), saved[n], rtol=1e-3) for n in average)
    loaded = Translator.load(tmp_path)
    valid = metrics(tmp_path)[0]["valid_loss"]
    assert teacher_forced(loaded, VALID, 8)["loss"] == pytest.approx(valid, rel=1e-6)


def fake(monkeypatch, stop_on, values):
    """Validation that finds these values, epoch by epoch."""
    found = iter(values)
    plain = training.teacher_forced
    if stop_on == "loss":
        monkeypatch.setattr(
            training, "teacher_forced", lambda *args: plain(*args) | {"loss": next(found)}
        )
    elif stop_on == "bleu":
        monkeypatch.setattr(training, "corpus_bleu", lambda *args: next(found))
    else:
        monkeypatch.setattr(training, "exact_match", lambda *args: next(found))


@pytest.mark.parametrize("which, kept", [("last", [4, 5, 6]), ("best", [1, 3, 6])])
def test_the_mean_of_the_last_or_best_epochs(tmp_path, monkeypatch, which, kept):
    fake(monkeypatch, "loss", [2.0, 3.0, 1.0, 5.0, 4.0, 1.5, 9])
    trainer = trainer_of(
        tmp_path, epochs=6, patience=9, average=which, average_count=3, schedule="constant"
    )  # fmt: skip
    seen, end_epoch = {}, trainer.end_epoch
    trainer.end_epoch = lambda: (seen.update({trainer.epoch: weights(trainer)}), end_epoch())
    trainer.fit()
    mean = {n: np.mean([seen[e][n] for e in kept], 0, np.float64) for n in seen[1]}
    saved = {n: x.numpy() for n, x in load_file(tmp_path / "model.safetensors").items()}
    assert_close({n: saved[n] for n in mean}, mean, rtol=1e-6, atol=1e-8)
    assert all(x.dtype == np.float32 for x in saved.values())
    assert_close(weights(trainer), mean, rtol=1e-6, atol=1e-8)  # ready to translate with
    best = {n: x.numpy() for n, x in load_file(tmp_path / "best.safetensors").items()}
    assert_close({n: best[n] for n in mean}, seen[3], rtol=0)
    files = {path.name for path in tmp_path.glob("checkpoint-*")}
    assert files == {f"checkpoint-{epoch}.safetensors" for epoch in kept}


def test_more_epochs_of_an_averaged_run_average_anew(tmp_path):
    """The mean never stands for the best epoch, however often a run goes on."""
    options = {"average": "last", "average_count": 2, "schedule": "constant", "patience": 9}
    trainer_of(tmp_path / "a", epochs=2, **options).fit()
    going_on = trainer_of(tmp_path / "a", epochs=5, **options)
    going_on.restore(mg.load(tmp_path / "a" / "last.safetensors"))
    assert going_on.fit() == "5 epochs"
    trainer_of(tmp_path / "b", epochs=5, **options).fit()
    for name in ("model.safetensors", "best.safetensors", "checkpoint-4.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert len(metrics(tmp_path / "a")) == 5


@pytest.mark.parametrize("harm", ["missing", "damaged"])
def test_an_epoch_that_is_missing_from_the_mean_is_named(tmp_path, harm):
    trainer_of(tmp_path, average="last").fit()
    path = tmp_path / "checkpoint-2.safetensors"
    path.unlink() if harm == "missing" else path.write_bytes(path.read_bytes()[:-9])
    again = trainer_of(tmp_path, average="last")
    again.restore(mg.load(tmp_path / "last.safetensors"))
    with pytest.raises(RunError, match="checkpoint-2"):
        again.fit()


# stopping early


@pytest.mark.parametrize(
    "stop_on, values, patience, ended, best",
    [
        ("loss", [3, 2, 2, 2, 1], 2, 4, 2),
        ("loss", [3, 2, 2.5, 1.9, 2, 2, 2, 1], 3, 7, 4),
        ("loss", [3, 4], 1, 2, 1),
        ("bleu", [0, 5, 4, 5, 9], 2, 4, 2),
        ("bleu", [0, 5, 4, 5.1, 5, 5, 5], 3, 7, 4),
        ("exact", [0.0, 0.0, 0.5, 0.1, 0.1], 2, 5, 3),
        ("loss", [5, 4, 3, 2, 1, 0.5, 0.4, 0.3], 1, 8, 8),
    ],
)
def test_patience_counts_epochs_without_a_better_one(
    tmp_path, monkeypatch, stop_on, values, patience, ended, best
):
    fake(monkeypatch, stop_on, values)
    trainer = trainer_of(tmp_path, epochs=8, patience=patience, stop_on=stop_on)
    seen, end_epoch = {}, trainer.end_epoch
    trainer.end_epoch = lambda: (seen.update({trainer.epoch: weights(trainer)}), end_epoch())
    why = trainer.fit()
    assert [record["epoch"] for record in metrics(tmp_path)] == list(range(1, ended + 1))
    assert why == (
        "8 epochs" if ended == 8 else f"no better validation {stop_on} for {patience} epochs"
    )
    assert_close(weights(trainer), seen[best], rtol=0)


def test_bleu_and_exact_match_of_the_log_are_of_the_translations(tmp_path):
    trainer = trainer_of(
        tmp_path, epochs=20, stop_on="exact", patience=20, lr=0.03, batch_size=4
    )  # fmt: skip
    trainer.fit()
    best = max(metrics(tmp_path), key=lambda record: record["valid_exact_match"])
    sources, references = zip(*VALID)
    said = Translator.load(tmp_path).translate(sources)
    assert best["valid_exact_match"] == exact_match(said, references) > 0
    assert best["valid_bleu"] == pytest.approx(corpus_bleu(said, references))


def test_the_reported_bleu_is_sacrebleus(tmp_path):
    import sacrebleu

    trainer = trainer_of(tmp_path, epochs=1)
    trainer.fit()
    references = [target for _, target in TRAIN]
    said = [target.replace("SEVEN", "EIGHT").replace("ONE ONE", "ONE") for target in references]
    trainer.translator.translate = lambda sources, batch_size: said
    results, translations = evaluate(trainer.translator, TRAIN, 8)
    direct = sacrebleu.corpus_bleu(said, [references])
    assert translations == said and results["bleu"] == direct.score and 1 < direct.score < 99
    assert results["chrf"] == sacrebleu.corpus_chrf(said, [references]).score
    assert results["perplexity"] == pytest.approx(math.exp(results["loss"]))
    assert 0 < results["exact_match"] == np.mean([a == b for a, b in zip(said, references)]) < 1


# what is not finite


def poisoned(trainer, step):
    """From this step on, one word's embedding is infinite."""
    train_on = trainer.train_on

    def poison(group):
        if trainer.step + 1 == step:
            with mg.no_grad():
                word = trainer.translator.source.encode("seven")[0]
                trainer.model.encoder.embedding.weight[word] = math.inf
        train_on(group)

    trainer.train_on = poison
    return trainer


def test_raise_names_the_weights_and_sentences_and_keeps_what_was_saved(tmp_path):
    trainer = poisoned(trainer_of(tmp_path, epochs=3, save_every=1), step=9)
    with pytest.raises(TrainingError) as caught:
        trainer.fit()
    said = str(caught.value)
    assert "step 9" in said or "step 10" in said or "step 11" in said
    assert "encoder.embedding.weight" in said and "seven" in said.split("Sentences:")[1]
    kept = mg.load(tmp_path / "last.safetensors")
    assert all(np.isfinite(x.numpy()).all() for x in kept["model"].values())
    Translator.load(tmp_path).translate(["seven"])
    going_on = trainer_of(tmp_path, epochs=3, save_every=1)
    going_on.restore(kept)
    assert going_on.fit() == "3 epochs"


def test_the_first_op_is_named(tmp_path):
    trainer = trainer_of(tmp_path, clip_norm=None)
    with mg.no_grad():
        trainer.model.decoder.output.weight.fill_(3e38)
    with pytest.raises(TrainingError, match=r"Affine made an infinity .*seq2seq.py.*Sentences: "):
        trainer.fit()


def test_a_huge_rate_ends_with_a_sentence_or_is_warned_of(tmp_path, capsys):
    trainer = trainer_of(tmp_path, lr=1e38, clip_norm=None, schedule="constant")
    with pytest.raises(TrainingError, match="[Ll]ower --lr"):
        trainer.fit()
    trainer = trainer_of(tmp_path, lr=1e20, clip_norm=None, schedule="constant", epochs=1)
    trainer.fit()
    assert "the norm of the weights grew" in capsys.readouterr().err


def bad_batches(trainer, bad):
    """Gradients that are not finite at these steps."""
    gradient = trainer.gradient

    def broken(group):
        loss, norm, clipped = gradient(group)
        if trainer.step + 1 in bad:
            next(iter(trainer.parameters)).grad.fill_(math.nan)
            return loss, math.nan, clipped
        return loss, norm, clipped

    trainer.gradient = broken
    return trainer


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "adadelta"])
def test_skip_changes_neither_weights_nor_optimizer_and_counts(tmp_path, capsys, optimizer):
    trainer = bad_batches(
        trainer_of(tmp_path, on_nonfinite="skip", optimizer=optimizer, epochs=1, ema=0.5), {1, 4}
    )
    train_on, compared = trainer.train_on, []

    def watched(group):
        before = copied(trainer.state())
        train_on(group)
        after = trainer.state()
        same = [not differences(before[k], after[k]) for k in ("model", "optimizer", "average")]
        compared.append(same)

    trainer.train_on = watched
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.fit()
    assert [all(same) for same in compared] == [True, False, False, True, False]
    (record,) = metrics(tmp_path)
    assert record["skipped"] == 2 and record["step"] == 5
    assert math.isfinite(record["train_loss"]) and math.isfinite(record["gradient_norm"])
    assert capsys.readouterr().err.count("No step was made") == 2


def copied(x):
    if isinstance(x, mg.Tensor):
        return x.detach().clone()
    if isinstance(x, dict):
        return {key: copied(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)(copied(value) for value in x)
    return x


def test_skipping_ends_after_twenty_in_a_row(tmp_path):
    assert IN_A_ROW == 20
    steps = {*range(2, 21), *range(22, 99)}  # 19 in a row, one good, then 20
    trainer = bad_batches(
        trainer_of(tmp_path, on_nonfinite="skip", epochs=20, patience=99), steps
    )  # fmt: skip
    with pytest.raises(TrainingError, match="20 steps in a row"):
        trainer.fit()
    assert trainer.step == 40


def test_lbfgs_refuses_what_is_not_finite_too(tmp_path):
    trainer = trainer_of(tmp_path, optimizer="lbfgs", lr=1e30, clip_norm=None)
    with pytest.raises(TrainingError):
        trainer.fit()


def test_a_validation_loss_that_is_not_finite_ends_the_run(tmp_path, monkeypatch):
    fake(monkeypatch, "loss", [2.0, math.nan])
    trainer = trainer_of(tmp_path)
    with pytest.raises(TrainingError, match="validation loss is nan after epoch 2"):
        trainer.fit()
    assert mg.load(tmp_path / "last.safetensors")["epoch"] == 2
    assert len(metrics(tmp_path)) == 1


def test_exploding_gradients_are_warned_of_and_only_they(tmp_path, capsys):
    trainer_of(tmp_path, epochs=3).fit()
    assert "warning" not in capsys.readouterr().err

    trainer_of(tmp_path / "norm", epochs=1, clip_norm=1e-3).fit()
    assert "times --clip-norm" in capsys.readouterr().err

    trainer_of(tmp_path / "free", epochs=1, clip_norm=None, l1=3.0).fit()
    assert "give --clip-norm" in capsys.readouterr().err

    growing = trainer_of(tmp_path / "weights", epochs=3, patience=9, schedule="constant")
    train_on = growing.train_on

    def grow(group):
        train_on(group)
        if growing.step == 12:  # in the third epoch
            with mg.no_grad():
                growing.model.encoder.embedding.weight.mul_(4.0)

    growing.train_on = grow
    growing.fit()
    said = capsys.readouterr().err
    assert said.count("the norm of the weights grew") == 1 and "exploding gradients" in said


# going on


RUNS = {
    "default": {},
    "dropout": {
        "model": {"dropout": 0.3, "recurrent_dropout": 0.2, "layers": 2, "variational": True},
    },
    "ema": {"ema": 0.9, "warmup": 3, "schedule": "cosine"},
    "average last": {"average": "last", "average_count": 2, "schedule": "step"},
    "average best": {"average": "best", "average_count": 2, "schedule": "exponential"},
    "sampling": {"sampling": "linear", "model": {"dropout": 0.2}, "schedule": "multistep"},
    "sampling inverse": {"sampling": "inverse-sigmoid", "bptt": 2, "schedule": "constant"},
    "tokens": {"batch_tokens": 20, "accumulate": 3, "schedule": "one-cycle"},
    "one-cycle warm": {"schedule": "one-cycle", "warmup": 4, "optimizer": "adamw"},
    "lbfgs": {
        "optimizer": "lbfgs", "optimizer_options": {"max_iter": 3}, "model": {"dropout": 0.2},
        "schedule": "constant", "lr": 0.1,
    },
    "wolfe": {
        "optimizer": "lbfgs", "schedule": "inverse-sqrt", "lr": 0.5,
        "optimizer_options": {"max_iter": 2, "line_search_fn": "strong_wolfe"},
    },
    "momentum": {
        "optimizer": "sgd", "optimizer_options": {"momentum": 0.9, "nesterov": True}, "lr": 0.1,
        "schedule": "cyclic", "schedule_options": {"step_size_up": 3},
    },
    "one-cycle momentum": {
        "optimizer": "sgd", "optimizer_options": {"momentum": 0.9}, "schedule": "one-cycle",
    },
    "cyclic warm": {"schedule": "cyclic", "warmup": 3},
    "patience": {"patience": 1, "lr": 0.3, "schedule": "plateau", "epochs": 9, "stop_on": "bleu"},
    "exact": {"stop_on": "exact", "patience": 2, "epochs": 9, "schedule": "plateau"},
    "restarts": {"schedule": "cosine-restarts", "optimizer": "nadam", "l1": 1e-3},
    "polynomial": {"schedule": "polynomial", "warmup": 2, "optimizer": "rmsprop"},
    "constant factor": {"schedule": "constant-factor", "schedule_options": {"total_iters": 1}},
    "linear factor": {"schedule": "linear-factor", "schedule_options": {"total_iters": 2}},
    "coverage": {
        "model": {"coverage": True, "input_feeding": True, "dropout": 0.1}, "clip_value": 0.01,
        "clip_norm": None, "encoder_bptt": 2, "schedule": "inverse-sqrt", "warmup": 4,
    },
    "amsgrad": {"optimizer_options": {"amsgrad": True}, "weight_decay": 0.01, "ema": 0.5,
                "average": "last"},
    **{f"plain {name}": {"optimizer": name, "epochs": 2} for name in (
        "adagrad", "adadelta", "adamax", "radam", "rprop", "asgd")},
}  # fmt: skip


def test_the_table_of_runs_covers_what_there_is():
    assert {run.get("schedule", "linear") for run in RUNS.values()} == set(SCHEDULES)
    assert {run.get("optimizer", "adam") for run in RUNS.values()} == set(OPTIMIZERS)


class Killed(BaseException):
    """What nothing in a run catches, as nothing catches SIGKILL."""


def killing(monkeypatch, moment):
    """The disk of a run that is killed: at the moment-th change of a file nothing happens any more.

    A file is replaced whole or not at all, so these are all the states that a disk can be in, but
    for the line that an append leaves unfinished.
    """
    changes = itertools.count(1)
    replace, append, unlink = os.replace, training.append, os.unlink

    def counted(change, half=None):
        def changed(*args, **more):
            if next(changes) == moment:
                if half is not None:
                    half(*args)
                raise Killed
            return change(*args, **more)

        return changed

    def half_a_line(path, record):
        with open(path, "a", encoding="utf-8") as log:
            log.write(json.dumps(record)[:17])

    monkeypatch.setattr(os, "replace", counted(replace))
    monkeypatch.setattr(training, "append", counted(append, half_a_line))
    del unlink
    return changes


def files_of(run):
    """All that a run leaves, without times."""
    found = {
        path.name: path.read_bytes() for path in run.iterdir() if path.suffix == ".safetensors"
    }
    state = mg.load(run / "last.safetensors")
    found["last.safetensors"] = state
    for name in ("metrics", "steps"):
        path = run / f"{name}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        records = [json.loads(line) for line in lines]
        times = "seconds", "tokens_per_second"
        found[name] = [{k: v for k, v in r.items() if k not in times} for r in records]
    return found


def assert_same_files(a, b):
    one, other = files_of(a), files_of(b)
    assert one.keys() == other.keys()
    for name in one:
        assert not differences(one[name], other[name]), name


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_is_killed_at_any_write_goes_on_bit_for_bit(tmp_path, monkeypatch, name, capsys):
    options = dict(RUNS[name])
    model = options.pop("model", {})
    options = {"save_every": 2, "patience": 9} | options
    run = lambda folder: trainer_of(folder, model, TRAIN[:20], VALID[:4], **options)  # noqa: E731

    with monkeypatch.context() as patch:
        changes = killing(patch, None)
        trainer = run(tmp_path / "whole")
        start = next(changes)
        trainer.fit()
        total = next(changes) - start - 1
    assert total > 8
    # every moment for the one that writes most, a few for the others
    moments = range(2, total + 1) if name == "average best" else (total // 3, 2 * total // 3)
    for moment in moments:
        folder = tmp_path / f"killed-{moment}"
        trainer = run(folder)
        with monkeypatch.context() as patch:
            killing(patch, moment)
            with pytest.raises(Killed):
                trainer.fit()
        mg.manual_seed(99)  # another process knows nothing of this one
        again = run(folder)
        again.restore(mg.load(folder / "last.safetensors"))
        again.fit()
        assert_same_files(tmp_path / "whole", folder)


@pytest.mark.parametrize("stop", [1, 4, 5, 9, 12])
def test_max_steps_and_more_epochs_go_on_bit_for_bit(tmp_path, stop):
    options = {"schedule": "constant", "average": "best", "ema": 0.5, "patience": 9}
    trainer_of(tmp_path / "a", **options).fit()
    first = trainer_of(tmp_path / "b", max_steps=stop, epochs=2 if stop > 9 else 3, **options)
    first.fit()
    again = trainer_of(tmp_path / "b", **options)
    again.restore(mg.load(tmp_path / "b" / "last.safetensors"))
    assert again.fit() == "3 epochs"
    assert_same_files(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", [1, 5, 7, 15])
def test_a_signal_ends_the_step_and_saves(tmp_path, number, when, capsys):
    trainer_of(tmp_path / "a").fit()
    trainer = trainer_of(tmp_path / "b")
    gradient = trainer.gradient

    def interrupted(group):
        if trainer.step + 1 == when:
            os.kill(os.getpid(), number)
        return gradient(group)

    trainer.gradient = interrupted
    before = signal.getsignal(number)
    with pytest.raises(Stopped):
        trainer.fit()
    assert signal.getsignal(number) is before
    assert mg.load(tmp_path / "b" / "last.safetensors")["step"] == when
    again = trainer_of(tmp_path / "b")
    again.restore(mg.load(tmp_path / "b" / "last.safetensors"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again.fit()
    assert_same_files(tmp_path / "a", tmp_path / "b")


def test_a_second_signal_ends_at_once(tmp_path):
    trainer = trainer_of(tmp_path, save_every=1)
    gradient = trainer.gradient

    def impatient(group):
        if trainer.step == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("went on")
        return gradient(group)

    trainer.gradient = impatient
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    assert mg.load(tmp_path / "last.safetensors")["step"] == 3


def test_a_signal_while_validating_ends_after_it(tmp_path, monkeypatch):
    plain = training.teacher_forced
    monkeypatch.setattr(
        training,
        "teacher_forced",
        lambda *args: (os.kill(os.getpid(), signal.SIGINT), plain(*args))[1],
    )
    trainer = trainer_of(tmp_path)
    with pytest.raises(Stopped):
        trainer.fit()
    state = mg.load(tmp_path / "last.safetensors")
    assert (state["epoch"], state["position"], state["step"]) == (2, 0, 5)


def test_nothing_of_a_run_is_a_pickle(tmp_path):
    from safetensors.numpy import load_file as read

    trainer_of(tmp_path, average="last", ema=0.9, stop_on="bleu", warmup=2).fit()
    for path in tmp_path.glob("*.safetensors"):
        assert read(path)


def test_a_full_disk_ends_the_run_in_a_sentence_and_keeps_what_was_saved(tmp_path, monkeypatch):
    trainer = trainer_of(tmp_path, save_every=1)
    train_on = trainer.train_on

    def full(*_):
        raise OSError(28, "No space left on device")

    def fill(group):
        train_on(group)
        if trainer.step == 8:
            monkeypatch.setattr(os, "fsync", full)

    trainer.train_on = fill
    with pytest.raises(TrainingError, match="No space left on device.*--resume"):
        trainer.fit()
    monkeypatch.undo()
    assert mg.load(tmp_path / "last.safetensors")["step"] == 7
    assert not list(tmp_path.glob(".*"))  # nothing half-written is left
    again = trainer_of(tmp_path)
    again.restore(mg.load(tmp_path / "last.safetensors"))
    assert again.fit() == "3 epochs"
    trainer_of(tmp_path / "whole").fit()
    assert (tmp_path / "model.safetensors").read_bytes() == (
        tmp_path / "whole" / "model.safetensors"
    ).read_bytes()


def test_a_state_of_another_run_is_refused(tmp_path):
    trainer_of(tmp_path / "a").fit()
    state = mg.load(tmp_path / "a" / "last.safetensors")
    for wrong, options in (
        ({"hidden_size": 7}, {}),
        ({}, {"optimizer": "sgd", "ema": 0.5}),
        ({}, {"schedule": "constant", "ema": 0.5}),
    ):
        with pytest.raises(RunError, match="is of another run"):
            trainer_of(tmp_path / "b", wrong, **options).restore(state)
    for damaged in ({}, None, [], {**state, "order": "x"}, {**state, "model": 3}):
        with pytest.raises(RunError, match="is of another run"):
            trainer_of(tmp_path / "b").restore(damaged)


@pytest.mark.parametrize(
    "name, value",
    [
        ("epochs", True), ("accumulate", 0), ("bptt", 1.5), ("clip_norm", -1), ("clip_norm", 0.0),
        ("label_smoothing", "x"), ("label_smoothing", 1.0), ("sampling_rate", None), ("lr", 0),
        ("lr", math.inf), ("ema", math.nan), ("patience", None), ("save_every", "x"), ("l1", -1.0),
        ("optimizer", "adan"), ("schedule", None), ("schedule_options", None), ("seed", -1),
    ],
)  # fmt: skip
def test_training_options_out_of_range_are_refused(name, value):
    with pytest.raises(OptionError, match=f"{name} is {value!r}: expected"):
        TrainingOptions(**{name: value})


@pytest.mark.parametrize(
    "options, advice",
    [
        ({"clip_norm": None}, "ower --lr or give --clip-norm"),
        ({"clip_norm": None, "clip_value": 1.0}, "ower --lr or --clip-value"),
        ({}, "ower --lr or --clip-norm"),
    ],
)
def test_advice_that_can_be_followed(tmp_path, options, advice):
    trainer = trainer_of(tmp_path, **options)
    trainer.model.decoder.output.bias.array[:] = math.inf
    with pytest.raises(TrainingError, match=advice):
        trainer.fit()


def test_what_a_kill_left_half_written_is_removed(tmp_path):
    for name in (".curves.png.x1", ".attention-1.svg.x2", ".model.json.x3", ".tmpx4"):
        (tmp_path / name).write_text("half")
    trainer_of(tmp_path).fit()
    assert not list(tmp_path.glob(".*"))


def test_no_pairs_are_refused(tmp_path):
    with pytest.raises(TrainingError, match="0 training"):
        trainer_of(tmp_path, train=[])
    with pytest.raises(TrainingError, match="0 validation"):
        trainer_of(tmp_path, valid=[])


# every model option

EXTRAS = {
    "": {},
    "deep": {"layers": 2, "encoder_layers": 3, "encoder_hidden_size": 5, "dropout": 0.2,
             "init": "orthogonal"},
    "shallow encoder": {"layers": 2, "encoder_layers": 1, "bidirectional": False},
    "as it is": {"bidirectional": False, "recurrent_dropout": 0.3, "init": "lecun"},
    "input feeding": {"input_feeding": True, "annotation_dropout": 0.3},
    "direct": {"direct_readout": True, "input_feeding": True, "peeky": True},
    "coverage": {"coverage": True},
    "peeky": {"peeky": True, "embedding_dropout": 0.1, "output_dropout": 0.2},
    "reversed": {"reverse_source": True},
    "variational": {"layers": 2, "dropout": 0.3, "variational": True},
    "tied": {"tie": "target", "init": "xavier", "embedding_std": 0.1},
    "all": {
        "layers": 2, "input_feeding": True, "coverage": True, "peeky": True, "tie": "all",
        "reverse_source": True,
    },
    "normed": {"layer_norm": True, "forget_bias": 0.0},
    "without the cell": {"hidden_only": True},
}  # fmt: skip


def test_no_model_option_is_left_out():
    everywhere = {"cell", "attention", "embedding_size", "hidden_size", "heads"}
    tried = everywhere.union(*EXTRAS.values())
    assert tried == {one.name for one in dataclasses.fields(ModelOptions)}


def valid_options():
    for cell, attention, (name, extra) in itertools.product(CELLS, ATTENTIONS, EXTRAS.items()):
        try:
            yield (
                f"{cell} {attention} {name}".strip(),
                ModelOptions(
                    cell=cell,
                    attention=attention,
                    embedding_size=6,
                    hidden_size=8,
                    heads=2,
                    **extra,
                ),
            )
        except OptionError:
            continue


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_every_option_trains_goes_on_is_loaded_and_translates(tmp_path, cell, attention, capsys):
    sampled = {"sampling": "constant", "epochs": 1, "batch_size": 2}
    tried = 0
    for name, options in valid_options():
        if (options.cell, options.attention) != (cell, attention):
            continue
        tried += 1
        run = tmp_path / name.replace(" ", "-")
        model = {"options": options, "joint": options.tie == "all"}
        first = trainer_of(run, model, TRAIN[:4], VALID[:2], max_steps=1, **sampled)
        before = weights(first)
        first.fit()
        after = weights(first)
        assert all((before[n] != after[n]).any() for n in before if n.startswith("decoder.rnn")), (
            name
        )
        again = trainer_of(run, model | {"seed": 5}, TRAIN[:4], VALID[:2], **sampled)
        again.restore(mg.load(run / "last.safetensors"))
        assert_close(weights(again), after, rtol=0)
        assert again.fit() == "1 epochs"
        sources = [source for source, _ in TRAIN[:5]]
        loaded = Translator.load(run)
        assert_close(
            {n: p.numpy() for n, p in loaded.model.state_dict().items()},
            {n: p.numpy() for n, p in again.model.state_dict().items()},
            rtol=0,
        )
        assert loaded.translate(sources) == again.translator.translate(sources)
    assert tried >= 8
