"""Drawings of a run: that they are made, readable in every script, and true to the layers."""

import builtins
import io
import json
import logging
import math
import struct
import zlib
from itertools import product
from unicodedata import east_asian_width
from xml.etree import ElementTree

import numpy as np
import pytest

import minigrad as mg
from datasets import BOS, EOS, Batch, build_tokenizer
from models import gates, plots, terminal
from models.options import ModelOptions
from models.translator import Translation, Translator

matplotlib = pytest.importorskip("matplotlib")

SOURCES = ["I like tea, please.", "You drink two cups of tea.", "Good morning!"]
TARGETS = ["我喜欢茶。", "你喝两杯茶。", "早上好！"]
SMALL = {"embedding_size": 5, "hidden_size": 6}


def translator_of(*more, **options):
    mg.manual_seed(0)
    source, target = build_tokenizer("words", SOURCES), build_tokenizer("characters", TARGETS)
    one = Translator.new(source, target, ModelOptions(**SMALL, **options), 50)
    for p in one.model.parameters():
        p.array *= 2
    return one


def translation_of(source, target, weights=None, seed=0):
    source, target = [*source, "</s>"], [*target, "</s>"]
    if weights is None:
        weights = np.random.default_rng(seed).dirichlet(np.ones(len(source)), len(target))
    return Translation("", source, target, 0.0, 0.0, np.asarray(weights))


