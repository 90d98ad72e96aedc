"""Drawings of a run: its curves, where it looks, and what the gates of its decoder do.

They need matplotlib and no display. Each is two files, PNG and SVG; the text of an SVG stays text,
in the fonts of whoever looks at it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigrad.serialization import replacing

from .gates import GATES, gates_of, means
from .terminal import code_point, label, width_of

if TYPE_CHECKING:
    from .translator import Translation, Translator

MISSING = 'drawing needs matplotlib: pip install -e ".[scripts]"'
BLUE, ORANGE, GREEN, RED, GREY = "#3b6ea5", "#d9822b", "#4c956c", "#b8433f", "#8a8a8a"
DPI = 150
STYLE = {
    "font.size": 9.0,
    "text.color": "#333333",
    "text.parse_math": False,  # a token may be $
    "axes.edgecolor": "#b0b0b0",
    "axes.linewidth": 0.8,
    "axes.labelcolor": "#333333",
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "xtick.color": "#b0b0b0",
    "ytick.color": "#b0b0b0",
    "xtick.labelcolor": "#333333",
    "ytick.labelcolor": "#333333",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "savefig.dpi": DPI,
    # the axes fill the figure; what stands around them makes the drawing larger
    "savefig.bbox": "tight",
    "figure.subplot.left": 0.0,
    "figure.subplot.right": 1.0,
    "figure.subplot.bottom": 0.0,
    "figure.subplot.top": 1.0,
    # the same drawing is the same file
    "svg.hashsalt": "minigrad",
    "svg.fonttype": "none",
}
# looked for first where DejaVu Sans, which comes with matplotlib, has no glyph
FAMILIES = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "PingFang SC", "Hiragino Sans GB", "STHeiti",
    "Heiti TC", "Microsoft YaHei", "SimHei", "SimSun", "Arial Unicode MS", "Noto Sans CJK JP",
    "Noto Sans CJK TC", "Noto Sans CJK KR", "AR PL UMing CN", "Droid Sans Fallback", "Unifont",
)  # fmt: skip


def draw_run(run: Path, translator: Translator, sentences: Sequence[str]) -> bool:
    """curves.png of a run directory, and for a model with attention attention-1.png ... of the
    translations of some sentences; each as SVG, too. Returns whether there is matplotlib to draw
    with; without it a line goes to standard error.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        print(f"no curves were drawn: {MISSING}", file=sys.stderr)
        return False
    run = Path(run)
    epochs, steps = records(run / "metrics.jsonl"), records(run / "steps.jsonl")
    config = (records(run / "config.json") or [{}])[0]
    if epochs or steps:
        save(run, "curves", [], lambda figure, _: curves(figure, epochs, steps, config))
    if translator.attends:
        for number, found in enumerate(translator.search(sentences, attention=True), 1):
            draw_attention(found[0], run, f"attention-{number}")
    return True


