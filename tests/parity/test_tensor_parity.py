"""Tensors as Python and NumPy objects, expression by expression against PyTorch."""

import copy  # noqa: F401  the expressions use them
import math  # noqa: F401
import pickle  # noqa: F401
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import minigrad as mg  # noqa: E402

A = np.array([[1.0, 2.0], [3.0, 4.0]])
A32, AI = A.astype(np.float32), A.astype(np.int64)


def a_b(pair):
    a, b = pair
    return [a, b]


# T is the module; what is wrong in PyTorch must raise an error of the same type
EXPRESSIONS = r"""
# values
T.tensor(2.5).item()
T.tensor([2]).item()
T.tensor(True).item()
T.tensor([[1,2]]).tolist()
T.tensor(3.).tolist()
T.tensor([1.,2.]).item()
T.zeros(0).item()
T.zeros(0).tolist()
# arrays
T.ones(2).numpy()
T.ones(2,requires_grad=True).numpy()
T.ones(2,requires_grad=True).detach().numpy()
np.asarray(T.ones(2))
np.array(T.ones(2),dtype=np.float64)
np.array(T.tensor(3))
np.array([T.tensor(1.),T.tensor(2.)])
np.array([T.ones(2),T.ones(2)])
np.stack([T.ones(2),T.ones(2)])
np.concatenate([T.ones(2),T.ones(2)])
# NumPy functions
np.sqrt(T.tensor([4.,9.]))
np.mean(T.tensor([4.,9.]))
np.sum(T.tensor([4.,9.]))
np.argmax(T.tensor([4.,9.]))
np.max(T.tensor([4.,9.]))
np.abs(T.tensor([-4.]))
np.exp(T.tensor(0.))
np.round(T.tensor([1.5]))
np.clip(T.tensor([1.5,3.]),0,2)
np.std(T.tensor([4.,9.]))
np.dot(T.ones(2),T.ones(2))
np.matmul(T.ones(2,2),T.ones(2,2))
np.maximum(T.ones(2),2.)
np.add(T.ones(2),T.ones(2))
np.where(T.tensor([True,False]),1,2)
np.cumsum(T.tensor([1.,2.]))
np.sort(T.tensor([2.,1.]))
np.argsort(T.tensor([2.,1.]))
np.unique(T.tensor([2,1,2]))
np.array_equal(T.ones(2),np.ones(2))
np.allclose(T.ones(2),1.)
np.prod(T.tensor([2.,3.]))
np.transpose(T.ones(2,3)).shape
np.reshape(T.ones(4),(2,2))
np.squeeze(T.ones(1,2))
np.min(T.tensor([1,2]))
np.linalg.norm(T.tensor([3.,4.]))
np.any(T.tensor([True]))
np.all(T.tensor([True,False]))
np.histogram(T.tensor([1.,2.]),bins=2)[0]
np.float32(T.tensor(2.))
np.int64(T.tensor(2))
np.ones(3)[T.tensor(1)]
np.ones(3)[T.tensor([0,1])]
list("abc")[T.tensor(1)]
"abc"[T.tensor([2])]
range(5)[T.tensor(2)]
[1,2,3][T.tensor(1):]
np.arange(T.tensor(3))
np.ones(T.tensor(2))
list(range(T.tensor(2)))
np.random.RandomState(0).choice(3,p=T.tensor([.25,.25,.5]).numpy().astype(float)) is not None
# operators
T.ones(2,2)*A
T.ones(2,2)+A32
T.ones(2)-A
T.ones(2,2).double()@A
A==T.ones(2,2)
-T.ones(2)
np.float64(2)*T.ones(2)
T.ones(2)*np.float64(2)
np.float32(2)*T.ones(2,dtype=T.float64)
np.int64(2)+T.ones(2)
np.float64(2)-T.ones(2)
np.float64(2)/T.ones(2)
T.ones(2)/np.float64(2)
np.float64(2)**T.ones(2)
np.float64(2)>T.ones(2)
2-T.ones(1)
2/T.ones(1)
2**T.ones(1)
7//T.tensor([2])
7%T.tensor([4])
1<<T.tensor([2])
5&T.tensor([4])
2.5//T.ones(1)
np.int64(3)*T.tensor([2])
np.float64(1.5)*T.tensor([2])
# Python functions
np.sum([T.tensor(1.),T.tensor(2.)])
np.mean([T.tensor(1.),T.tensor(2.)])
sum([T.tensor(1.),T.tensor(2.)])
max([T.tensor(1.),T.tensor(2.)])
min(T.tensor([3.,1.]))
sorted([T.tensor(2),T.tensor(1)])
max(T.tensor([1,5]),key=lambda v:-v)
abs(T.tensor([-1]))
round(T.tensor(2.567),2)
round(T.tensor(2.5))
pow(T.tensor(2.),3)
float(T.tensor([2.]))
int(T.tensor(2.9))
bool(T.tensor([0.]))
bool(T.ones(2))
bool(T.zeros(0))
complex(T.tensor(1.))
math.floor(T.tensor(2.7))
math.ceil(T.tensor(2.2))
math.sqrt(T.tensor(4.))
math.exp(T.tensor([0.]))
math.trunc(T.tensor(-2.7))
math.isnan(T.tensor(float("nan")))
float(T.ones(2))
int(T.ones(2))
math.log(T.tensor(1.,requires_grad=True))
float(T.tensor(1.,requires_grad=True))
# formats
f"{T.tensor(3.14159):.2f}"
f"{T.tensor(3)}"
f"{T.tensor(3):d}"
f"{T.tensor(3):5d}|"
f"{T.tensor([1.,2.])}"
f"{T.tensor(1.5):>8}|"
"%d"%T.tensor(3)
"%.3f"%T.tensor(2.)
"%s"%T.tensor(2.)
"%.2f"%T.tensor([2.])
"{:.3f}".format(T.tensor(2.))
"{}".format(T.tensor(2.))
"{:4.1f}%".format(T.tensor(50.))
"{:e}".format(T.tensor(12345.))
f"{T.tensor(True)}"
f"{T.tensor(1.,requires_grad=True):.2f}"
"%g"%T.tensor(2.5)
"{:.2%}".format(T.tensor(.5))
"%5.1f|%d"%(T.tensor(1.25),T.tensor(7))
f"{T.ones(2):.2f}"
f"{T.tensor(3.0)!r}"
str(T.tensor(1))
repr(T.tensor([1.]))
# dtypes and constructors
T.float16
T.ones(2).half()
T.tensor([1.7,-1.7]).int()
T.tensor([1.7]).char()
T.tensor([0.,2.]).bool()
T.tensor([300]).byte()
T.tensor([1]).short()
T.tensor([1]).double()
T.tensor([True]).float()
T.tensor([1.5]).long()
T.ones(1).to(T.float64)
T.ones(1).to("cpu",T.int32)
T.ones(1).to(dtype=T.int8)
T.ones(1).to(T.ones(1,dtype=T.int64))
T.ones(1).type(T.float64)
T.ones(1).type(T.LongTensor)
T.ones(1).type()
T.ones(1).long().type()
T.ones(1).type_as(T.ones(1).long())
T.ones(1).type(T.DoubleTensor)
T.tensor([1,2]).type(T.FloatTensor)
T.BoolTensor([True])
T.LongTensor([1,2])
T.LongTensor(2,3).shape
T.FloatTensor([[1,2]])
T.FloatTensor(2).shape
T.Tensor([1,2])
T.Tensor(2,3).shape
T.Tensor(3).shape
T.Tensor(np.array([1,2]))
T.FloatTensor(np.array([1.,2.],dtype=np.float32))
T.Tensor().shape
T.IntTensor([1])
T.DoubleTensor([1])
T.ByteTensor([1])
T.LongTensor([1.7])
T.LongTensor(np.array([1,2]))
T.FloatTensor(T.Size([2,3])).shape
T.Tensor(T.Size([2])).shape
T.FloatTensor((1,2))
T.HalfTensor([1])
T.ShortTensor([1])
T.CharTensor([1])
isinstance(T.ones(1),T.FloatTensor)
isinstance(T.ones(1),T.LongTensor)
isinstance(T.ones(1).long(),T.LongTensor)
T.is_tensor(1)
T.Tensor([[1,2],[3,4]]).new([5])
T.ones(1).new(2,3).shape
T.ones(1).new_tensor([1])
T.ones(1).long().new_zeros(2)
T.ones(1).new_full((2,),3.)
T.ones(1).new_ones((1,2))
T.ones(1).new_empty(3).shape
T.LongTensor([[1,2]]).size()
T.tensor(T.tensor([1]))
T.tensor([T.tensor(1),T.tensor(2)])
T.tensor([T.tensor([1.])[0],2])
T.Tensor([T.tensor(1.),T.tensor(2.)])
# sizes
T.ones(2,3).size()
T.ones(2,3).size(0)
T.ones(2,3).size(-1)
T.ones(2,3).size(dim=1)
T.ones(2,3).size(5)
T.ones(2,3).shape[1:]
T.ones(2,3).shape[:-1]+(7,)
(1,)+T.ones(2,3).shape
T.ones(2,3).shape+T.ones(2).shape
T.ones(2,3).shape.numel()
T.ones(2,3).shape==(2,3)
T.ones(2,3).shape==[2,3]
T.Size([1,2])
T.Size((1,2))*2
hash(T.Size([1,2]))==hash((1,2))
list(T.ones(2,3).shape)
T.ones(2,3).shape[-1]
len(T.ones(2,3).size())
T.ones(T.ones(2,3).size()).shape
T.zeros(*T.ones(2,3).size()).shape
T.ones(2,3).view(T.Size([3,2])).shape
pickle.loads(pickle.dumps(T.Size([1,2])))
copy.deepcopy(T.Size([1]))
tuple(T.Size([1,2]))
T.ones(2,3).numel()
T.ones(2,3).dim()
T.ones(2,3).ndim
T.ones(2,3).nelement()
T.ones(2,3).ndimension()
T.ones(2,3).stride()
T.ones(2,3).element_size()
T.ones(2,3).is_contiguous()
T.ones(2,3).t().is_contiguous()
T.numel(T.ones(3))
# devices
T.device("cpu")
T.device("cuda:1")
T.device("cuda",0)
T.device("cpu").type
T.device("cuda:1").index
T.device("cpu")==T.device("cpu")
T.ones(1).device
T.ones(1).device.type
T.ones(1).device==T.device("cpu")
str(T.device("cuda:0"))
T.device("cuda" if T.cuda.is_available() else "cpu")
T.device("nonsense")
hash(T.device("cpu"))==hash(T.device("cpu"))
T.ones(1).is_cuda
T.ones(1).get_device()
T.ones(1,device=T.device("cpu"))
T.ones(1,device="cpu")
T.ones(1).to(T.device("cpu"))
T.ones(1).cpu()
repr(T.device("cuda",1))
pickle.loads(pickle.dumps(T.device("cpu")))
T.device(T.device("cpu"))
T.device("cuda")
{T.device("cpu"):1}[T.device("cpu")]
T.device("cpu",0)
T.device(type="cpu")
T.device("cuda",0)==T.device("cuda:0")
T.device("cpu")!=T.device("cuda")
# dtype objects
T.float32==T.float
T.float32 is T.float
T.long is T.int64
hash(T.float32)==hash(T.float)
{T.float32:1}[T.float]
T.float32.is_floating_point
T.int64.is_floating_point
T.float32.itemsize
T.float32!=T.float64
str(T.float32)
repr(T.int64)
pickle.loads(pickle.dumps(T.float32)) is T.float32
copy.deepcopy(T.int8) is T.int8
T.float32.is_signed
T.uint8.is_signed
T.float16.is_complex
isinstance(T.float32,T.dtype)
T.finfo(T.float32).eps
T.finfo(T.float32).max
T.finfo(T.float64).tiny
T.finfo(T.float32).min
T.finfo().bits
T.iinfo(T.int32).max
T.iinfo(T.uint8).min
T.iinfo(T.int64).bits
T.finfo(T.float16).resolution
T.finfo(T.int32)
T.iinfo(T.float32)
T.finfo(T.float32).dtype
T.iinfo(T.int8).dtype
T.ones(1).dtype in (T.float16,T.float32)
T.get_default_dtype()
T.promote_types(T.int8,T.float16)
T.bool
T.half
T.short
T.double
# containers and attributes
len(T.ones(2,3))
len(T.tensor(1))
list(T.tensor([1,2]))
[r.shape for r in T.ones(2,3)]
list(T.tensor(1))
2 in T.tensor([1,2])
5 in T.tensor([1,2])
T.tensor(1) in T.tensor([1,2])
"a" in T.tensor([1])
a_b(T.tensor([1,2]))
dict(zip("ab",T.tensor([1,2])))
T.tensor([1,2])==T.tensor([1,2])
T.tensor([1,2])==None
T.tensor([1])!="a"
T.tensor(1)==1
(T.tensor([1])==1).dtype
len({T.ones(1),T.ones(1)})
reversed(T.tensor([1,2]))
list(reversed(T.tensor([1,2])))
list(enumerate(T.tensor([1,2])))
T.tensor([[1,2],[3,4]])[1][0].item()
[*T.tensor([3,4])]
T.ones(1).grad
T.ones(1).is_leaf
T.ones(1).grad_fn
T.ones(1).requires_grad
T.ones(2).data
T.ones(2).is_floating_point()
T.is_floating_point(T.ones(1))
T.ones(2).element_size()
T.is_nonzero(T.ones(1))
T.ones(2).T
T.ones(2).ndim
T.ones(2,3).nelement()
T.typename(T.ones(1))
T.ones(2).apply_(lambda v:v+1)
T.ones(2).map_(T.ones(2),lambda a,b:a+b)
T.ones(2).tolist()
T.ones(4).unfold(0,2,1)
T.ones(3).index_select(0,T.tensor([0]))
T.zeros(2).set_(T.ones(3))
T.ones(4).resize_(2)
T.ones(4).resize_(2,2).shape
T.ones(2).swapaxes(0,0)
T.ones(2).nan_to_num()
T.ones(2,3).numpy().T.shape
T.ones(2).__array__()
T.ones(2).is_same_size(T.ones(2))
T.ones(1).requires_grad_()
T.ones(2).bernoulli_(0.).tolist()
T.ones(2).type(T.ByteTensor)
T.ones(2,requires_grad=True).tolist()
T.arange(3).tolist()
T.ones(2).view(-1,1).shape
T.ones(2).view(T.int32)
T.ones(2).clone().data_ptr()>0
"""


