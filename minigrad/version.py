"""The version of minigrad, and, as in PyTorch, that of the CUDA it was built with: none."""

__version__ = "0.1.0"
cuda = hip = None
debug = False
