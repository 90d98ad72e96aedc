"""check_padding: models that read their padding are caught and named, the others pass."""

import dataclasses
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest

import minigrad as mg
from datasets import PAD, Batch
from minigrad import nn
from minigrad.nn import functional as F
from minigrad.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from minigrad.testing import check_padding
from models.objective import token_losses
from models.options import ATTENTIONS, ModelOptions
from models.seq2seq import Seq2Seq

V, E, H, C = 11, 4, 5, 3
LENGTHS = [5, 2, 7, 3]
RNG = np.random.default_rng(0)


def columns(lengths=LENGTHS, T=None, low=1, high=V):
    """Sentences of these lengths as the columns of an array, padded with zeros."""
    tokens = np.zeros((T or max(lengths), len(lengths)), np.int64)
    for b, n in enumerate(lengths):
        tokens[:n, b] = RNG.integers(low, high, n)
    return tokens


TOKENS = columns()
BATCH = mg.tensor(TOKENS), mg.tensor(LENGTHS)
ROWS = mg.tensor(TOKENS.T), mg.tensor(LENGTHS)  # batch first


def real(tokens):
    return (tokens != 0).unsqueeze(-1)


class Model(nn.Module):
    def __init__(self, **layers):
        super().__init__()
        self.embedding = nn.Embedding(V, E)
        for name, layer in layers.items():
            setattr(self, name, layer)

    def masked(self, tokens):
        return mg.where(real(tokens), self.embedding(tokens), 0.0)


def model(kind, **layers):
    mg.manual_seed(0)
    return kind(**layers).double()


# pooling


class Pooling(Model):
    def __init__(self, how):
        super().__init__(output=nn.Linear(E, C))
        self.how = how

    def forward(self, tokens, lengths):
        x, own = self.embedding(tokens), real(tokens)
        if self.how == "mean":
            return self.output(x.mean(0))
        if self.how == "max":
            return self.output(x.amax(0))
        if self.how == "multiplied":
            return self.output((x * own).sum(0) / lengths.unsqueeze(1))
        if self.how == "padded size":
            return self.output(self.masked(tokens).mean(0))
        if self.how == "masked max":
            return self.output(x.masked_fill(~own, -1e9).amax(0))
        return self.output(self.masked(tokens).sum(0) / lengths.unsqueeze(1))


@pytest.mark.parametrize("how", ["masked mean", "masked max"])
def test_pooling_over_real_steps_passes(how):
    assert check_padding(model(Pooling, how=how), BATCH) is True


@pytest.mark.parametrize(
    "how, variation",
    [
        ("mean", "with more padding"),
        ("padded size", "with more padding"),
        ("max", "with other numbers in the padded embeddings"),  # of one padding as of many
    ],
)
def test_pooling_over_padding_is_found(how, variation):
    with pytest.raises(AssertionError, match=f"{variation}.*the output changes") as caught:
        check_padding(model(Pooling, how=how), BATCH)
    # what is given to the next module is wrong, and the module that computed it is named
    assert "'output' (Linear), in what it receives" in str(caught.value)
    assert "the forward of the model itself (Pooling)" in str(caught.value)


def test_without_more_padding_the_numbers_in_it_give_it_away():
    with pytest.raises(AssertionError, match="other numbers .* 'output'"):
        check_padding(model(Pooling, how="mean"), BATCH, skip="padding")
    with pytest.raises(AssertionError, match="NaN in the padded .* 'output'"):
        check_padding(model(Pooling, how="mean"), BATCH, skip=["padding", "numbers"])
    with pytest.raises(AssertionError, match="with sentence 0 alone .* 'output'"):
        skip = ["padding", "numbers", "nan", "order"]
        check_padding(model(Pooling, how="mean"), BATCH, skip=skip)


def test_a_mask_that_multiplies_lets_nan_through_and_the_error_says_so():
    multiplied = model(Pooling, how="multiplied")
    with pytest.raises(AssertionError, match="NaN is multiplied by zero.*skip='nan'"):
        check_padding(multiplied, BATCH)
    assert check_padding(multiplied, BATCH, skip="nan")