def png_size(path):
    """Width and height of a PNG whose chunks are whole."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, kinds = 8, []
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            kind + body
        )
        kinds.append(kind)
        at += 12 + length
    assert kinds[0] == b"IHDR" and kinds[-1] == b"IEND"
    return struct.unpack(">II", data[16:24])


def svg_texts(path):
    root = ElementTree.parse(path).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def pairs(*stems):
    return sorted(f"{stem}.{kind}" for stem in stems for kind in ("png", "svg"))


@pytest.fixture
def silent(caplog, capsys):
    """Matplotlib says nothing: neither warnings, which are errors here, nor its log."""
    plots.say_once.cache_clear()
    with caplog.at_level(logging.WARNING):
        yield
    assert not caplog.records


# curves


EPOCH = {
    "train_loss": 2.0, "valid_loss": 2.5, "valid_token_accuracy": 0.5, "gradient_norm": 1.5,
    "largest_gradient_norm": 9.0, "clipped": 0.25, "skipped": 0, "weight_norm": 12.0, "lr": 1e-3,
}  # fmt: skip
STEPS = [{"step": 10 * n, "loss": 3 / n, "gradient_norm": 2.0, "lr": 1e-3} for n in range(1, 6)]


def log(path, records, end=""):
    text = "".join(json.dumps(record) + "\n" for record in records)
    path.write_text(text + end, encoding="utf-8")


def run_of(folder, epochs=1, steps=STEPS, end="", **more):
    folder.mkdir()
    records = [EPOCH | {"epoch": n, "step": 25 * n} | more for n in range(1, epochs + 1)]
    log(folder / "metrics.jsonl", records, end)
    if steps is not None:
        log(folder / "steps.jsonl", steps)
    (folder / "config.json").write_text(json.dumps({"clip_norm": 1.25}, indent=1))
    return folder


@pytest.mark.parametrize(
    "given, texts",
    [
        ({}, {"training", "validation", "tokens", "clipped at 1.25"}),
        ({"epochs": 3, "valid_bleu": 31.0, "valid_exact_match": 0.4}, {"BLEU", "exact match"}),
        ({"steps": None}, {"training"}),
        ({"epochs": 2, "skipped": 3}, {"Clipped steps (%); 6 skipped"}),
        ({"epochs": 0}, {"step"}),
        ({"epochs": 0, "steps": [{"step": 10, "loss": None, "lr": None}]}, {"not finite"}),
        ({"epochs": 2, "end": '{"epoch": 3, "st'}, {"training"}),
    ],
)
def test_curves_of_any_run(tmp_path, monkeypatch, given, texts):
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    run, figure = run_of(tmp_path / "run", **given), Figure()
    monkeypatch.setattr(plots, "save", lambda folder, name, tokens, draw: draw(figure, str))
    plots.draw_run(run, translator_of(attention="none"), SOURCES)
    assert texts <= {text.get_text() for text in figure.findobj(Text)}


def test_a_run_that_was_not_finite_is_drawn(tmp_path, silent):
    """One epoch, four orders of magnitude, infinities, and a step without numbers."""
    steps = [*STEPS, {"step": 60, "loss": None, "gradient_norm": None, "lr": 1e-3}]
    odd = {"largest_gradient_norm": math.inf, "train_loss": math.nan, "valid_loss": 1e-4}
    run = run_of(tmp_path / "a run", steps=steps, **odd)
    plots.draw_run(run, translator_of(attention="none"), SOURCES)
    assert names(run) == sorted([*pairs("curves"), "config.json", "metrics.jsonl", "steps.jsonl"])
    assert {"not finite", "validation"} <= set(svg_texts(run / "curves.svg"))
    assert min(png_size(run / "curves.png")) > 700


def test_curves_show_what_was_logged():
    from matplotlib.figure import Figure

    figure = Figure()
    epochs = [EPOCH | {"step": 25, "valid_bleu": 7.0}, EPOCH | {"step": 50, "train_loss": 1.0}]
    plots.curves(figure, epochs, STEPS, {"clip_norm": 1.25})
    lines = {
        (axes.get_title(), line.get_label()): line.get_xydata().tolist()
        for axes in figure.axes
        for line in axes.get_lines()
    }
    assert lines["Loss (nats per token)", "training"] == [[25, 2.0], [50, 1.0]]
    assert lines["Loss (nats per token)", "step"] == [[s["step"], s["loss"]] for s in STEPS]
    assert lines["Validation accuracy (%)", "tokens"] == [[25, 50], [50, 50]]
    assert lines["Validation accuracy (%)", "BLEU"][0] == [25, 7]
    assert lines["Clipped steps (%)", "share of steps"] == [[25, 25], [50, 25]]
    assert {y for _, y in lines["Gradient norm, before clipping", "clipped at 1.25"]} == {1.25}


def test_a_run_draws_the_attention_of_its_sentences(tmp_path, silent):
    run = tmp_path / "run"
    run.mkdir()
    plots.draw_run(run, translator_of(), [SOURCES[0], "", SOURCES[1]])
    assert names(run) == pairs("attention-1", "attention-3")
    shown = svg_texts(run / "attention-1.svg")
    assert shown[:7] == ["I", "like", "tea", ",", "please", ".", "</s>"]


# attention


def test_chinese_stays_text_and_is_spelled_where_no_font_has_it(tmp_path, silent, capsys):
    translation = translation_of("I drink tea $ $".split(), "我喝茶<&")
    for _ in range(2):
        plots.draw_attention(translation, tmp_path, "attention")
    shown = svg_texts(tmp_path / "attention.svg")
    assert shown[:6] == ["I", "drink", "tea", "$", "$", "</s>"]
    assert shown[6:12] == [*"我喝茶<&", "</s>"]
    _, missing = plots.fonts(frozenset("我喝茶"))
    said = capsys.readouterr().err
    assert said.count("install one") == bool(missing)
    assert names(tmp_path) == pairs("attention")


def test_the_same_drawing_is_the_same_file(tmp_path):
    translation, found = translation_of("ab", "我们"), []
    for name in ("first", "second"):
        plots.draw_attention(translation, tmp_path, name)
        found.append([(tmp_path / f"{name}.{kind}").read_bytes() for kind in ("png", "svg")])
    assert found[0] == found[1]


def test_shades_are_the_weights(tmp_path):
    from matplotlib.figure import Figure

    figure, weights = Figure(), np.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    plots.heat_map(weights, ["a", "b"], ["x", "y", "z"], figure, str)
    axes = figure.axes[0]
    assert axes.collections[0].get_array().tolist() == weights.tolist()
    assert [text.get_text() for text in axes.get_yticklabels()] == ["x", "y", "z"]
    assert axes.yaxis_inverted()  # the first token is on top


def test_a_long_sentence_is_a_larger_drawing():
    from matplotlib.figure import Figure

    def size(S, T):
        figure = Figure()
        plots.heat_map(np.zeros((T, S)), ["a"] * S, ["b"] * T, figure, str)
        return figure.get_size_inches()

    assert size(50, 10)[0] == pytest.approx(5 * size(10, 10)[0])
    # matplotlib refuses 65536 pixels
    assert size(1000, 1)[0] * plots.DPI < 65536 / 4


@pytest.mark.parametrize(
    "token, shown",
    [
        ("l'￭", "l'"),
        ("￭.", "."),
        ("￭", "￭"),
        (" ", "␣"),
        ("￭ ", "␣"),
        ("\t", "⇥"),
        ("\n", "↵"),
        ("\x01", "U+0001"),
        ("\U0010fff1", "U+10FFF1"),
        ("▁tea", "▁tea"),
        ("é", "é"),
        ("x" * 100, "x" * 23 + "…"),
    ],
)
def test_tokens_as_they_are_shown(token, shown):
    assert terminal.label(token) == shown


def test_unseen_characters_do_not_break_a_drawing(tmp_path, silent):
    plots.draw_attention(
        translation_of(["\x00", "\x1b[1m", "\ud800", "$x^2"], "]]>"), tmp_path, "odd"
    )
    assert "U+0000" in svg_texts(tmp_path / "odd.svg")


# fonts


@pytest.fixture
def boxes(tmp_path):
    """An installed font that has a box for each of 我 and 茶, and nothing else."""
    builder = pytest.importorskip("fontTools.fontBuilder").FontBuilder(1000)
    pens = pytest.importorskip("fontTools.pens.ttGlyphPen")
    from matplotlib import font_manager

    pen = pens.TTGlyphPen(None)
    pen.moveTo((100, 0))
    for point in ((100, 800), (900, 800), (900, 0)):
        pen.lineTo(point)
    pen.closePath()
    box = pen.glyph()
    builder.setupGlyphOrder([".notdef", "box"])
    builder.setupCharacterMap({ord("我"): "box", ord("茶"): "box"})
    builder.setupGlyf({".notdef": box, "box": box})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "box": (1000, 100)})
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"familyName": "AAA Boxes", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    path = tmp_path / "boxes.ttf"
    builder.save(path)
    known = list(font_manager.fontManager.ttflist)
    font_manager.fontManager.addfont(path)
    plots.fonts.cache_clear()
    yield "AAA Boxes"
    font_manager.fontManager.ttflist[:] = known
    plots.fonts.cache_clear()


def test_a_font_that_has_the_characters_is_found(boxes, monkeypatch, tmp_path, silent):
    monkeypatch.setattr(plots, "FAMILIES", (boxes,))
    assert plots.fonts(frozenset("tea")) == (["DejaVu Sans"], set())
    assert plots.fonts(frozenset("茶 tea")) == (["DejaVu Sans", boxes], set())
    families, missing = plots.fonts(frozenset("茶\U000f1234"))
    assert families == ["DejaVu Sans", boxes] and missing == {"\U000f1234"}
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    plots.draw_attention(translation_of("tea", "我茶"), drawn, "attention")
    assert boxes in (drawn / "attention.svg").read_text(encoding="utf-8")


# gates

CONFIGURATIONS = [
    *[{"cell": cell, "layers": layers} for cell, layers in product(("lstm", "gru", "rnn"), (1, 2))],
    {"layer_norm": True},
    {"layer_norm": True, "layers": 2},
    {"peeky": True, "attention": "none"},
    {"input_feeding": True, "cell": "gru", "layers": 2},
    {"input_feeding": True, "peeky": True, "coverage": True, "layer_norm": True},
    {"recurrent_dropout": 0.5, "dropout": 0.5, "layers": 2, "variational": True},
]


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=str)
def test_gates_written_out_are_the_layers_own(options):
    model = translator_of(**options).model
    for p in model.parameters():
        p.array += np.random.default_rng(p.numel()).normal(0, 0.2, p.shape).astype(np.float32)
    batch = Batch.of([([4, 5, 6, 7], [4, 6, 5, 7, 8])])
    model.train()
    found = gates.gates(model, batch)
    with mg.no_grad():  # the same target in one call, which shows the last state
        memory = model.encode(batch)
        state = model.decoder(mg.as_tensor(batch.target_in), memory.start, memory).state
    _, _, after = gates.steps_of_top_layer(model, batch)
    for name, steps, last in zip("hc", after, state.rnn):
        assert found[name].shape == (6, 6)
        assert np.abs(found[name] - steps).max() < 1e-5
        assert np.abs(found[name][-1] - last.numpy()[-1, 0]).max() < 1e-5
    for name in set(found) & set("ifozr"):
        assert 0 < found[name].min() and found[name].max() < 1
    assert not model.decoder.rnn._forward_hooks


def test_a_drawing_for_every_gate(tmp_path, silent):
    one, folder = translator_of(attention="none"), tmp_path / "a new" / "folder"
    (translation,) = one.score([(SOURCES[0], TARGETS[0])])
    plots.draw_translation(one, SOURCES[0], translation, folder, 7)
    assert names(folder) == pairs("0007-gates")
    assert min(png_size(folder / "0007-gates.png")) > 500
    shown = svg_texts(folder / "0007-gates.svg")
    assert {plots.TITLES[gate] for gate in "ifogch"} <= set(shown)
    assert [text for text in shown if text in TARGETS[0]] == list(TARGETS[0])


@pytest.mark.parametrize("known", ["ifogch", "rznh", "h"])
def test_panels_show_units_by_tokens_and_their_means(known):
    from matplotlib.figure import Figure

    rng, figure = np.random.default_rng(0), Figure()
    found = {gate: rng.uniform(-1, 1, (3, 600)) for gate in known}
    for gate in set(known) & set("ifozr"):
        found[gate] = np.abs(found[gate])
    plots.gate_panels(found, ["a", "b", "</s>"], figure, str)
    images = {axes.get_title(): axes.images[0] for axes in figure.axes if axes.images}
    assert list(images) == [plots.TITLES[gate] for gate in known]
    for gate in known:
        assert (images[plots.TITLES[gate]].get_array() == found[gate].T).all()
    lines = [line for axes in figure.axes for line in axes.get_lines()]
    means = {line.get_label().strip("|"): line.get_ydata() for line in lines}
    for gate in known:
        assert means[gate] == pytest.approx(np.abs(found[gate]).mean(1))
    assert [text.get_text() for text in figure.axes[-1].get_xticklabels()] == ["a", "b", "</s>"]
    figure.draw_without_rendering()


def test_gates_of_what_was_said():
    """Forced decoding hears <s> and the tokens of the translation, whatever was searched for."""
    one = translator_of()
    heard = []
    one.model.decoder.register_forward_hook(lambda m, args, y: heard.append(args[0].numpy().copy()))
    (found,) = one.search([SOURCES[1]], attention=True)[0]
    ids = {token: n for n, token in enumerate(one.target.tokens)}
    before = len(heard)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "save", lambda *_: None)
        plots.draw_translation(one, SOURCES[1], found, plots.Path("."), 1)
    said = np.concatenate(heard[before:]).ravel().tolist()
    assert said == [BOS, *[ids[piece] for piece in found.target[:-1]]] and EOS not in said


def test_nothing_to_draw(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "save", lambda folder, name, *_: drawn.append(name))
    for number, attention in enumerate(("none", "dot"), 1):
        one = translator_of(attention=attention)
        for source in ("", SOURCES[0]):
            (found,) = one.search([source], attention=True)[0]
            plots.draw_translation(one, source, found, tmp_path, number)
    assert drawn == ["0001-gates", "0002-attention", "0002-gates"]


def test_without_matplotlib(tmp_path, monkeypatch, capsys):
    own = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return own(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    one, run = translator_of(), run_of(tmp_path / "run")
    plots.draw_run(run, one, SOURCES)
    assert 'pip install -e ".[scripts]"' in capsys.readouterr().err
    found = translation_of("a", "b")
    with pytest.raises(RuntimeError, match="pip install"):
        plots.draw_translation(one, SOURCES[0], found, tmp_path / "drawn", 1)
    assert not (tmp_path / "drawn").exists()
    assert "█" in terminal.attention_text(translation_of("a", "b", np.eye(2)), 80, io.StringIO())


# in the terminal


def columns_of(text):
    """The characters of a line by the columns they begin at, as a terminal places them."""
    found, at = {}, 0
    for c in text:
        found[at] = c
        at += 1 + (east_asian_width(c) in "WF")
    return found


def test_a_row_for_each_target_token_a_column_for_each_source_token():
    weights = [[1, 0, 0], [0, 0.5, 0.5], [0.25, 0, 0.75]]
    text = terminal.attention_text(translation_of(["tea", "please"], "茶请", weights), 80)
    assert text.split("\n") == [
        "     tea please </s>",
        "  茶 ███",
        "  请     ▒▒▒▒▒▒ ▒▒▒▒",
        "</s> ░░░        ▓▓▓▓",
    ]


def test_wide_characters_stand_above_their_columns():
    weights = np.eye(4)
    lines = terminal.attention_text(translation_of("我爱é", ["I", "love", "you"], weights), 80)
    head, *rows = lines.split("\n")
    at = {c: n for n, c in columns_of(head).items()}
    for row, c in zip(rows, "我爱é<"):
        first = min(n for n, shade in columns_of(row).items() if shade == "█")
        assert first == at[c]


def test_what_does_not_fit_stands_upright_and_then_in_parts():
    source = ["breakfast", "茶", *("word" for _ in range(40))]
    translation = translation_of(source, ["a", "b"], np.eye(43)[:3])
    for columns in (100, 60, 20, 10, 1):
        parts = terminal.attention_text(translation, columns).split("\n\n")
        assert max(terminal.width_of(row) for part in parts for row in part.split("\n")) <= max(
            columns, 7
        )
    parts = terminal.attention_text(translation, 60).split("\n\n")
    assert len(parts) == 2
    assert parts[0].split("\n") == [
        "     b",
        "     r",
        "     e",
        "     a",
        "     k",
        "     f   w w w w w w w w w w w w w w w w w w w w w w w w w",
        "     a   o o o o o o o o o o o o o o o o o o o o o o o o o",
        "     s   r r r r r r r r r r r r r r r r r r r r r r r r r",
        "     t 茶d d d d d d d d d d d d d d d d d d d d d d d d d",
        "   a ██",
        "   b   ██",
        "</s>     ██",
    ]


def test_ascii_where_the_terminal_has_no_more():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    translation = translation_of(["thé"], ["tea"], [[1, 0], [0.5, 0.5]])
    text = terminal.attention_text(translation, 80, stream)
    assert text.split("\n") == ["     th? </s>", " tea @@@", "</s> === ===="]
    assert "@@@" in text and text.isascii()


def test_gates_in_the_terminal():
    found = {"f": np.array([[0.5, 1.0], [0.25, 0.25]]), "c": np.array([[-1.0, 3.0], [0.5, -0.5]])}
    lines = terminal.gates_text(found, ["我", "tea"], io.StringIO()).split("\n")
    assert lines == [
        "     f              |c|",
        " 我  0.75 ██████    2.00 ████████",
        "tea  0.25 ██        0.50 ████",
    ]
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert terminal.gates_text(found, ["é", "a"], stream).split("\n")[1:] == [
        "?  0.75 ######    2.00 ########",
        "a  0.25 ##        0.50 ####",
    ]


def test_nothing_to_show_is_said():
    assert "no attention" in terminal.attention_text(Translation("", [], [], 0, 0, None))
    without = Translation("茶", ["tea", "</s>"], ["茶", "</s>"], 0, 0, None)
    assert "no attention" in terminal.attention_text(without)
