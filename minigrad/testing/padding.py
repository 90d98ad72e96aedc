"""Whether a model reads its padding."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np

from .. import autograd, ops
from ..modes import enable_grad, no_grad
from ..nn import Embedding, Module
from ..tensor import Tensor, wrap
from .batches import Padded, View, tensors
from .layouts import BATCH, Layout, Time, layouts, unlike

VARIATIONS = {
    "padding": "with more padding",
    "numbers": "with other numbers in the padded embeddings and features",
    "nan": "with NaN in the padded embeddings and features",
    "order": "with the sentences in another order",
    "alone": "with sentence {} alone",
}

_ZERO_TIMES_NAN = (
    " Finite numbers there change nothing, so NaN is multiplied by zero: mask with where or "
    "masked_fill, or pass skip='nan'."
)


def check_padding(
    model: Callable[..., Any],
    batch: Any,
    *,
    loss: Callable[[Any, Any], Tensor] | None = None,
    forward: Callable[[Any, Any], Any] | None = None,
    pad: Any = 0,
    lengths: Mapping | None = None,
    batch_first: bool = False,
    more: int = 3,
    skip: Collection[str] = (),
    shares: Sequence[float] | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    seed: int = 0,
) -> bool:
    """Hold a model to this: what it says about a sentence depends on nothing but that sentence.

        check_padding(tagger, (tokens, lengths))
        check_padding(
            translator,
            batch,
            loss=lambda logits, batch: token_losses(logits, batch.target).sum() / batch.tokens,
        )

    The model runs on the batch and on variations of it, and must give the same outputs at real
    steps, the same loss and the same gradients of all parameters:

    - "padding": `more` steps of padding are added;
    - "numbers": random numbers stand where `nn.Embedding` reads the padding, and in the padded
      steps of floating arrays;
    - "nan": NaN stands there. Outputs and losses only: the gradient of a weight multiplies what
      came in at padded steps by zero, which is right and makes NaN. A mask that multiplies
      does the same in the outputs: mask with `where`, or skip this variation;
    - "order": the sentences in another order;
    - "alone": each sentence alone, cut to its real steps. The loss of the batch must be the sum of
      their losses, or their mean, by sentences or by steps, or be weighted by `shares`; so must
      the gradients.

    True, or AssertionError naming the variation, the place, and the first module, in the order of
    the calls, where the difference shows. A variation in which the model raises has failed as
    well. Those named in `skip` are left out.

    `batch` is an array or Tensor, or a dataclass, named tuple, dict, tuple or list of such. Arrays
    (steps, sentences, ...), with `batch_first` (sentences, steps, ...), are sequences, padded at
    the end with `pad`, a number or one for each name {name: number}; floating arrays are padded
    with zeros. Other arrays as long as the batch have one entry for each sentence, and the rest,
    such as a count of tokens, is passed on unchanged. The real steps are those before the padding,
    or, of floating arrays, what an array of lengths in the batch says; `lengths={name: ...}` names
    this array, or gives B numbers, or None for an array that has no steps. In a tuple the
    names are the positions.

    The model is called with the batch, a tuple or list as positional and a dict as keyword
    arguments, or by `forward(model, batch)`. Without `loss(output, batch)` the loss is the output
    if that is a scalar, else all outputs weighted by random numbers. Where the sentences and steps
    of an output stand is found by trying, and may be anywhere.

    Dropout and all else that depends on training mode is off, except for normalization by the
    statistics of the batch. The model, its buffers, modes and `.grad` are as before afterwards.
    A function that is no Module has no parameters: only its outputs and losses are compared.
    Use float64: in float32 a small difference may pass as rounding. `atol` and `rtol` (of the
    largest entry of an array) default to 1e-12 and 1e-9, in float32 to 1e-6 and 1e-4.
    """
    skip = {skip} if isinstance(skip, str) else set(skip)
    if not skip <= set(VARIATIONS):
        raise ValueError(f"skip {sorted(skip - set(VARIATIONS))}: expected {list(VARIATIONS)}")
    if more < 1:
        raise ValueError(f"more must be at least 1, got {more}")
    padded = Padded(batch, pad, lengths, batch_first)
    check = _Check(model, forward or _call, loss, padded, (atol, rtol), seed)
    with _evaluating(model), enable_grad(), np.errstate(all="ignore"):
        check.look(more)
        rows, rng = np.arange(padded.B), np.random.default_rng(seed)
        if "padding" not in skip:
            check.compare("padding", rows, more=more)
        if "numbers" not in skip:
            check.compare("numbers", rows, fill=lambda shape: 10 * rng.standard_normal(shape))
        if "nan" not in skip:
            check.hint = "" if "numbers" in skip else _ZERO_TIMES_NAN
            check.compare("nan", rows, fill=lambda shape: np.full(shape, np.nan))
            check.hint = ""
        if "order" not in skip:
            check.compare("order", rows[::-1])
        if "alone" not in skip:
            check.compare_alone(shares)
    return True


def _call(model: Any, batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return model(**batch)
    if isinstance(batch, (tuple, list)) and not hasattr(batch, "_fields"):
        return model(*batch)
    return model(batch)


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Evaluation mode, but the normalization layers as they are; buffers as before afterwards."""
    modules = list(model.modules()) if isinstance(model, Module) else []
    modes = [module.training for module in modules]
    buffers = [
        (module, name, x, x.detach().clone())
        for module in modules
        for name, x in module.named_buffers(recurse=False)
    ]
    try:
        for module in modules:
            module.training = module.training and hasattr(module, "track_running_stats")
        yield
    finally:
        for module, mode in zip(modules, modes):
            module.training = mode
        with no_grad():
            for module, name, x, values in buffers:
                setattr(module, name, x)
                if not np.array_equal(x.to_numpy(), values.to_numpy(), equal_nan=True):
                    x.copy_(values)