# recurrence


class Recurrent(Model):
    """Labels of sentences from the last states of a layer in both directions."""

    def __init__(self, how, layer=nn.LSTM):
        rnn = layer(E, H, bidirectional=True)
        super().__init__(rnn=rnn, output=nn.Linear(2 * H, C))
        self.how = how

    def forward(self, tokens, lengths):
        x = self.embedding(tokens)
        if self.how == "packed":
            x = pack_padded_sequence(x, lengths, enforce_sorted=False)
        _, state = self.rnn(x, lengths=lengths) if self.how == "lengths" else self.rnn(x)
        state = state[0] if isinstance(state, tuple) else state
        return self.output(mg.cat([state[0], state[1]], 1))


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("how", ["lengths", "packed"])
def test_states_at_the_last_real_step_pass(how, layer):
    assert check_padding(model(Recurrent, how=how, layer=layer), BATCH)


@pytest.mark.parametrize("layer", [nn.LSTM, nn.GRU])
def test_a_direction_that_starts_at_the_padding_is_found(layer):
    with pytest.raises(AssertionError, match="first module where it shows is 'rnn'.* returns"):
        check_padding(model(Recurrent, how="plain", layer=layer), BATCH)


class Tagger(Model):
    """Tags of tokens; the unused last state differs with padding, and is not to be blamed."""

    def __init__(self, norm=None, packed=False, batch_first=False, flat=False, pool=False):
        super().__init__(rnn=nn.LSTM(E, H, batch_first=batch_first), norm=norm or nn.Identity())
        self.output = nn.Linear(H, C)
        self.packed, self.batch_first, self.flat, self.pool = packed, batch_first, flat, pool

    def forward(self, tokens, lengths):
        x = self.embedding(tokens)
        if self.packed:
            options = dict(batch_first=self.batch_first)
            x = pack_padded_sequence(x, lengths, enforce_sorted=False, **options)
            ys, _ = pad_packed_sequence(self.rnn(x)[0], **options)
        else:
            ys, _ = self.rnn(x)
        if self.pool:
            ys = ys + ys.mean(1 if self.batch_first else 0, keepdim=True)
        if not isinstance(self.norm, nn.Identity):
            ys = self.norm(ys.transpose(0, 1).transpose(1, 2)).transpose(1, 2).transpose(0, 1)
        ys = self.output(ys)
        return ys.reshape(-1, C) if self.flat else ys


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_outputs_at_padded_steps_do_not_count(batch_first, flat):
    tagger = model(Tagger, batch_first=batch_first, flat=flat)
    assert check_padding(tagger, ROWS if batch_first else BATCH, batch_first=batch_first)


@pytest.mark.parametrize("batch_first", [False, True])
def test_outputs_as_long_as_the_longest_sentence(batch_first):
    tagger = model(Tagger, packed=True, batch_first=batch_first)
    tokens = mg.tensor(columns(T=9))
    tokens = tokens.T if batch_first else tokens
    assert check_padding(tagger, (tokens, BATCH[1]), batch_first=batch_first)


@pytest.mark.parametrize("flat", [False, True])
def test_a_mean_over_all_steps_is_found_behind_a_state_that_differs_rightly(flat):
    with pytest.raises(AssertionError, match="is 'output' .* receives from .* itself"):
        check_padding(model(Tagger, pool=True, flat=flat), BATCH)


def test_batch_norm_over_padding_is_found_in_training_and_allowed_in_evaluation():
    tagger = model(Tagger, norm=nn.BatchNorm1d(H))
    before = {name: x.numpy().copy() for name, x in tagger.named_buffers()}
    with pytest.raises(AssertionError, match=r"'norm' \(BatchNorm1d\), in what it returns"):
        check_padding(tagger, BATCH)
    assert tagger.training and tagger.norm.training
    for name, x in tagger.named_buffers():
        np.testing.assert_array_equal(x.numpy(), before[name])
    assert check_padding(tagger.eval(), BATCH)
    assert not tagger.training


