"""State dicts as files: round trips, replacement as a whole, and files that are not one."""

import hashlib
import argparse
import io
import json
import os
import pickle
import stat
import struct
from collections import Counter, OrderedDict

import numpy as np
import pytest

import minigrad as mg
from minigrad import dtypes, nn, optim, serialization
from minigrad.serialization import load, load_file, replacing, save, save_file, write_text

DTYPES = ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"]


def same(tensor, array):
    assert isinstance(tensor, mg.Tensor) and not tensor.requires_grad
    assert (tensor.shape, tensor.dtype) == (array.shape, array.dtype)
    np.testing.assert_array_equal(tensor.numpy(), array)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 3), (), (1,), (0,), (3, 0, 2), (2, 2, 2, 2)], ids=str)
@pytest.mark.parametrize("wrap", [mg.tensor, np.array], ids=["Tensor", "array"])
def test_round_trip(dtype, shape, wrap, tmp_path):
    x = np.asarray(np.random.default_rng(0).standard_normal(shape) * 50).astype(dtype)
    save_file({"x": wrap(x)}, tmp_path / "x.safetensors")
    loaded = load_file(tmp_path / "x.safetensors")
    assert list(loaded) == ["x"]
    same(loaded["x"], x)


VIEWS = {
    "transposed": lambda x: x.T,
    "every second": lambda x: x[:, ::2],
    "reversed": lambda x: x[::-1],
    "a piece": lambda x: x[1:2, 2:],
    "a broadcast": lambda x: np.broadcast_to(x[0, 0], (2, 5)),
    "Fortran order": np.asfortranarray,
    "a 0-d view": lambda x: x[1, 2, ...],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_memory_that_is_not_contiguous(view, tmp_path):
    x = view(np.arange(24.0).reshape(4, 6))
    save_file({"array": x, "tensor": mg.as_tensor(x)}, tmp_path / "x")
    for tensor in load_file(tmp_path / "x").values():
        same(tensor, x)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0, 5e-324])
def test_unusual_floats(value, tmp_path):
    save_file({"x": np.array([value])}, tmp_path / "x")
    assert load_file(tmp_path / "x")["x"].numpy().tobytes() == np.array([value]).tobytes()


def test_many_names_no_names_and_names_in_unicode(tmp_path):
    tensors = {f"layer.{i}.poids é 重み": np.full(i, i) for i in range(12)}
    save_file(tensors, tmp_path / "x")
    loaded = load_file(tmp_path / "x")
    assert set(loaded) == set(tensors)
    for name, x in tensors.items():
        same(loaded[name], x)
    save_file({}, tmp_path / "empty")
    assert load_file(tmp_path / "empty") == {}


def test_parameters_and_computed_tensors(tmp_path):
    layer = nn.Linear(2, 3)
    y = layer(mg.ones(2))
    save_file({"w": layer.weight, "y": y}, tmp_path / "x")
    loaded = load_file(tmp_path / "x")
    same(loaded["w"], layer.weight.detach().numpy())
    same(loaded["y"], y.detach().numpy())
    assert layer.weight.requires_grad and y.requires_grad  # saving leaves the live model alone


def test_tied_tensors_are_loaded_tied(tmp_path):
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(4, 2)
            self.output = nn.Linear(2, 4, bias=False)
            self.output.weight = self.table.weight

    model, other = Tied(), Tied()
    save_file(model.state_dict(), tmp_path / "x")
    other.load_state_dict(load_file(tmp_path / "x"))
    assert other.output.weight is other.table.weight
    np.testing.assert_array_equal(
        other.output.weight.detach().numpy(), model.table.weight.detach().numpy()
    )


def test_a_model_round_trip(tmp_path):
    mg.manual_seed(0)
    models = [nn.LSTM(3, 4, 2, bidirectional=True) for _ in range(2)]
    save_file(models[0].state_dict(), tmp_path / "x")
    models[1].load_state_dict(load_file(tmp_path / "x"))
    x = mg.randn(5, 2, 3)
    np.testing.assert_array_equal(*[m(x)[0].detach().numpy() for m in models])


