"""The error for an argument that PyTorch refuses by an assertion."""


class BadArgument(ValueError, AssertionError):
    """A bad value. It is an AssertionError too, for programs that expect what PyTorch raises."""