def test_group_norm_over_padding_is_found_in_evaluation_too():
    with pytest.raises(AssertionError, match=r"'norm' \(GroupNorm\), in what it returns"):
        check_padding(model(Tagger, norm=nn.GroupNorm(1, H)).eval(), BATCH)


# cells


class Cells(Model):
    """The decoder or encoder that everybody writes: a cell in a loop over the steps."""

    def __init__(self, reverse=False, frozen=True, pool=False):
        super().__init__(cell=nn.GRUCell(E, H), output=nn.Linear(H, C))
        self.reverse, self.frozen, self.pool = reverse, frozen, pool

    def forward(self, tokens, lengths):
        T, B = tokens.shape
        h, ys = mg.zeros(B, H, dtype=mg.float64), []
        for t in reversed(range(T)) if self.reverse else range(T):
            new = self.cell(self.embedding(tokens[t]), h)
            h = mg.where((t < lengths).unsqueeze(1), new, h) if self.frozen else new
            ys.append(h)
        if self.reverse:
            ys.reverse()
        ys = mg.stack(ys)
        return self.output(ys.mean(0) if self.pool else ys)


@pytest.mark.parametrize("reverse, frozen", [(False, False), (False, True), (True, True)])
def test_cells_in_a_loop_pass(reverse, frozen):
    assert check_padding(model(Cells, reverse=reverse, frozen=frozen), BATCH)


def test_a_cell_that_runs_backwards_from_the_padding_is_found():
    with pytest.raises(AssertionError, match=r"is 'cell' \(GRUCell\), in what it .* in call"):
        check_padding(model(Cells, reverse=True, frozen=False), BATCH)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_right_loop_is_not_blamed_for_what_follows_it(reverse):
    with pytest.raises(AssertionError, match="is 'output' .* receives from .* itself"):
        check_padding(model(Cells, reverse=reverse, pool=True), BATCH)


# attention