def plain(T, x):
    if isinstance(x, T.Tensor):
        return "Tensor", str(x.dtype).split(".")[-1], tuple(x.shape), x.tolist(), x.requires_grad
    if isinstance(x, np.ndarray):
        return "ndarray", x.dtype.name, x.shape, x.tolist()
    if isinstance(x, np.generic):
        return "number", x.dtype.name, x.item()
    if type(x) in (list, tuple):
        return type(x).__name__, [plain(T, part) for part in x]
    return type(x).__name__, str(x).replace(f"{T.__name__}.", "")


def value(T, expression):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return plain(T, eval(expression, {**globals(), "T": T}))
    except Exception as error:
        return "error", type(error).__name__


@pytest.mark.parametrize(
    "expression", [e for e in EXPRESSIONS.splitlines() if e and not e.startswith("# ")]
)
def test_expression(expression):
    assert value(mg, expression) == value(torch, expression)


def test_memory_shared_with_torch():
    """DLPack both ways: no copy."""
    for dtype in ("float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool"):
        x = mg.ones(2, 3).to(dtype=getattr(mg, dtype))
        theirs = torch.from_dlpack(x)
        assert str(theirs.dtype) == f"torch.{dtype}" and tuple(theirs.shape) == (2, 3)
        theirs[0, 1] = 0
        assert x[0, 1].item() == 0
        back = mg.from_dlpack(theirs)
        back[1, 2] = 0
        assert theirs[1, 2].item() == 0 and back.dtype == getattr(mg, dtype)
    view = mg.from_dlpack(torch.arange(6.0).reshape(2, 3).t())
    assert view.tolist() == [[0, 3], [1, 4], [2, 5]]
    with pytest.raises(BufferError):
        torch.from_dlpack(mg.ones(2, requires_grad=True))
    with pytest.raises((BufferError, RuntimeError, TypeError)):
        mg.from_dlpack(torch.ones(2, requires_grad=True))