def draw_translation(
    translator: Translator, source: str, translation: Translation, folder: Path, number: int
) -> None:
    """NNNN-attention.png, where the translation has weights, and NNNN-gates.png, each as SVG, too:
    the gates of the decoder's top layer, of the first model of an ensemble, while it says the
    translation. Nothing for an empty sentence. Raises RuntimeError without matplotlib.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise RuntimeError(MISSING) from None
    if not translation.target:
        return
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    draw_attention(translation, folder, f"{number:04d}-attention")
    found = gates_of(translator, source, translation)
    tokens = list(map(label, translation.target))
    save(folder, f"{number:04d}-gates", tokens, functools.partial(gate_panels, found, tokens))


def draw_attention(translation: Translation, folder: Path, name: str) -> None:
    if translation.weights is None:
        return
    source, target = (list(map(label, side)) for side in (translation.source, translation.target))
    heat = functools.partial(heat_map, np.asarray(translation.weights), source, target)
    save(folder, name, source + target, heat)


# curves


def records(path: Path) -> list[dict[str, Any]]:
    """The lines of a log, or a JSON file as its only one. A missing file has none; half a line, of
    a run that was killed, is no line.
    """
    if not path.is_file():
        return []
    text, found = path.read_text(encoding="utf-8", errors="replace"), []
    for line in [text] if path.suffix == ".json" else text.splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return [record for record in found if isinstance(record, dict)]


def column(records: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    """One field of all lines, NaN where there is no finite number."""
    values = [record.get(name) for record in records]
    values = [math.nan if value is None else float(value) for value in values]
    return np.array([value if math.isfinite(value) else math.nan for value in values])


def curves(
    figure: Any,
    epochs: Sequence[dict[str, Any]],
    steps: Sequence[dict[str, Any]],
    config: dict[str, Any],
) -> None:
    """Six panels over the optimizer's steps."""
    figure.set_size_inches(10.5, 5.2)
    gaps = {"wspace": 0.22, "hspace": 0.18}
    panels = figure.subplots(2, 3, sharex=True, gridspec_kw=gaps).ravel()
    loss, accuracy, norm, clipped, rate, weights = panels

    def line(axes: Any, name: str, text: str, color: str, scale: float = 1, **more: Any) -> bool:
        """What was logged after each epoch, a mark for each."""
        values = column(epochs, name) * scale
        if np.isfinite(values).any():
            style = {"marker": "o", "markersize": 3.5, "color": color} | more
            axes.plot(column(epochs, "step"), values, label=text, **style)
        return bool(np.isfinite(values).any())

    def every_step(axes: Any, name: str, text: str, **more: Any) -> None:
        values = column(steps, name)
        if np.isfinite(values).any():
            style = {"color": GREY, "alpha": 0.45, "linewidth": 0.8} | more
            axes.plot(column(steps, "step"), values, label=text, **style)

    every_step(loss, "loss", "step")
    line(loss, "train_loss", "training", BLUE)
    line(loss, "valid_loss", "validation", ORANGE)
    loss.set_title("Loss (nats per token)")

    line(accuracy, "valid_token_accuracy", "tokens", BLUE, 100)
    line(accuracy, "valid_exact_match", "exact match", GREEN, 100)
    line(accuracy, "valid_bleu", "BLEU", ORANGE)
    accuracy.set_title("Validation accuracy (%)")

    every_step(norm, "gradient_norm", "step")
    line(norm, "gradient_norm", "mean of the epoch", BLUE)
    line(norm, "largest_gradient_norm", "largest", ORANGE, linestyle=":")
    if limit := config.get("clip_norm"):
        norm.axhline(limit, color=RED, linewidth=1, linestyle="--", label=f"clipped at {limit:g}")
    failed = column(steps, "step")[np.isnan(column(steps, "gradient_norm"))]
    if len(failed):
        low = norm.get_xaxis_transform()
        norm.plot(failed, [0.02] * len(failed), "x", color=RED, transform=low, label="not finite")
    norm.set_title("Gradient norm, before clipping")

    line(clipped, "clipped", "share of steps", BLUE, 100)
    clipped.set_ylim(-4, 104)
    skipped = np.nansum(column(epochs, "skipped"))
    clipped.set_title("Clipped steps (%)" + (f"; {skipped:.0f} skipped" if skipped else ""))

    if not column_drawn(steps, "lr"):
        line(rate, "lr", "", BLUE)
    every_step(rate, "lr", "", color=BLUE, alpha=1, linewidth=1.6)
    rate.set_title("Learning rate")
    rate.yaxis.set_major_formatter("{x:.3g}")

    line(weights, "weight_norm", "", BLUE)
    weights.set_title("Norm of the weights")

    for axes in panels:
        shown = [np.asarray(one.get_ydata(), float) for one in axes.get_lines()]
        values = np.concatenate(shown) if shown else np.zeros(0)
        values = values[np.isfinite(values)]
        if axes in (loss, norm) and len(values) and 0 < values.min() * 30 < values.max():
            axes.set_yscale("log", subs=[2, 5])
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("{x:g}")
        if axes in (loss, accuracy, norm) and axes.get_lines():
            axes.legend()
        if axes in panels[3:]:
            axes.set_xlabel("step (marks: ends of epochs)")


def column_drawn(records: Sequence[dict[str, Any]], name: str) -> bool:
    return bool(np.isfinite(column(records, name)).any())


# attention


def heat_map(
    weights: np.ndarray,
    source: Sequence[str],
    target: Sequence[str],
    figure: Any,
    show: Callable[[str], str],
) -> None:
    """A square for each weight (target, source), 0 to 1."""
    T, S = weights.shape
    cell = side(max(T, S))
    width, height = S * cell, T * cell
    figure.set_size_inches(width, height)
    axes = figure.add_subplot()
    squares = axes.pcolormesh(
        weights, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=3 * cell
    )
    axes.invert_yaxis()
    axes.grid(False)
    axes.xaxis.tick_top()
    token_ticks(axes.xaxis, source, show, cell, slant=45)
    token_ticks(axes.yaxis, target, show, cell)
    axes.spines[:].set_visible(False)
    # as large beside a word as beside fifty
    tall = min(height, 1.4)
    beside = axes.inset_axes([1 + 0.15 / width, 1 - tall / height, 0.12 / width, tall / height])
    color_bar(figure, squares, beside)


def color_bar(figure: Any, drawn: Any, axes: Any) -> None:
    bar = figure.colorbar(drawn, cax=axes)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8)


def side(n: int) -> float:
    """Inches for a token where there are n: no drawing is wider than a wall."""
    return min(0.28, 60 / n)


def token_ticks(
    axis: Any, tokens: Sequence[str], show: Callable[[str], str], cell: float, slant: float = 0
) -> None:
    shown = list(map(show, tokens))
    axis.set_ticks(np.arange(len(tokens)) + 0.5, shown, fontsize=min(9.0, 36 * cell))
    axis.set_tick_params(length=0)
    if slant and any(width_of(text) > 2 for text in shown if text != "</s>"):
        for text in axis.get_ticklabels():
            text.set(rotation=slant, rotation_mode="anchor", va="center")
            text.set(ha="left" if slant < 90 else "right")


# gates