class Attention(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.mask = mask
        self.combine = nn.Linear(E, E)

    def forward(self, x, own):
        scores = x.transpose(0, 1) @ x.transpose(0, 1).transpose(1, 2)  # (B, T, T)
        if self.mask:
            scores = scores.masked_fill(~own.squeeze(2).T.unsqueeze(1), -np.inf)
        return self.combine((F.softmax(scores, 2) @ x.transpose(0, 1)).transpose(0, 1))


class Attending(Model):
    def __init__(self, mask):
        super().__init__(attention=Attention(mask), output=nn.Linear(E, C))

    def forward(self, tokens, lengths):
        return self.output(self.attention(self.masked(tokens), real(tokens)))


def test_attention_with_a_mask_passes_and_without_is_found():
    assert check_padding(model(Attending, mask=True), BATCH)
    with pytest.raises(AssertionError, match="'attention.combine'.*of 'attention' .Attention."):
        check_padding(model(Attending, mask=False), BATCH)


def test_attention_of_several_heads():
    """Its arrays have heads and sentences on one axis."""

    class Heads(Model):
        def __init__(self, mask):
            super().__init__(attention=nn.MultiheadAttention(E, 2))
            self.mask = mask

        def forward(self, tokens, lengths):
            x = self.masked(tokens)
            mask = (tokens == 0).T if self.mask else None
            return self.attention(x, x, x, key_padding_mask=mask)

    assert check_padding(model(Heads, mask=True), BATCH)
    with pytest.raises(AssertionError, match="'attention' .MultiheadAttention., in what it ret"):
        check_padding(model(Heads, mask=False), BATCH)


def test_values_at_padded_keys_are_multiplied_by_zero():
    """Attention right over embeddings: only NaN shows, and may be left out."""

    class Direct(Attending):
        def forward(self, tokens, lengths):
            return self.output(self.attention(self.embedding(tokens), real(tokens)))

    with pytest.raises(AssertionError, match="with NaN"):
        check_padding(model(Direct, mask=True), BATCH)
    assert check_padding(model(Direct, mask=True), BATCH, skip="nan")


# losses

TAGS = np.where(TOKENS == 0, -100, TOKENS % C)
TAGGED = {"tokens": mg.tensor(TOKENS), "lengths": mg.tensor(LENGTHS), "tags": mg.tensor(TAGS)}
OPTIONS = dict(forward=lambda m, b: m(b["tokens"], b["lengths"]), pad={"tags": -100})


def tag_loss(reduction):
    def loss(output, batch):
        return F.cross_entropy(
            output.reshape(-1, C), batch["tags"].reshape(-1), reduction=reduction
        )

    return loss


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_losses_over_real_steps_pass(reduction):
    assert check_padding(model(Tagger), TAGGED, loss=tag_loss(reduction), **OPTIONS)


def test_a_mean_over_sentences_passes_and_other_shares_are_told():
    def means(output, batch):
        """The mean loss of each sentence."""
        losses = F.cross_entropy(
            output.transpose(0, 1).transpose(1, 2), batch["tags"].T, reduction="none"
        )
        return losses.sum(1) / batch["lengths"]

    def weighted(output, batch):  # longer sentences count more than in proportion
        weights = batch["lengths"] ** 2
        return (means(output, batch) * weights).sum() / weights.sum()

    tagger = model(Tagger)
    assert check_padding(tagger, TAGGED, loss=lambda y, b: means(y, b).mean(), **OPTIONS)
    shares = np.square(LENGTHS) / np.square(LENGTHS).sum()
    assert check_padding(tagger, TAGGED, loss=weighted, shares=shares, **OPTIONS)
    with pytest.raises(AssertionError, match="Otherwise say by shares="):
        check_padding(tagger, TAGGED, loss=weighted, **OPTIONS)


def test_a_loss_divided_by_the_padded_size_is_found():
    def loss(output, batch):
        return tag_loss("sum")(output, batch) / batch["tags"].numel()

    with pytest.raises(AssertionError, match="with more padding the loss changes .* look at the"):
        check_padding(model(Tagger), TAGGED, loss=loss, **OPTIONS)


def test_a_loss_that_counts_padding_as_a_class_is_found():
    tags = mg.tensor(np.where(TOKENS == 0, 0, TOKENS % C))
    with pytest.raises(AssertionError, match="the loss changes"):
        check_padding(
            model(Tagger),
            {**TAGGED, "tags": tags},
            loss=tag_loss("sum"),
            forward=OPTIONS["forward"],
        )


def test_a_loss_that_mixes_sentences_is_found():
    def loss(output, batch):
        return tag_loss("sum")(output, batch) ** 2

    with pytest.raises(AssertionError, match="each sentence alone the losses do not make up"):
        check_padding(model(Tagger), TAGGED, loss=loss, **OPTIONS)
    assert check_padding(model(Tagger), TAGGED, loss=loss, skip="alone", **OPTIONS)


def test_a_model_that_returns_its_loss():
    class Loss(Tagger):
        def forward(self, tokens, lengths, tags):
            logits = super().forward(tokens, lengths)
            return F.cross_entropy(logits.reshape(-1, C), tags.reshape(-1))

    assert check_padding(model(Loss), TAGGED, pad={"tags": -100})


# gradients


class Leak(mg.autograd.Function):
    """Passes its input on, and gives it a gradient of padded steps too."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g + g.mean(0, keepdim=True)


def test_a_gradient_that_depends_on_padding_is_found_though_the_outputs_do_not():
    class Leaking(Tagger):
        def forward(self, tokens, lengths):
            ys, _ = self.rnn(Leak.apply(self.embedding(tokens)))
            return self.output(ys)

    with pytest.raises(AssertionError, match="the gradient of 'embedding.weight'") as caught:
        check_padding(model(Leaking), BATCH)
    assert "Going backwards, the first gradient to differ is" in str(caught.value)
    assert "'embedding' (Embedding), in what it returns" in str(caught.value)


def test_a_gradient_that_mixes_sentences_is_found_when_they_are_alone():
    class Mixed(Leak):
        @staticmethod
        def backward(ctx, g):
            return g + g.mean(1, keepdim=True)

    class Mixing(Tagger):
        def forward(self, tokens, lengths):
            return self.output(Mixed.apply(self.rnn(self.embedding(tokens))[0]))

    with pytest.raises(AssertionError, match="each sentence alone the gradient of .*'rnn' .LSTM."):
        check_padding(model(Mixing), BATCH, skip=["numbers", "nan"])


def test_gradients_and_modes_of_the_model_stay():
    tagger = model(Tagger)
    tagger.norm.eval()
    tagger.output.weight.grad = mg.ones(C, H, dtype=mg.float64)
    assert check_padding(tagger, BATCH)
    with pytest.raises(TypeError):
        check_padding(tagger, BATCH, forward=lambda m, b: m(*b) + None)
    assert tagger.training and tagger.rnn.training and not tagger.norm.training
    assert (tagger.output.weight.grad.numpy() == 1).all()
    assert [n for n, p in tagger.named_parameters() if p.grad is not None] == ["output.weight"]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in tagger.modules())


def test_dropout_is_off():
    class Dropping(Tagger):
        def forward(self, tokens, lengths):
            return F.dropout(super().forward(tokens, lengths), 0.5, self.training)

    assert check_padding(model(Dropping), BATCH)


def test_a_model_that_draws_numbers_or_keeps_a_state_is_refused():
    class Drawing(Tagger):
        def forward(self, tokens, lengths):
            return super().forward(tokens, lengths) + mg.randn(1)

    with pytest.raises(ValueError, match="draws random numbers or keeps a state"):
        check_padding(model(Drawing), BATCH)


def test_a_model_that_cannot_take_a_variation_has_failed():
    class Sorted(Tagger):
        def forward(self, tokens, lengths):
            x = pack_padded_sequence(self.embedding(tokens), lengths)
            return self.output(pad_packed_sequence(self.rnn(x)[0])[0])

    lengths = sorted(LENGTHS, reverse=True)
    batch = mg.tensor(columns(lengths)), mg.tensor(lengths)
    with pytest.raises(AssertionError, match="in another order it raises RuntimeError"):
        check_padding(model(Sorted), batch)
    assert check_padding(model(Sorted), batch, skip="order")


def test_sentences_that_see_each_other_are_found():
    class Mixing(Tagger):
        def forward(self, tokens, lengths):
            return super().forward(tokens, lengths) + lengths[0]

    with pytest.raises(AssertionError, match="another order the output changes at sentence"):
        check_padding(model(Mixing), BATCH)


# features


class Features(nn.Module):
    def __init__(self, norm=None):
        super().__init__()
        self.rnn, self.output = nn.LSTM(3, H, bidirectional=True), nn.Linear(2 * H, 1)

    def forward(self, x, lengths=None, mask=None):
        lengths = lengths if mask is None else mask.sum(0).long()
        _, (h, _) = self.rnn(x, lengths=lengths)
        return self.output(mg.cat([h[0], h[1]], 1))


def features():
    x = RNG.standard_normal((7, 4, 3))
    x[np.arange(7)[:, None] >= np.array(LENGTHS)] = 0
    return x


def test_features_with_lengths_labels_and_masks():
    x, labels = mg.tensor(features()), mg.tensor(RNG.standard_normal((4, 1)))
    mask = np.arange(7)[:, None] < np.array(LENGTHS)
    squared = lambda y, b: ((y - b["labels"]) ** 2).mean()  # noqa: E731
    for extra in (
        {"lengths": mg.tensor(LENGTHS)},
        {"lengths": LENGTHS},
        {"mask": mg.tensor(mask)},
        {"mask": mg.tensor(mask.astype(np.int64))},
        {"mask": mg.tensor(mask.astype(np.float64))},
    ):
        batch = {"x": x, "labels": labels, **extra}
        forward = lambda m, b: m(b["x"], b.get("lengths"), b.get("mask"))  # noqa: E731
        assert check_padding(model(Features), batch, forward=forward, loss=squared)
        with pytest.raises(AssertionError, match="'rnn' .LSTM., in what it returns"):
            check_padding(model(Features), batch, forward=lambda m, b: m(b["x"]))


def test_a_real_step_of_zeros_counts_where_lengths_say_so():
    x = features()
    x[LENGTHS[0] - 1, 0] = 0
    batch = mg.tensor(x), mg.tensor(LENGTHS)
    assert check_padding(model(Features), batch)
    assert check_padding(model(Features), batch, lengths={0: 1})
    with pytest.raises(AssertionError, match="other numbers .* sentence 0"):
        check_padding(model(Features), batch, lengths={0: [4, 2, 7, 3]})


# batches

Named = namedtuple("Named", "tokens lengths")


@dataclasses.dataclass
class Data:
    tokens: mg.Tensor
    lengths: mg.Tensor
    name: str = "a batch"


@pytest.mark.parametrize(
    "batch",
    [
        Named(*BATCH),
        Data(*BATCH),
        SimpleNamespace(tokens=BATCH[0], lengths=BATCH[1]),
        Named(mg.tensor(TOKENS), LENGTHS),
    ],
    ids=["named tuple", "dataclass", "namespace", "list of lengths"],
)
def test_batches_with_names_are_given_as_they_are(batch):
    def forward(recurrent, batch):
        assert type(batch) is kind
        return recurrent(batch.tokens, mg.as_tensor(batch.lengths))

    kind = type(batch)
    assert check_padding(model(Recurrent, how="lengths"), batch, forward=forward)
    with pytest.raises(AssertionError, match="'rnn'"):
        check_padding(model(Recurrent, how="plain"), batch, forward=forward)


def test_tuples_and_dicts_are_arguments_and_arrays_the_argument():
    recurrent = model(Recurrent, how="lengths")
    assert check_padding(recurrent, list(BATCH))
    assert check_padding(recurrent, {"tokens": BATCH[0], "lengths": BATCH[1]})
    tagger = model(Tagger)
    assert check_padding(lambda tokens: tagger(tokens, None), BATCH[0])
    assert check_padding(lambda tokens: tagger(mg.tensor(tokens), None), TOKENS)


def test_a_function_without_modules():
    def mean(x, lengths):
        own = (mg.arange(len(x)).unsqueeze(1) < lengths).unsqueeze(2)
        return mg.where(own, x, 0.0).sum(0) / lengths.unsqueeze(1)

    batch = mg.tensor(features()), mg.tensor(LENGTHS)
    assert check_padding(mean, batch)
    with pytest.raises(AssertionError, match="changes at sentence"):
        check_padding(lambda x, lengths: x.mean(0), batch)


def test_another_padding_number():
    tokens = np.where(TOKENS == 0, V - 1, TOKENS % (V - 1))
    tokens[0] = 1  # the zeros are words now

    class Other(Pooling):
        def forward(self, tokens, lengths):
            own = (tokens != V - 1).unsqueeze(-1)
            return self.output(mg.where(own, self.embedding(tokens), 0.0).sum(0))

    batch = {"tokens": mg.tensor(tokens), "lengths": mg.tensor(LENGTHS)}
    assert check_padding(model(Other, how=""), batch, pad=V - 1)
    with pytest.raises(ValueError, match="lengths says .* pass pad= or lengths="):
        check_padding(model(Other, how=""), batch)


WRONG = [
    (dict(batch=(mg.tensor(LENGTHS),)), "nothing is padded"),
    (dict(batch=ROWS), "is the batch batch first"),
    (dict(batch=BATCH, batch_first=True), "is the batch time first"),
    (dict(batch=BATCH, skip="everything"), "expected"),
    (dict(batch=BATCH, more=0), "at least 1"),
    (dict(batch=BATCH, pad={"tags": 0}), "no array tags"),
    (dict(batch=BATCH, lengths={0: [1, 2]}), "must be 4 integers from 0 to 7"),
    (dict(batch=BATCH, forward=lambda m, b: b[0]), "no floating tensor"),
    (dict(batch=BATCH, forward=lambda m, b: m(*b)[::2]), "cannot tell where"),
]


@pytest.mark.parametrize("options, message", WRONG, ids=[m for _, m in WRONG])
def test_what_cannot_be_checked_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        check_padding(model(Tagger), **options)


SIZES = [([4], None), ([4], 6), ([4, 4], None), ([4, 0], None), ([1, 1], None), ([5, 2, 3], 9)]


@pytest.mark.parametrize("lengths, T", SIZES, ids=str)
def test_batches_of_all_sizes(lengths, T):
    batch = mg.tensor(columns(lengths, T)), mg.tensor(lengths)
    assert check_padding(model(Recurrent, how="lengths"), batch)
    # the sizes of classes, sentences and steps may coincide
    assert check_padding(model(Tagger, flat=True), batch)
    assert check_padding(model(Attending, mask=True), batch, skip="alone" if 0 in lengths else ())


@pytest.mark.parametrize("margin", [0, 1, 2])
def test_convolutions_have_other_numbers_of_steps(margin):
    class Convolving(Model):
        def forward(self, tokens, lengths):
            return self.conv(self.masked(tokens).permute(1, 2, 0))

    batch = mg.tensor(columns([5, 3, 7])), mg.tensor([5, 3, 7])
    assert check_padding(model(Convolving, conv=nn.Conv1d(E, C, 3, padding=margin)), batch)


def test_initial_states_are_no_sequences():
    states = mg.randn(1, 4, H, dtype=mg.float64)
    batch = {"input": mg.tensor(features()), "hx": states}
    gru = model(lambda: nn.GRU(3, H))
    run = lambda m, b: m(b["input"], b["hx"])[0]  # noqa: E731
    assert check_padding(gru, batch, forward=run, lengths={"hx": None})


def test_values_of_sentences_are_not_taken_for_steps():
    batch = {"tokens": ROWS[0], "lengths": ROWS[1], "targets": mg.rand(4, 6, dtype=mg.float64)}
    assert check_padding(
        model(Tagger, batch_first=True),
        batch,
        batch_first=True,
        forward=lambda m, b: m(b["tokens"], b["lengths"])[:, 0],
        loss=lambda y, b: (y.sum(1, keepdim=True) * b["targets"]).sum(),
    )


def test_on_another_device():
    from strict_backend import STRICT

    mg.register_backend(STRICT)
    batch = [x.to("strict") for x in BATCH]
    assert check_padding(model(Recurrent, how="lengths").to("strict"), batch)
    with pytest.raises(AssertionError, match="'rnn'"):
        check_padding(model(Recurrent, how="plain").to("strict"), batch)


# the translator


def translator(attention):
    mg.manual_seed(0)
    sizes = {"embedding_size": 6, "hidden_size": 8, "layers": 2, "dropout": 0.3}
    return Seq2Seq(23, 19, ModelOptions(attention=attention, **sizes)).double()


def pairs(n=5):
    sizes = RNG.integers(1, 9, (n, 2))
    return Batch.of(
        [(RNG.integers(4, 23, s).tolist(), RNG.integers(4, 19, t).tolist()) for s, t in sizes]
    )


def translation_loss(logits, batch):
    return token_losses(logits, mg.tensor(batch.target_out)).sum() / batch.target_tokens


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_the_translator_reads_no_padding(attention):
    assert check_padding(translator(attention), pairs(), loss=translation_loss, pad=PAD)


def test_the_translator_without_its_lengths_is_found():
    seq2seq = translator("none")
    run = seq2seq.encoder.forward
    seq2seq.encoder.forward = lambda source, truncate: run(source._replace(lengths=None))
    with pytest.raises(AssertionError, match=r"is 'encoder.rnn' \(LSTM\), in what it returns"):
        check_padding(seq2seq, pairs(), loss=translation_loss, pad=PAD)


def test_the_translator_without_its_mask_is_found():
    seq2seq = translator("dot")
    prepare = seq2seq.decoder.attention.annotations
    seq2seq.decoder.attention.annotations = lambda ys, padding: prepare(ys, padding & False)
    with pytest.raises(AssertionError, match="'decoder.attention'"):
        check_padding(seq2seq, pairs(), loss=translation_loss, pad=PAD)


def test_the_translator_in_float32():
    seq2seq = translator("dot").float()
    assert check_padding(seq2seq, pairs(), loss=translation_loss, pad=PAD)
