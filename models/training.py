"""Training: one loop that can stop anywhere and go on as if it had not."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import minigrad as mg
from datasets import Batch, epoch_batches
from minigrad import nn
from minigrad.optim import swa_utils
from minigrad.serialization import load_file, save_file

from .evaluation import corpus_bleu, exact_match, teacher_forced
from .logs import append, finite, fixed, trim, warn
from .objective import Objective, token_losses
from .optimisation import (
    CRITERIA,
    REFUSALS,
    SCHEDULES,
    TrainingOptions,
    new_optimizer,
    new_schedule,
)
from .translator import RunError, Translator

Pairs = Sequence[tuple[str, str]]

IN_A_ROW = 20  # steps that were not finite: skipping more would only wait
GROWTH = 10.0, 2.0  # of the weights' norm in the first epoch and in a later one
HIGH = 10.0  # mean gradient norm over the norm that clipping allows
LOGGED = {"metrics": "epoch", "steps": "step"}  # what the lines of NAME.jsonl are numbered by


class TrainingError(RuntimeError):
    """Training cannot go on; the message says why and what to do. What was saved is kept."""


class Stopped(Exception):
    """The user asked to stop; the run was saved."""


class Trainer:
    """Trains the model of a translator on pairs, in a run directory.

    Everything that a later step depends on is in `state()`, which goes into last.safetensors every
    `save_every` steps, after every epoch and when the user interrupts: a run that was killed at any
    moment and goes on from there is, on a CPU, bit for bit the run that was never stopped.
    """

    def __init__(
        self,
        translator: Translator,
        train: Pairs,
        valid: Pairs,
        options: TrainingOptions,
        run: Path,
        identity: str = "",
    ):
        """`identity` says by what the run began: a run that goes on must have the same."""
        if not train or not valid:
            raise TrainingError(
                f"{len(train)} training and {len(valid)} validation pairs: expected some of both"
            )
        self.translator, self.model, self.run = translator, translator.model, run
        self.identity = identity
        self.options = o = options
        self.examples = [translator.example(*pair) for pair in train]
        self.valid = valid
        self.objective = Objective(o.bptt, o.encoder_bptt, o.label_smoothing, o.coverage_loss)
        self.parameters = list(self.model.parameters())
        self.optimizer = new_optimizer(self.model, o)
        self.order = np.random.default_rng(o.seed)  # of the sentences, one draw an epoch
        self.drawn = self.order.bit_generator.state  # before this epoch's draw
        self.batches = self.draw()
        self.steps = o.epochs * self.steps_an_epoch()
        self.schedule = new_schedule(self.optimizer, o, self.steps)
        self.average = None
        if o.ema:
            averaging = swa_utils.get_ema_multi_avg_fn(o.ema)
            self.average = swa_utils.AveragedModel(self.model, multi_avg_fn=averaging)
        # where the run stands
        self.epoch, self.position, self.step = 1, 0, 0  # position: batches done of this epoch
        self.best, self.since_best = -math.inf, 0
        self.checkpoints: list[list] = []  # epoch and score of those kept for averaging
        self.in_a_row = 0
        self.sums = dict.fromkeys(self.SUMS, 0.0)
        self.weight_norm = self.norm_of_weights()
        self.wanted_to_stop = False

    SUMS = "loss", "tokens", "norm", "largest", "clipped", "steps", "skipped", "lr", "seconds"

    def draw(self) -> Sequence[Batch]:
        """The batches of a new epoch."""
        o = self.options
        sizes = {"tokens": o.batch_tokens} if o.batch_tokens else {"size": o.batch_size}
        return epoch_batches(self.examples, self.order, **sizes)

    def steps_an_epoch(self) -> int:
        return -(-len(self.batches) // self.options.accumulate)

    # what is kept, and what a run goes on from

    def state(self) -> dict[str, Any]:
        return {
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
            "average": None if self.average is None else dict(self.average.state_dict()),
            "generator": mg.get_rng_state(),
            "order": json.dumps(self.drawn),  # integers of 128 bits
            "identity": self.identity,
            **{name: getattr(self, name) for name in self.PROGRESS},
        }

    PROGRESS = (
        "epoch", "position", "step", "best", "since_best", "checkpoints", "in_a_row", "sums",
        "weight_norm",
    )  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Raises RunError where the state is not of such a run."""
        try:
            if state["identity"] != self.identity:
                raise ValueError("it did not begin with the options in config.json")
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.schedule is not None:
                self.schedule.load_state_dict(state["schedule"])
            if self.average is not None:
                self.average.load_state_dict(state["average"])
            self.order.bit_generator.state = json.loads(state["order"])
            for name in self.PROGRESS:
                setattr(self, name, state[name])
            self.drawn = self.order.bit_generator.state
            self.batches = self.draw()
            mg.set_rng_state(state["generator"])
        except (*REFUSALS, KeyError) as error:  # an optimizer's, and of a state without a part
            why = " ".join(str(error).split())[:200]
            raise RunError(f"{self.run / 'last.safetensors'} is of another run: {why}") from error

    def save(self) -> None:
        mg.save(self.state(), self.run / "last.safetensors")

    # the loop

    def fit(self) -> str:
        """Train to the end; returns why it ended. Leaves the best weights in the translator.

        Raises Stopped after Ctrl-C, TrainingError when it cannot go on.
        """
        o = self.options
        try:
            for name, last in (("metrics", self.epoch - 1), ("steps", self.step)):
                trim(self.run / f"{name}.jsonl", LOGGED[name], last)
            # what a kill has left half-written: ours begin with a point and the name of the file,
            # those of safetensors with .tmp
            for left in (".*.json*.*", ".*.safetensors.*", ".*.png.*", ".*.svg.*", ".tmp*"):
                for beside in self.run.glob(left):
                    beside.unlink()
            with self.interruptible():
                if not (self.run / "last.safetensors").exists():
                    self.save()  # a run that is killed in its first steps goes on, too
                while not self.finished:
                    self.run_epoch()
                    if self.position < len(self.batches):
                        self.save()
                        return f"--max-steps {o.max_steps}"
                    self.end_epoch()
                    self.save()
                    self.stop_if_wanted()
            self.finish()
        except BrokenPipeError:  # nobody reads what is printed: no matter of the run directory
            raise
        except OSError as error:
            raise TrainingError(
                f"cannot write the run directory {self.run}: {error}. What was saved before is "
                "kept: make room, then --resume goes on from there"
            ) from error
        return self.finished

    @property
    def finished(self) -> str:
        """Why there is nothing more to train, "" while there is. More epochs go on."""
        o = self.options
        if self.since_best >= o.patience:
            return f"no better validation {o.stop_on} for {o.patience} epochs"
        return f"{o.epochs} epochs" if self.epoch > o.epochs else ""

    def run_epoch(self) -> None:
        o, sums = self.options, self.sums
        self.model.train()
        bar = tqdm(
            total=self.steps_an_epoch(),
            initial=-(-self.position // o.accumulate),
            desc=f"epoch {self.epoch:2}/{o.epochs}",
            unit="step",
            dynamic_ncols=True,
        )
        with bar:
            while self.position < len(self.batches):
                if o.max_steps is not None and self.step >= o.max_steps:
                    return
                started = time.perf_counter()
                # made once: it is read several times
                group = list(self.batches[self.position : self.position + o.accumulate])
                self.train_on(group)
                self.position += len(group)
                sums["seconds"] += time.perf_counter() - started
                bar.update()
                mean = sums["loss"] / max(1, sums["tokens"])
                speed = sums["tokens"] / sums["seconds"]
                bar.set_postfix_str(f"loss {mean:.3f}, {speed:,.0f} tokens/s", refresh=False)
                if o.save_every and self.step % o.save_every == 0:
                    if self.position < len(self.batches):
                        self.save()
                self.stop_if_wanted()

    def train_on(self, group: Sequence[Batch]) -> None:
        """One step of the optimizer."""
        o, sums = self.options, self.sums
        before = mg.get_rng_state()
        loss, norm, clipped = self.gradient(group)
        usable = math.isfinite(norm) and math.isfinite(loss)
        sums["lr"] = float(self.optimizer.param_groups[0]["lr"])
        if usable and o.optimizer == "lbfgs":
            known = [loss]

            def closure() -> mg.Tensor:
                if not known:
                    mg.set_rng_state(before)  # the same function at every call: the same dropout
                return mg.as_tensor(known.pop() if known else self.gradient(group)[0])

            self.optimizer.step(closure)
        elif usable:
            self.optimizer.step()
        if usable:
            self.in_a_row = 0
            tokens = sum(batch.target_tokens for batch in group)
            sums["loss"] += loss * tokens
            sums["tokens"] += tokens
            sums["norm"] += norm
            sums["largest"] = max(sums["largest"], norm)
            sums["clipped"] += clipped
            if self.average is not None:
                self.average.update_parameters(self.model)
        else:
            self.refuse(group, loss, norm, before)
        sums["steps"] += 1
        self.step += 1
        # epochs of batches by tokens differ in length: a schedule stays at the end it was made for
        counts_steps = SCHEDULES[o.schedule][1] == "step" or o.warmup
        if usable and counts_steps and self.step < self.steps:
            self.move_schedule()
        if self.step % 10 == 0:
            record = {"step": self.step, "loss": finite(loss), "gradient_norm": finite(norm)}
            append(self.run / "steps.jsonl", record | {"lr": sums["lr"]})

    def move_schedule(self, *metric: float) -> None:
        if self.schedule is not None:
            with warnings.catch_warnings():  # of a schedule before its first step, after a resume
                warnings.simplefilter("ignore")
                self.schedule.step(*metric)

    def gradient(self, group: Sequence[Batch]) -> tuple[float, float, bool]:
        """Of the sentences of all batches together, clipped; the loss, the norm before, and whether
        clipping changed it.
        """
        o = self.options
        self.optimizer.zero_grad()
        tokens = sum(batch.target_tokens for batch in group)
        share, loss = o.own_share(self.step, self.steps), 0.0
        for n, batch in enumerate(group):
            own = None
            if share:  # drawn for this step alone: nothing to keep
                draw = np.random.default_rng([o.seed, self.step, n])
                T, B = batch.target_in.shape
                own = draw.random((T if o.sampling_by == "token" else 1, B)) < share
                own = np.broadcast_to(own, (T, B)) if own.any() else None
            loss = loss + self.objective.backward(self.model, batch, own, tokens)
        if o.l1:
            penalty = o.l1 * nn.utils.l1_penalty(self.parameters)
            penalty.backward()
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if o.clip_norm is not None:
            norms = [nn.utils.clip_grad_norm_(self.parameters, o.clip_norm)]
        else:
            norms = [nn.utils.get_total_norm(gradients)]
        if o.clip_value is not None:
            norms.append(nn.utils.get_total_norm(gradients, math.inf))
            nn.utils.clip_grad_value_(self.parameters, o.clip_value)
        # the one time that a step waits for a GPU
        loss, norm, *largest = mg.stack([loss, *norms]).tolist()
        limit = o.clip_norm if o.clip_value is None else o.clip_value
        return loss, norm, limit is not None and (largest or [norm])[0] > limit

    def refuse(self, group: Sequence[Batch], loss: float, norm: float, before: mg.Tensor) -> None:
        """A loss or gradient that is not finite: say where it comes from, and end or go on."""
        after = mg.get_rng_state()
        broken = [n for n, p in self.model.named_parameters() if not p.isfinite().all()]
        if broken:
            origin = f"The weights {', '.join(broken[:3])} are not finite"
        else:
            origin = "No op made it: the sum of squares has left the range of floats"
            mg.set_rng_state(before)  # the same dropout again
            try:
                with mg.detect_anomaly():
                    self.gradient(group)
            except RuntimeError as error:
                origin = str(error).split("\n")[0]
            mg.set_rng_state(after)
        self.optimizer.zero_grad()
        what = (
            f"step {self.step + 1}: the loss is {loss:.4g}, the gradient's norm {norm:.4g}. "
            f"{origin}. Sentences: {self.sentences(group)}"
        )
        self.in_a_row += 1
        self.sums["skipped"] += 1
        if self.options.on_nonfinite == "raise":
            raise TrainingError(
                f"{what}. {self.gentler.capitalize()}, or take --on-nonfinite skip; "
                f"{self.run} keeps what was saved"
            )
        if self.in_a_row >= IN_A_ROW:
            raise TrainingError(f"{what}. {IN_A_ROW} steps in a row were skipped: lower --lr")
        warn(f"{what}. No step was made.")

    @property
    def gentler(self) -> str:
        """What to do against steps that are too large."""
        o = self.options
        if o.clip_norm or o.clip_value:
            return f"lower --lr or --clip-{'norm' if o.clip_norm else 'value'}"
        return "lower --lr or give --clip-norm"

    def sentences(self, group: Sequence[Batch], most: int = 3) -> str:
        """The sources of the first sentences, those first whose own loss is not finite."""
        found = []
        self.model.eval()
        for batch in group:
            losses = teacher_forced_losses(self.model, batch)
            for column in np.argsort(np.isfinite(losses), kind="stable"):
                ids = batch.source[: batch.source_lengths[column] - 1, column].tolist()
                found.append(
                    (bool(np.isfinite(losses[column])), self.translator.source.decode(ids))
                )
        self.model.train()
        found.sort(key=lambda pair: pair[0])
        shown = "; ".join(text[:80] for _, text in found[:most])
        return shown + (f"; and {len(found) - most} more" if len(found) > most else "")

    # the end of an epoch

    def end_epoch(self) -> None:
        """Validate, log, keep the best weights, and decide whether to go on."""
        o, sums = self.options, self.sums
        with self.averaged():
            valid = teacher_forced(self.translator, self.valid, o.batch_size)
            if o.stop_on != "loss":
                sources, references = zip(*self.valid)
                translations = self.translator.translate(sources, o.batch_size)
                both = translations, references, self.translator.target.lowercase
                valid["exact_match"], valid["bleu"] = exact_match(*both), corpus_bleu(*both)
            if not math.isfinite(valid["loss"]):
                raise TrainingError(
                    f"the validation loss is {valid['loss']} after epoch {self.epoch}: lower --lr; "
                    f"{self.run} keeps what was saved"
                )
            name, sign = CRITERIA[o.stop_on]
            score = sign * valid[name]
            self.since_best += 1
            if score > self.best:
                self.best, self.since_best = score, 0
                self.translator.save_weights(self.run / "model.safetensors")
                if o.average != "none":  # the mean takes its place in the end
                    self.translator.save_weights(self.run / "best.safetensors")
            if o.average != "none":
                self.keep(score)
        steps, weight_norm = max(1, sums["steps"] - sums["skipped"]), self.norm_of_weights()
        record = {
            "epoch": self.epoch,
            "step": self.step,
            "train_loss": sums["loss"] / max(1, sums["tokens"]),
            "seconds": round(sums["seconds"], 1),
            "tokens_per_second": round(sums["tokens"] / max(1e-9, sums["seconds"])),
            "gradient_norm": sums["norm"] / steps,
            "largest_gradient_norm": sums["largest"],
            "clipped": sums["clipped"] / steps,
            "skipped": int(sums["skipped"]),
            "weight_norm": weight_norm,
            "lr": sums["lr"],
        } | {f"valid_{name}": value for name, value in valid.items()}
        trim(self.run / "metrics.jsonl", "epoch", self.epoch - 1)
        append(self.run / "metrics.jsonl", record)
        self.report(record)
        when = SCHEDULES[o.schedule][1]
        if when in ("epoch", "metric"):
            self.move_schedule(*[valid[name]] * (when == "metric"))
        self.weight_norm, self.sums = weight_norm, dict.fromkeys(self.SUMS, 0.0)
        self.epoch, self.position = self.epoch + 1, 0
        self.drawn = self.order.bit_generator.state
        self.batches = self.draw()

    def report(self, record: dict[str, Any]) -> None:
        """A line for the epoch, and warnings where gradients or weights explode."""
        extra = "".join(
            f", {label} {record[key]:{form}}"
            for key, label, form in (
                ("valid_bleu", "BLEU", ".2f"), ("valid_exact_match", "exact match", ".2%"),
            )
            if key in record
        )  # fmt: skip
        tqdm.write(
            f"epoch {record['epoch']}: training loss {fixed(record['train_loss'], 4)}, "
            f"validation loss {fixed(record['valid_loss'], 4)}, "
            f"perplexity {fixed(record['valid_perplexity'], 3)}, "
            f"token accuracy {record['valid_token_accuracy']:.2%}{extra}"
            + (" (best)" if self.since_best == 0 else ""),
            file=sys.stdout,
        )
        clip, clip_value = self.options.clip_norm, self.options.clip_value
        if record["weight_norm"] > GROWTH[record["epoch"] > 1] * self.weight_norm:
            warn(
                f"the norm of the weights grew from {self.weight_norm:.3g} to "
                f"{record['weight_norm']:.3g} in one epoch, a sign of exploding gradients: "
                f"{self.gentler}"
            )
        if clip and record["gradient_norm"] > HIGH * clip:
            warn(
                f"the gradient's norm is {record['gradient_norm']:.3g} in the mean, "
                f"{record['gradient_norm'] / clip:.0f} times --clip-norm: clipping shapes every "
                "step; lower --lr, or raise --clip-norm if the loss falls"
            )
        if not clip and not clip_value and record["gradient_norm"] > HIGH:
            warn(
                f"the gradient's norm is {record['gradient_norm']:.3g} in the mean, a sign of "
                f"exploding gradients: {self.gentler}"
            )

    def keep(self, score: float) -> None:
        """Keep this epoch's weights for averaging, and let go of those that fall out."""
        o = self.options
        self.translator.save_weights(self.run / f"checkpoint-{self.epoch}.safetensors")
        self.checkpoints = [*self.checkpoints, [self.epoch, score]]
        if o.average == "best":
            self.checkpoints.sort(key=lambda kept: -kept[1])
            fallen = self.checkpoints[o.average_count :]
            self.checkpoints = self.checkpoints[: o.average_count]
        else:
            fallen, self.checkpoints = (
                self.checkpoints[: -o.average_count], self.checkpoints[-o.average_count :]
            )  # fmt: skip
        for epoch, _ in fallen:
            (self.run / f"checkpoint-{epoch}.safetensors").unlink(missing_ok=True)

    def finish(self) -> None:
        """The weights to translate with: the best, or the average of those kept."""
        if self.options.average != "none":
            try:
                files = [
                    load_file(self.run / f"checkpoint-{epoch}.safetensors")
                    for epoch, _ in self.checkpoints
                ]
            except (OSError, ValueError) as error:
                raise RunError(f"no mean of the weights: {error}") from error
            mean = {
                name: (sum(file[name].double() for file in files) / len(files)).to(x.dtype)
                for name, x in files[0].items()
            }
            save_file(mean, self.run / "model.safetensors")
        self.translator.load_weights(self.run / "model.safetensors")
        if self.options.average != "none":
            valid = teacher_forced(self.translator, self.valid, self.options.batch_size)
            epochs = ", ".join(str(epoch) for epoch, _ in sorted(self.checkpoints))
            print(
                f"mean of the weights of epochs {epochs}: validation loss {valid['loss']:.4f}, "
                f"perplexity {valid['perplexity']:.3f}; the best epoch's are in best.safetensors"
            )

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """The translator with the moving average of the weights, where there is one."""
        if self.average is not None:
            self.translator.models[0] = self.average.module
        try:
            yield
        finally:
            self.translator.models[0] = self.model
            self.model.train()

    def norm_of_weights(self) -> float:
        return float(nn.utils.get_total_norm([p.detach() for p in self.parameters]))

    # stopping

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """Ctrl-C, or a polite kill, lets the step end; a second one does not wait."""

        def ask(number: int, _frame: Any) -> None:
            if self.wanted_to_stop:
                raise KeyboardInterrupt
            self.wanted_to_stop = True
            # not by the bar: a second signal would meet its lock
            with contextlib.suppress(OSError):
                os.write(2, b"\nstopping after this step; again to stop at once\n")

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop_if_wanted(self) -> None:
        if self.wanted_to_stop:
            self.save()
            raise Stopped


def teacher_forced_losses(model: Any, batch: Batch) -> np.ndarray:
    """The loss of every sentence, (B,)."""
    with mg.no_grad():
        target = mg.as_tensor(batch.target_out, device=model.device)
        return token_losses(model(batch), target).sum(0).to_numpy()
