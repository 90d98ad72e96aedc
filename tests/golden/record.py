"""Record PyTorch's results into pytorch.safetensors: `python tests/golden/record.py`.

To be run by hand where PyTorch is installed; tests/test_golden.py reads the file.
"""

from pathlib import Path

import torch
from cases import CLASSES, IDS, LENGTHS, LOSSES, LSTMS, PADDINGS, RULES, STEPS, numbers
from safetensors.torch import save_file

FILE = Path(__file__).with_name("pytorch.safetensors")


def tensor(name, *shape):
    return torch.tensor(numbers(name, *shape), requires_grad=True)


def lstm(name, options, out):
    module = torch.nn.LSTM(3, 4, **options).double()
    with torch.no_grad():
        for key, p in module.named_parameters():
            p.copy_(torch.tensor(numbers(key, *p.shape)))
    x = tensor("x", 6, 3, 3)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
    y, (h, c) = module(packed)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(y)
    loss = sum((z * torch.tensor(numbers(k, *z.shape))).sum() for k, z in zip("yhc", (y, h, c)))
    loss.backward()
    out |= {f"lstm/{name}/{k}": z for k, z in zip("yhc", (y, h, c))}
    out |= {f"lstm/{name}/grad {k}": p.grad for k, p in module.named_parameters()}
    out[f"lstm/{name}/grad x"] = x.grad


def main():
    out = {}
    for name, options in LSTMS.items():
        lstm(name, options, out)
    for name, options in LOSSES.items():
        x = tensor("logits", 6, 4)
        loss = torch.nn.functional.cross_entropy(x, torch.tensor(CLASSES), **options)
        loss.backward()
        out |= {f"loss/{name}": loss, f"loss/{name}/grad": x.grad}
    for name, padding_idx in PADDINGS.items():
        table = tensor("table", 5, 3)
        y = torch.nn.functional.embedding(torch.tensor(IDS), table, padding_idx)
        (y * torch.tensor(numbers("rows", 2, 3, 3))).sum().backward()
        out |= {f"embedding/{name}": y, f"embedding/{name}/grad": table.grad}
    for name, (rule, options) in RULES.items():
        p = tensor("parameter", 3, 2)
        optimizer = getattr(torch.optim, rule)([p], **options)
        for step in range(STEPS):
            p.grad = torch.tensor(numbers(f"gradient {step}", 3, 2))
            optimizer.step()
            out[f"rule/{name}/{step}"] = p.detach().clone()
    tensors = {name: x.detach().contiguous() for name, x in out.items()}
    save_file(tensors, FILE, {"torch": torch.__version__})
    print(f"{len(tensors)} tensors from PyTorch {torch.__version__}, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