class Spot(NamedTuple):
    """A tensor that a call of a module receives, or returns."""

    module: str
    returned: bool
    call: int
    path: str


class Run:
    """One run of the model: its output, loss and gradients, and what its modules received and
    returned, in order.
    """

    def __init__(self, batch: Any, view: View):
        self.batch, self.view = batch, view
        self.output: Any = None
        self.spots: dict[Spot, Tensor] = {}
        self.calls: Counter = Counter()
        self.loss: Any = None
        self.gradients: dict[str, np.ndarray] = {}
        self.sensitivity: dict[Spot, np.ndarray] = {}  # gradients of the spots

    @property
    def outputs(self) -> dict[str, Tensor]:
        return dict(tensors(self.output))

    def shapes(self) -> dict:
        return {key: tuple(x.shape) for key, x in {**self.outputs, **self.spots}.items()}


class _Check:
    """A model, a batch, what is known of their sizes, and the run to compare all others with."""

    hint = ""

    def __init__(self, model, forward, loss, padded: Padded, tolerances: tuple, seed: int):
        self.model, self.forward, self.loss, self.padded = model, forward, loss, padded
        self.atol, self.rtol = tolerances
        self.rng = np.random.default_rng(seed)
        self.modules = dict(model.named_modules()) if isinstance(model, Module) else {}
        named = model.named_parameters() if isinstance(model, Module) else []
        self.parameters = {name: p for name, p in named if p.requires_grad}

    # running

    def run(self, rows: Sequence[int], **options: Any) -> Run:
        """The model on these sentences, its modules overheard; see `Padded.variant`."""
        batch, view = self.padded.variant(rows, **options)
        run, fill = Run(batch, view), options.get("fill")
        ids = self.padded.padding_ids()
        with ExitStack() as hooks:
            for name, module in self.modules.items():
                before, after = _overheard(run, name)
                handles = [
                    module.register_forward_pre_hook(before, with_kwargs=True),
                    module.register_forward_hook(after),
                ]
                if fill is not None and isinstance(module, Embedding):
                    hook = _filled(ids, fill)
                    handles.append(
                        module.register_forward_hook(hook, prepend=True, with_kwargs=True)
                    )
                for handle in handles:
                    hooks.enter_context(handle)
            run.output = self.forward(self.model, batch)
        return run

    def attempt(self, text: str, step: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            return step(*args, **options)
        except Exception as error:
            raise AssertionError(
                f"check_padding: {text} it raises {type(error).__name__}: {error}"
            ) from error

    def look(self, more: int) -> None:
        """Run the batch, and learn from other batches where its sentences and steps stand."""
        rows = np.arange(self.padded.B)
        self.base = base = self.run(rows)
        again = self.run(rows).outputs
        if not base.outputs:
            raise ValueError("check_padding: the model returned no floating tensor")
        for path, x in base.outputs.items():
            if not np.array_equal(x.to_numpy(), again[path].to_numpy(), equal_nan=True):
                raise ValueError(
                    f"check_padding: {_named(path)} is not the same for the same batch again: the "
                    "model draws random numbers or keeps a state between calls"
                )
        with no_grad():
            wider = self.attempt(VARIATIONS["padding"], self.run, rows, more=more)
            runs = [base, wider, self.attempt("with a sentence twice", self.run, [0, *rows])]
            for row in sorted({int(own.argmin()) for own in self.padded.lengths}):
                try:
                    runs.append(self.run([row], alone=True))
                except Exception:
                    continue  # most layouts can be told without, and the variation will raise it
        self.views = [run.view for run in runs]
        self.shapes = [run.shapes() for run in runs]
        self.counts = [run.calls for run in runs[:3]]
        self.layouts = {path: self.layout_of(path, wider) for path in base.outputs}
        self.weights = {p: self.rng.standard_normal(x.shape) for p, x in base.outputs.items()}
        self.differentiate(base)

    def possible(self, key: Any) -> list[Layout]:
        return layouts([shapes.get(key) for shapes in self.shapes], self.views)

    def layout_of(self, path: str, wider: Run) -> Layout:
        """The layout by which the output is the same with more padding, or else the first."""
        found = self.possible(path)
        if not found:
            shapes = ", ".join(str(known.get(path)) for known in self.shapes)
            raise ValueError(
                f"check_padding: cannot tell where {_named(path)} has its sentences and steps. Its "
                f"shapes are {shapes}, of the batch, with more padding, with one sentence twice, "
                "and of sentences alone; return something simpler by forward="
            )
        x, y = self.base.outputs[path].to_numpy(), wider.outputs[path].to_numpy()
        agreeing = [one for one in found if self.unlike(x, y, one, wider.view) is None]
        return (agreeing or found)[0]

    def differentiate(self, run: Run, gradients: bool = True) -> None:
        """The loss of a run, and its gradients."""
        if self.loss is not None:
            run.loss = self.loss(run.output, run.batch)
            if not isinstance(run.loss, Tensor) or run.loss.numel() != 1:
                raise TypeError(f"loss must return a Tensor of one element, got {run.loss!r}")
        elif self.returns_loss:
            run.loss = run.output
        else:
            outputs = run.outputs
            run.loss = sum([self.weighted(path, outputs[path], run.view) for path in self.summed])
        if not gradients:
            return
        spots = {spot: x for spot, x in run.spots.items() if x.requires_grad}
        targets = {**self.parameters, **spots}
        found = [None] * len(targets)
        if targets and run.loss.requires_grad:
            found = autograd.grad(run.loss, list(targets.values()), allow_unused=True)
        arrays = {
            key: np.zeros(x.shape, x.dtype) if g is None else g.to_numpy()
            for (key, x), g in zip(targets.items(), found)
        }
        run.gradients = {name: arrays[name] for name in self.parameters}
        run.sensitivity = {spot: arrays[spot] for spot in spots}

    @property
    def returns_loss(self) -> bool:
        return isinstance(self.base.output, Tensor) and not self.base.output.ndim

    @property
    def summed(self) -> list[str]:
        """The outputs that make up the loss where none is given."""
        of_sentences = [path for path, one in self.layouts.items() if BATCH in one.factors]
        return of_sentences or list(self.layouts)

    def weighted(self, path: str, x: Tensor, view: View) -> Tensor:
        """The real entries of an output times fixed random numbers, summed."""
        layout = self.layouts[path]
        real = layout.real(view)
        numbers = np.where(real, layout.aligned(self.weights[path], self.base.view, view), 0)
        dead = _beside(x, layout.closed(~real, x.shape))
        return (x.masked_fill(dead, 0) * _beside(x, layout.closed(numbers, x.shape), x.dtype)).sum()

    # comparing

    def compare(self, variation: str, rows: Sequence[int], **options: Any) -> None:
        text = VARIATIONS[variation]
        run = self.attempt(text, self.run, rows, **options)
        self.compare_outputs(text, run)
        gradients = variation != "nan"
        self.attempt(text, self.differentiate, run, gradients)
        if self.loss is not None:
            before, after = float(self.base.loss), float(run.loss)
            if self.differ(before, after):
                self.fail(
                    text,
                    f"the loss changes from {before:.9g} to {after:.9g}, the outputs do not: "
                    "look at the loss",
                )
        if gradients:
            self.compare_gradients(text, [run], [1.0])

    def compare_alone(self, shares: Sequence[float] | None) -> None:
        runs = []
        for row in range(self.padded.B):
            text = VARIATIONS["alone"].format(row)
            run = self.attempt(text, self.run, [row], alone=True)
            self.compare_outputs(text, run)
            self.attempt(text, self.differentiate, run)
            runs.append(run)
        given = self.loss is not None or self.returns_loss
        if not given and not any(BATCH in self.layouts[path].factors for path in self.summed):
            return
        B = self.padded.B
        ways = {"sum": np.ones(B)}
        if shares is not None:
            ways = {"weighted sum": np.asarray(shares, dtype=float)}
        elif given:
            ways["mean"] = np.full(B, 1 / B)
            for lengths in self.padded.lengths:
                ways[f"mean over {lengths.sum()} steps"] = lengths / max(lengths.sum(), 1)
        text = "with each sentence alone"
        total, losses = float(self.base.loss), np.array([float(run.loss) for run in runs])
        if given:
            right = {k: w for k, w in ways.items() if not self.differ(total, float(w @ losses))}
            if not right:
                values = ", ".join(f"their {k} is {float(w @ losses):.9g}" for k, w in ways.items())
                self.fail(
                    text,
                    f"the losses do not make up the loss of the batch, {total:.9g}: {values}. Does "
                    "it divide by something of padded size, or mix sentences? Otherwise say by "
                    "shares= what each loss counts",
                )
            ways = right
        *others, last = ways.values()
        for weights in others:  # where sentences are of one length, several ways fit the loss
            with suppress(AssertionError):
                return self.compare_gradients(text, runs, weights)
        self.compare_gradients(text, runs, last)

    def compare_outputs(self, text: str, run: Run) -> None:
        outputs = run.outputs
        for path, x in self.base.outputs.items():
            layout = self.layouts[path]
            if len(run.view.rows) != self.padded.B and BATCH not in layout.factors:
                continue  # of the whole batch: a loss
            y = outputs.get(path)
            if y is None or math.prod(layout.sizes(run.view)) != y.numel():
                what = "is missing" if y is None else f"has the shape {tuple(y.shape)}"
                self.fail(text, f"{_named(path)} {what}", run)
            at = self.unlike(x.to_numpy(), y.to_numpy(), layout, run.view)
            if at is not None:
                place, before, after = at
                self.fail(
                    text, f"{_named(path)} changes at {place}: {before:.9g} to {after:.9g}", run
                )

    def compare_gradients(self, text: str, runs: list[Run], weights: Sequence[float]) -> None:
        """The gradients of the batch against the weighted sum of those of the runs."""
        largest = max([np.abs(g).max(initial=0) for g in self.base.gradients.values()], default=0)
        for name, g in self.base.gradients.items():
            other = sum([run.gradients[name] * w for run, w in zip(runs, weights)])
            at = unlike(g, other.astype(g.dtype), True, self.atol, self.rtol, scale=largest)
            if at is not None:
                self.fail(
                    text,
                    f"the gradient of {name!r} changes at {at}: {g[at]:.9g} to {other[at]:.9g}",
                    *runs,
                    weights=weights,
                )

    def unlike(self, x, y, layout: Layout, view: View, relevant: Any = True) -> tuple | None:
        """Where y, in a batch of `view`, differs most from x, in words, and both numbers."""
        x, y = layout.aligned(x, self.base.view, view), layout.opened(y, view)
        if x is None or y is None:
            return "all", np.nan, np.nan
        at = unlike(x, y, layout.real(view) & relevant, self.atol, self.rtol)
        return at if at is None else (layout.place(at, view), x[at], y[at])

    def differ(self, before: float, after: float) -> bool:
        x, y = np.array([before], self.kind), np.array([after], self.kind)
        return unlike(x, y, True, self.atol, self.rtol) is not None

    @property
    def kind(self) -> Any:
        return self.base.loss.array.dtype

    # saying where

    def fail(self, text: str, what: str, *runs: Run, weights: Any = None) -> None:
        where = ""
        for run, weight in zip(runs, [None] * len(runs) if weights is None else weights):
            where = where or self.first(run, weight)
        raise AssertionError(f"check_padding: {text} {what}.{where}{self.hint}")

    def first(self, run: Run, weight: float | None) -> str:
        """The first spot where a run differs from the base; with a weight the first, backwards,
        where the weighted gradients do.
        """
        spots = list(self.base.spots)
        if weight is not None:
            for spot in reversed(spots):
                x, y = self.base.sensitivity.get(spot), run.sensitivity
                if x is not None and self.shows(
                    spot, x, {s: g * weight for s, g in y.items()}, run
                ):
                    return self.describe(spot, "Going backwards, the first gradient to differ is")
            return ""
        ys = {spot: y.to_numpy() for spot, y in run.spots.items()}
        for used in (True, False):  # what nothing is computed from may differ, as last states do
            for spot in spots:
                relevant = self.base.sensitivity.get(spot) if used else None
                if self.shows(spot, self.base.spots[spot].to_numpy(), ys, run, relevant):
                    return self.describe(spot, "The first module where it shows is")
        return ""

    def shows(self, spot: Spot, x, ys: Mapping[Spot, np.ndarray], run: Run, used=None) -> bool:
        """Whether a spot differs, however its steps may run."""
        found, view = self.possible(spot), run.view
        pairs = [(spot.call, np.ones(len(view.rows), bool))]
        time = self.steps_of(spot.module)
        if time is not None:  # called at every step, the last step first perhaps
            n, lengths = self.counts[0][spot.module], view.lengths[time.group] + time.offset
            pairs = [
                (spot.call, spot.call < lengths),
                (spot.call + run.calls[spot.module] - n, n - 1 - spot.call < lengths),
            ]
        compared = False
        for call, rows in pairs:
            y = ys.get(spot._replace(call=call))
            for layout in found if y is not None else ():
                if BATCH in layout.factors:
                    shape = [len(rows) if f == BATCH else 1 for f in layout.factors]
                    relevant = rows.reshape(shape)
                elif len(view.rows) != self.padded.B:
                    continue
                else:
                    relevant = rows.any()
                if used is not None:
                    relevant = relevant & (layout.aligned(used, self.base.view, view) != 0)
                if self.unlike(x, y, layout, view, relevant) is None:
                    return False
                compared = True
        return compared

    def steps_of(self, module: str) -> Time | None:
        """The time in which a module is called step by step."""
        n, wider, twice = [counts[module] for counts in self.counts]
        for group, (T, more) in enumerate(zip(self.views[0].steps, self.views[1].steps)):
            if n == twice and wider - n == more - T:
                return Time(group, n - T)
        return None

    def describe(self, spot: Spot, start: str) -> str:
        call = f" in call {spot.call}" if self.counts[0][spot.module] > 1 else ""
        text = f" {start} {self.title(spot.module)}, in what it "
        if spot.returned or not spot.module:
            return f"{text}{'returns' if spot.returned else 'receives'}{call}."
        parent = spot.module.rpartition(".")[0]
        while parent and not self.counts[0][parent]:  # a ModuleList is not called
            parent = parent.rpartition(".")[0]
        return f"{text}receives{call} from the forward of {self.title(parent)}."

    def title(self, name: str) -> str:
        kind = type(self.modules[name]).__name__
        return f"{name!r} ({kind})" if name else f"the model itself ({kind})"


def _overheard(run: Run, name: str) -> tuple[Callable, Callable]:
    """Hooks that note what a module receives and returns."""
    open_calls: list[int] = []

    def before(_module, args, kwargs):
        open_calls.append(run.calls[name])
        run.calls[name] += 1
        for path, x in tensors({**dict(enumerate(args)), **kwargs}):
            run.spots[Spot(name, False, open_calls[-1], path)] = x

    def after(_module, _args, output):
        call = open_calls.pop()
        for path, x in tensors(output):
            run.spots[Spot(name, True, call, path)] = x

    return before, after


def _filled(ids: list[int], fill: Callable[[tuple], np.ndarray]) -> Callable:
    """A hook that puts other numbers in the place of the embeddings of `ids`."""

    def hook(_module, args, kwargs, output):
        tokens = kwargs["input"] if "input" in kwargs else args[0]
        tokens = tokens.to_numpy() if isinstance(tokens, Tensor) else np.asarray(tokens)
        padding = np.isin(tokens, ids)[..., None]
        return ops.where(
            _beside(output, padding), _beside(output, fill(output.shape), output.dtype), output
        )

    return hook


def _beside(x: Tensor, values: np.ndarray, dtype: Any = None) -> Tensor:
    """`values` on the device of x."""
    return wrap(np.asarray(values, dtype)).to(x.device)


def _named(path: str) -> str:
    return f"the output {path}" if path else "the output"
