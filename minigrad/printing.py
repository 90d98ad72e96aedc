def format_tensor(x):
    import numpy as np
    notes = [f"grad_fn=<{type(x.grad_fn).__name__}>"] if x.creator else []
    return f"tensor({', '.join([np.array2string(x.to_numpy(), separator=', ', precision=4, prefix='tensor('), *notes])})"