TITLES = {
    "i": "input gate i",
    "f": "forget gate f",
    "o": "output gate o",
    "r": "reset gate r",
    "z": "update gate z",
    "g": "candidate g",
    "n": "candidate n",
    "c": "cell c",
    "h": "hidden state h",
}
COLORS = dict(zip("ifozrgnch", (BLUE, GREEN, ORANGE, BLUE, ORANGE, GREY, GREY, RED, "#333333")))


def gate_panels(
    found: dict[str, np.ndarray], tokens: Sequence[str], figure: Any, show: Callable[[str], str]
) -> None:
    """A heat map (units, tokens) of each gate and state, and above them their means over the units,
    of what has a sign the mean magnitude.
    """
    T, H = found["h"].shape
    cell, tall = side(T), min(4.0, max(1.0, H / DPI))  # a line of pixels for a unit, up to 600
    lines = means(found)
    kinds = [[name for name in lines if (name in GATES) == gate] for gate in (True, False)]
    kinds = [kind for kind in kinds if kind]
    heights, gap = [1.0] * len(kinds) + [tall] * len(found), 0.35
    figure.set_size_inches(max(4.5, T * cell), sum(heights) + gap * (len(heights) - 1))
    gaps = {"height_ratios": heights, "hspace": gap / np.mean(heights)}
    panels = figure.subplots(len(heights), 1, sharex=True, gridspec_kw=gaps)
    for axes, names in zip(panels, kinds):
        gate = names[0] in GATES
        for name in names:
            color = COLORS[name.strip("|")]
            style = {"color": color, "marker": "o", "markersize": 2.5, "linewidth": 1.2}
            axes.plot(np.arange(T) + 0.5, lines[name], label=name, **style)
        axes.set_ylim(0, 1 if gate else None)
        axes.set_title(
            "gates, means over the units" if gate else "magnitudes, means over the units"
        )
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, labelspacing=0.2)
    for axes, (name, values) in zip(panels[len(kinds) :], found.items()):
        gate = name in GATES
        top = max(1.0, float(np.abs(values).max())) if name == "c" else 1.0
        image = axes.imshow(
            values.T,
            cmap="Blues" if gate else "RdBu_r",
            vmin=0 if gate else -top,
            vmax=top,
            aspect="auto",
            interpolation="nearest",
            extent=(0, T, H, 0),
        )
        axes.grid(False)
        axes.set_title(TITLES[name])
        axes.set_ylabel("unit")
        axes.set_yticks([0, H])
        color_bar(figure, image, axes.inset_axes([1.02, 0, 0.02, 1]))
    for axes in panels:
        axes.tick_params(length=0)
        axes.set_xlim(0, T)
    token_ticks(panels[-1].xaxis, tokens, show, cell, slant=90)
    panels[-1].set_xlabel("token that is said")


# files and fonts


def save(
    folder: Path, name: str, texts: Sequence[str], draw: Callable[[Any, Callable], None]
) -> None:
    """name.png and name.svg. `draw` gets a figure, and a function from a text to what is shown: in
    a PNG code points stand for characters that no installed font has.
    """
    from matplotlib import style
    from matplotlib.figure import Figure

    families, missing = fonts(frozenset("".join(texts)))
    if missing:
        say_once(
            "no installed font has all characters: drawings as PNG show some by their code points, "
            "those as SVG show them where a font is; install one such as Noto Sans CJK"
        )

    def spelled(text: str) -> str:
        return "".join(code_point(c) if c in missing else c for c in text)

    # without the settings of the user, who may have asked for LaTeX
    fonts_first = {"font.family": [*families, "sans-serif"], "font.sans-serif": families}
    for kind, show in (("png", spelled), ("svg", str)):
        with style.context(STYLE | fonts_first, after_reset=True), warnings.catch_warnings():
            # an SVG is measured here and shown elsewhere
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            figure = Figure()
            draw(figure, show)
            dated = {"metadata": {"Date": None}} if kind == "svg" else {}
            with replacing(folder / f"{name}.{kind}") as beside:
                figure.savefig(beside, format=kind, **dated)


@functools.cache
def say_once(text: str) -> None:
    print(text, file=sys.stderr)


@functools.lru_cache(maxsize=64)
def fonts(characters: frozenset[str]) -> tuple[list[str], set[str]]:
    """Installed families that have these characters, and the characters that none has."""
    from matplotlib import font_manager

    families, missing = ["DejaVu Sans"], {ord(c) for c in characters}
    missing -= glyphs(font_manager.findfont("DejaVu Sans"))
    installed = {one.name: one.fname for one in font_manager.fontManager.ttflist}
    for name in [*FAMILIES, *sorted(installed.keys() - set(FAMILIES))]:
        # no drawings of characters in colour, which matplotlib cannot draw, and no last resort
        # of boxes
        unfit = name not in installed or "Color" in name or name.startswith("Last Resort")
        if missing and not unfit and (found := missing & glyphs(installed[name])):
            families.append(name)
            missing -= found
    return families, set(map(chr, missing))


@functools.lru_cache(maxsize=64)
def glyphs(path: str) -> frozenset[int]:
    """The characters of a font file; none where it cannot be drawn with."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path)
        return frozenset(font.get_charmap() if font.scalable else ())
    except (OSError, RuntimeError):
        return frozenset()
