"""Layers, losses, initialisers and clipping, under PyTorch's names."""

from . import functional, init, modules, parallel, parameter, utils
from .adaptive import AdaptiveLogSoftmaxWithLoss
from .containers import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from .activations import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Hardshrink,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    RReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softmin,
    Softplus,
    Softshrink,
    Softsign,
    Tanh,
    Tanhshrink,
    Threshold,
)
from .attention import (
    MultiheadAttention,
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)
from .cells import GRUCell, LSTMCell, RNNCell, RNNCellBase
from .convolution import (
    AdaptiveAvgPool1d,
    AdaptiveMaxPool1d,
    AvgPool1d,
    CircularPad1d,
    ConstantPad1d,
    Conv1d,
    ConvTranspose1d,
    LPPool1d,
    MaxPool1d,
    ReflectionPad1d,
    ReplicationPad1d,
    Upsample,
    ZeroPad1d,
)
from .embedding import Embedding, EmbeddingBag
from .layers import (
    AlphaDropout,
    Bilinear,
    CosineSimilarity,
    Dropout,
    Dropout1d,
    Dropout2d,
    FeatureAlphaDropout,
    Flatten,
    Identity,
    Linear,
    PairwiseDistance,
    Unflatten,
)
from .losses import (
    BCELoss,
    BCEWithLogitsLoss,
    CosineEmbeddingLoss,
    CrossEntropyLoss,
    CTCLoss,
    GaussianNLLLoss,
    HingeEmbeddingLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MarginRankingLoss,
    MSELoss,
    MultiLabelMarginLoss,
    MultiLabelSoftMarginLoss,
    MultiMarginLoss,
    NLLLoss,
    PoissonNLLLoss,
    SmoothL1Loss,
    SoftMarginLoss,
    TripletMarginLoss,
    TripletMarginWithDistanceLoss,
)
from .normalization import (
    BatchNorm1d,
    GroupNorm,
    InstanceNorm1d,
    LayerNorm,
    LocalResponseNorm,
    RMSNorm,
)
from .module import Module
from .parallel import DataParallel
from .parameter import Buffer, Parameter
from .recurrent import GRU, LSTM, RNN, RNNBase
from .scope import out_of_scope


def __getattr__(name: str) -> object:
    raise out_of_scope(name)