def test_loaded_tensors_can_be_written_to(tmp_path):
    save_file({"x": np.ones(3)}, tmp_path / "x")
    x = load_file(tmp_path / "x")["x"]
    x.add_(1.0)
    os.unlink(tmp_path / "x")
    np.testing.assert_array_equal(x.numpy(), [2, 2, 2])


def parse(path):
    """Header and data of a safetensors file by its published format: 8 bytes of length, JSON."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def test_the_file_is_the_published_format(tmp_path):
    x = np.arange(6, dtype="float32").reshape(2, 3)
    save_file({"x": x}, tmp_path / "x", metadata={"épreuve": "a b"})
    header, data = parse(tmp_path / "x")
    assert header["x"] == {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    digest = hashlib.sha256(
        json.dumps({"épreuve": "a b"}).encode() + b'["x", "float32", [2, 3]]' + x.tobytes()
    ).hexdigest()
    assert header["__metadata__"] == {"épreuve": "a b", "sha256": digest}
    assert data == x.tobytes()


@pytest.mark.parametrize("read", [load, load_file])
def test_a_bit_that_was_flipped_anywhere_is_noticed(read, tmp_path):
    state = {"w": mg.arange(6.0), "of": {"n": mg.ones(2, dtype="int64")}, "lr": 0.5}
    save(state, tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    read(tmp_path / "x")
    word = whole.index(b'"sha256"')  # without this word it is a file of others, and has no digest
    for at in {*range(8, len(whole))} - {*range(word, word + 8)}:
        for bit in (1, 16):
            flipped = whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
            (tmp_path / "x").write_bytes(flipped)
            with pytest.raises(ValueError):
                print(at, bit, read(tmp_path / "x"))


def test_a_file_of_others_has_no_digest_and_needs_none(tmp_path):
    from safetensors.numpy import save_file as write

    write({"x": np.arange(3.0)}, tmp_path / "x", {"of": "others"})
    np.testing.assert_array_equal(load_file(tmp_path / "x")["x"].numpy(), [0, 1, 2])


# replaced as a whole


def listing(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "x"
    save_file({"a": np.zeros(1000)}, path)
    save_file({"b": np.ones(2)}, path)
    assert list(load_file(path)) == ["b"]
    assert listing(tmp_path) == ["x"]


class Stop(BaseException):
    """Like KeyboardInterrupt: no Exception."""


@pytest.mark.parametrize("error", [OSError("no space left"), Stop(), ValueError("a")])
@pytest.mark.parametrize("existing", [True, False])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(error, existing, tmp_path):
    path = tmp_path / "x"
    if existing:
        path.write_bytes(b"old")
    with pytest.raises(type(error)):
        with replacing(path) as beside:
            assert beside.parent == path.parent and beside != path
            beside.write_bytes(b"half of the n")
            assert not existing or path.read_bytes() == b"old"
            raise error
    assert listing(tmp_path) == (["x"] if existing else [])
    assert not existing or path.read_bytes() == b"old"


@pytest.mark.parametrize("step", ["replace", "fsync", "chmod"])
def test_a_write_that_fails_at_the_end(step, tmp_path, monkeypatch):
    path = tmp_path / "x"
    save_file({"a": np.ones(2)}, path)

    def fail(*args, **kwargs):
        raise OSError("input/output error")

    monkeypatch.setattr(serialization.os, step, fail)
    with pytest.raises(OSError, match="input/output"):
        save_file({"a": np.zeros(5)}, path)
    monkeypatch.undo()
    same(load_file(path)["a"], np.ones(2))
    assert listing(tmp_path) == ["x"]


# fmt: skip
@pytest.mark.parametrize(
    "bad",
    [{"a": np.ones(2), "b": [1.0]}, {"a": 3.0}, {"a": None}, {"a": np.array(["text"])},
     {"a": np.array([None])}, {1: np.ones(2)}],
    ids=["list", "number", "None", "text", "objects", "name"],
)
def test_what_is_no_tensor_leaves_the_old_file(bad, tmp_path):
    path = tmp_path / "x"
    save_file({"a": np.ones(2)}, path)
    with pytest.raises(Exception):
        save_file(bad, path)
    same(load_file(path)["a"], np.ones(2))
    assert listing(tmp_path) == ["x"]


def test_what_is_no_tensor_is_named(tmp_path):
    with pytest.raises(TypeError, match="weights.*list"):
        save_file({"weights": [1.0]}, tmp_path / "x")


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError):
        save_file({"a": np.ones(2)}, tmp_path / "missing" / "x")


def test_write_text(tmp_path):
    path = tmp_path / "Ünï code.txt"
    for text in ("a\nb\n", "", "é 中\u2028x\n", "a\r\nb"):
        write_text(path, text)
        assert path.read_bytes() == text.encode("utf-8")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \ud800")
    assert path.read_bytes() == b"a\r\nb" and listing(tmp_path) == [path.name]


# paths and modes


@pytest.mark.parametrize("name", ["a b.safetensors", "é ü 中文.safetensors", "no suffix", ".hidden",
                                  "a'b\"c", "-dash", "%d {}"])  # fmt: skip
@pytest.mark.parametrize("kind", [str, lambda p: p], ids=["str", "Path"])
def test_paths(name, kind, tmp_path):
    folder = tmp_path / "a folder é"
    folder.mkdir()
    save_file({"x": np.ones(2)}, kind(folder / name))
    same(load_file(kind(folder / name))["x"], np.ones(2))
    assert listing(folder) == [name]


def test_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_file({"x": np.ones(2)}, "x.safetensors")
    same(load_file("x.safetensors")["x"], np.ones(2))


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
@pytest.mark.parametrize("mask, mode", [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600), (0, 0o666)])
def test_the_mode_is_that_of_any_other_file(mask, mode, tmp_path):
    before = os.umask(mask)
    try:
        save_file({"x": np.ones(2)}, tmp_path / "x")
        (tmp_path / "other").write_text("x")
        assert os.umask(mask) == mask  # the process's own mask is as it was
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("x", "other")]
    assert modes == [mode, mode]


# files that are damaged


def header(text, data=b""):
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, offsets):
    return json.dumps({"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}})


GOOD = header(entry("F32", [2], [0, 8]), bytes(8))
DAMAGED = {
    "empty": b"",
    "three bytes": b"abc",
    "text": b"This is not a model, but a line of text.\n",
    "zeros": bytes(64),
    "a pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00}\x94.",
    "a zip": b"PK\x03\x04" + bytes(40),
    "cut in the length": GOOD[:5],
    "cut in the header": GOOD[:30],
    "cut in the data": GOOD[:-3],
    "no data": GOOD[:-8],
    "bytes at the end": GOOD + b"xyz",
    "a huge header": struct.pack("<Q", 2**62) + GOOD[8:],
    "no JSON": header("{'x': 1}"),
    "JSON of another kind": header("[1, 2]"),
    "not UTF-8": header(b"\xff\xfe{}"),
    "offsets beyond the data": header(entry("F32", [2], [0, 80]), bytes(8)),
    "offsets that overlap": header(entry("F32", [2], [8, 0]), bytes(8)),
    "a shape that is not the data": header(entry("F32", [3], [0, 8]), bytes(8)),
    "an unknown dtype": header(entry("F31", [2], [0, 8]), bytes(8)),
    "a dtype NumPy does not have": header(entry("BF16", [4], [0, 8]), bytes(8)),
}


def test_the_undamaged_file_is_one(tmp_path):
    (tmp_path / "x").write_bytes(GOOD)
    same(load_file(tmp_path / "x")["x"], np.zeros(2, "float32"))


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_named(data, tmp_path):
    path = tmp_path / "damaged é model"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged é model"):
        load_file(path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_model(share, tmp_path):
    path = tmp_path / "model"
    save_file(nn.LSTM(3, 4).state_dict(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match="model"):
        load_file(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        load_file(tmp_path / "missing")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises((OSError, ValueError)):
        load_file(tmp_path)


# save and load


def through_a_buffer(obj, folder, **options):
    buffer = io.BytesIO()
    save(obj, buffer)
    buffer.seek(0)
    return load(buffer, **options)


def through_a_path(obj, folder, **options):
    save(obj, str(folder / "saved"))
    return load(folder / "saved", **options)


def through_an_open_file(obj, folder, **options):
    with open(folder / "saved", "wb") as f:
        save(obj, f)
    with open(folder / "saved", "rb") as f:
        return load(f, **options)


WAYS = pytest.mark.parametrize(
    "way", [through_a_buffer, through_a_path, through_an_open_file], ids=["buffer", "path", "file"]
)


def alike(a, b):
    """Equal, of the same types all the way down."""
    assert type(a) is type(b)
    if isinstance(a, mg.Tensor):
        assert (a.shape, a.dtype, a.requires_grad) == (b.shape, b.dtype, b.requires_grad)
        np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
    elif isinstance(a, (np.ndarray, np.generic)):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_array_equal(a, b)
    elif isinstance(a, dict):
        alike(list(a), list(b))
        alike(list(a.values()), list(b.values()))
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            alike(x, y)
    elif isinstance(a, argparse.Namespace):
        alike(vars(a), vars(b))
    else:
        assert a == b or (a != a and b != b)


PLAIN = {
    "tensor": mg.tensor([[1.5, 2.0]]),
    "0-d": mg.tensor(3),
    "empty": mg.zeros(0, 3),
    "bool": mg.tensor([True, False]),
    "leaf": mg.ones(2, requires_grad=True),
    "parameter": nn.Parameter(mg.ones(2)),
    "frozen": nn.Parameter(mg.ones(2), requires_grad=False),
    "view": mg.tensor(np.arange(12.0).reshape(3, 4)).T[1:, ::2],
    "array": np.arange(6, dtype=np.uint16).reshape(2, 3)[:, ::2],
    "scalars": [np.float64(0.1), np.int8(3), np.bool_(True), np.float32(np.nan)],
    "nothing": None,
    "numbers": [1, -(2**80), 0.1, True, float("inf"), float("-inf"), float("nan"), 2 - 1j],
    "text": ["", "é \u4e2d \ud800", b"\x00\xff", {"": ""}],
    "containers": ({1, 2}, frozenset("ab"), (), [], {}, ((),), range(1, 9, 2), Counter("aab")),
    "keys": {0: 1, "0": 2, (1, 2): 3, None: 4, 1.5: 5, True: mg.ones(1), "True": mg.zeros(1)},
    "order": OrderedDict([("b", mg.ones(1)), ("a", mg.zeros(1)), ("b.a", 1)]),
    "namespace": argparse.Namespace(lr=0.1, layers=[1, 2], data=None),
    "types": [dtypes.float32, np.dtype("int64"), dtypes.device("cuda:1"), dtypes.Size((2, 3))],
    "the same names": {"a": {"b": mg.ones(1)}, "a.b": mg.zeros(1), "__metadata__": mg.ones(2)},
    "deep": [[[[[[{"a": ({"b": [mg.ones(1)]},)}]]]]]],
}


@WAYS
@pytest.mark.parametrize("obj", PLAIN.values(), ids=PLAIN)
def test_plain_objects_come_back_as_they_were(obj, way, tmp_path):
    alike(way(obj, tmp_path), obj)


def test_the_other_byte_order(tmp_path):
    x = np.arange(3, dtype=">f4")
    alike(through_a_buffer(x, tmp_path), x.astype("<f4"))


@WAYS
def test_a_checkpoint_goes_on(way, tmp_path):
    mg.manual_seed(0)

    def made():
        model = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.0), nn.Linear(3, 1))
        return model, optim.Adam(model.parameters(), lr=0.1)

    def step(model, optimizer):
        optimizer.zero_grad()
        loss = (model(mg.ones(4, 2)) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    model, optimizer = made()
    step(model, optimizer)
    checkpoint = {
        "epoch": 3,
        "best": np.float64(0.5),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "losses": [0.5, 0.25],
    }
    loaded = way(checkpoint, tmp_path)
    assert (loaded["epoch"], loaded["losses"]) == (3, [0.5, 0.25])
    assert set(loaded["optimizer"]["state"]) == {0, 1, 2, 3}  # numbers, not their digits
    other, other_optimizer = made()
    keys = other.load_state_dict(loaded["model"])
    assert str(keys) == "<All keys matched successfully>"
    other_optimizer.load_state_dict(loaded["optimizer"])
    assert [step(other, other_optimizer) for _ in range(3)] == [
        step(model, optimizer) for _ in range(3)
    ]


def test_a_saved_state_dict_is_a_safetensors_file_like_any_other(tmp_path):
    model = nn.Sequential(nn.Linear(2, 3), nn.LSTM(3, 2))
    model[0].tied = model[0].weight
    save(model.state_dict(), tmp_path / "x")
    loaded = load_file(tmp_path / "x")
    assert set(loaded) == set(model.state_dict())
    for name, x in model.state_dict().items():
        same(loaded[name], x.numpy())
    header, _ = parse(tmp_path / "x")
    assert set(header) == {*loaded, "__metadata__"}
    assert set(header["__metadata__"]) == {"minigrad", "sha256"}


def test_the_names_of_tensors_are_their_paths(tmp_path):
    save({"model": {"w": mg.ones(1)}, "state": {0: [np.ones(1)]}}, tmp_path / "x")
    assert set(load_file(tmp_path / "x")) == {"model.w", "state.0.0"}
    save(mg.ones(1), tmp_path / "x")
    assert list(load_file(tmp_path / "x")) == ["data"]


@WAYS
def test_what_was_one_is_one(way, tmp_path):
    p = nn.Parameter(mg.ones(2))
    a, b, c, d = way([p, p, p.detach(), mg.ones(2)], tmp_path)
    assert a is b and a is not c and type(c) is mg.Tensor
    c.fill_(5)
    assert (a.detach().numpy() == 5).all() and (d.numpy() == 1).all()


def test_a_file_of_another_program(tmp_path):
    save_file({"b": np.ones(2), "a": np.zeros(1, "int64")}, tmp_path / "x", {"format": "pt"})
    loaded = load(tmp_path / "x")
    assert set(loaded) == {"a", "b"}
    same(loaded["b"], np.ones(2))


@pytest.mark.parametrize(
    "location",
    ["cpu", dtypes.device("cpu"), {"cpu": "cpu", "cuda:0": "cpu"}, lambda storage, device: storage,
     lambda storage, device: None],
    ids=["text", "device", "dict", "function", "function of none"],
)  # fmt: skip
@pytest.mark.parametrize("weights_only", [True, False])
def test_map_location(location, weights_only, tmp_path):
    obj = {"a": mg.ones(2), "b": [mg.zeros(1)]}
    alike(through_a_path(obj, tmp_path, map_location=location, weights_only=weights_only), obj)
    layer = through_a_path(nn.Linear(1, 1), tmp_path, map_location=location, weights_only=False)
    assert layer.weight.device == "cpu"


def test_a_tensor_of_a_device_that_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(mg.Tensor, "device", "cuda:7")
    save({"x": mg.ones(2)}, tmp_path / "x")
    save(nn.Linear(1, 1), tmp_path / "model")
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="map_location='cpu'"):
        load(tmp_path / "x")
    same(load(tmp_path / "x", map_location="cpu")["x"], np.ones(2, "float32"))
    same(load(tmp_path / "x", {"cuda:7": "cpu"})["x"], np.ones(2, "float32"))
    assert load(tmp_path / "model", "cpu", weights_only=False).weight.device == "cpu"


# whole objects


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(4, 2)
        self.output = nn.Linear(2, 4, bias=False)
        self.output.weight = self.table.weight
        self.detached = self.table.weight.detach()
        self.register_buffer("count", mg.zeros(1))
        self.sizes = {"a": [1, 2]}

    def forward(self, x):
        return self.output(self.table(x))


class Traced:
    """Its unpickling leaves a trace."""

    def __reduce__(self):
        return trace, ("unpickled",)


TRACES = []


def trace(word):
    TRACES.append(word)


@WAYS
def test_a_whole_model_only_when_asked_for(way, tmp_path):
    model = Tied().eval()
    with pytest.raises(pickle.UnpicklingError, match="weights_only=False"):
        way(model, tmp_path)
    with pytest.raises(pickle.UnpicklingError):
        way(model, tmp_path, weights_only=None)
    other = way(model, tmp_path, weights_only=False)
    assert type(other) is Tied and not other.training and other.sizes == model.sizes
    assert other.output.weight is other.table.weight and type(other.table.weight) is nn.Parameter
    ids = mg.tensor([1, 3])
    alike(other(ids), model(ids))
    with mg.no_grad():
        other.table.weight.fill_(0.0)
    assert (other.detached.numpy() == 0).all()  # one memory, as before


def test_nothing_is_unpickled_by_default(tmp_path):
    save({"a": mg.ones(1), "b": Traced()}, tmp_path / "x")
    with pytest.raises(pickle.UnpicklingError, match="x holds a pickled object"):
        load(tmp_path / "x")
    assert TRACES == []
    load(tmp_path / "x", weights_only=False)
    assert TRACES == ["unpickled"]


def test_containers_that_hold_themselves_are_pickled(tmp_path):
    loop = [mg.ones(1)]
    loop.append(loop)
    other = through_a_buffer(loop, tmp_path, weights_only=False)
    assert other[1] is other
    array = np.array(["a", None], dtype=object)
    assert list(through_a_buffer(array, tmp_path, weights_only=False)) == ["a", None]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickle_protocols(protocol, tmp_path):
    save(nn.Linear(2, 1), tmp_path / "x", pickle_protocol=protocol)
    save(nn.Linear(2, 1), tmp_path / "x", _use_new_zipfile_serialization=False)
    assert repr(load(tmp_path / "x", weights_only=False)).startswith("Linear")


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    save(mg.ones(2), tmp_path / "x")
    for bad in (lambda: 1, [mg.ones(1), lambda: 2]):  # a lambda cannot be pickled
        with pytest.raises((pickle.PicklingError, AttributeError)):
            save(bad, tmp_path / "x")
        same(load(tmp_path / "x"), np.ones(2, "float32"))
    assert listing(tmp_path) == ["x"]
    with pytest.raises(TypeError, match="open binary file"):
        save(mg.ones(1), 3)


# files that are none of ours


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("kind", [kind for kind in DAMAGED if kind != "a pickle"])
def test_load_names_a_damaged_file(kind, weights_only, tmp_path):
    path = tmp_path / "damaged é model"
    path.write_bytes(DAMAGED[kind])
    with pytest.raises(ValueError, match="damaged é model"):
        load(path, weights_only=weights_only)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("whole", [False, True], ids=["state", "model"])
def test_load_of_a_truncated_file(share, whole, tmp_path):
    model, path = nn.LSTM(3, 4), tmp_path / "model"
    save(model if whole else model.state_dict(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match="model"):
        load(path, weights_only=not whole)


def test_a_buffer_that_was_not_rewound(tmp_path):
    buffer = io.BytesIO()
    save(mg.ones(1), buffer)
    with pytest.raises(ValueError, match="seek"):
        load(buffer)


def test_a_file_of_torch_save_is_recognised(tmp_path):
    (tmp_path / "x").write_bytes(DAMAGED["a zip"])
    for weights_only in (True, False):
        with pytest.raises(ValueError, match="safetensors.torch.save_file"):
            load(tmp_path / "x", weights_only=weights_only)


def test_changed_containers_are_named(tmp_path):
    for note in ("{", '{"what": 1}', '{"Tensor": {"name": "y", "requires_grad": false}}'):
        save_file({"x": np.ones(1)}, tmp_path / "x", {"minigrad": note})
        with pytest.raises(ValueError, match="x is damaged"):
            load(tmp_path / "x")


def test_a_missing_file_for_load(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing")
