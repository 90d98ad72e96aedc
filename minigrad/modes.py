"""Whether operations are recorded: a flag of the thread or task, restored when a block is left."""

from __future__ import annotations

import inspect
from contextlib import ContextDecorator
from contextvars import ContextVar
from functools import wraps
from typing import Any

_recording: ContextVar[bool] = ContextVar("recording", default=True)
_inference: ContextVar[tuple[bool, ...]] = ContextVar("inference", default=())
_outer: ContextVar[tuple[bool, ...]] = ContextVar("outer", default=())
is_recording = _recording.get  # bound once: the engine asks at every op


def is_grad_enabled() -> bool:
    """Whether operations on Tensors are being recorded in this thread or task."""
    return is_recording()


class recording(ContextDecorator):
    """Context manager or decorator under which recording is on or off."""

    def __init__(self, mode: bool):
        self.mode = bool(mode)

    def __enter__(self) -> recording:
        # what to go back to is kept per thread or task, so one object may serve several at once
        _outer.set((*_outer.get(), _recording.get()))
        _recording.set(self.mode)
        return self

    def __exit__(self, *exc_info: object) -> None:
        *outer, before = _outer.get()
        _outer.set(tuple(outer))
        _recording.set(before)

    def __call__(self, function: Any) -> Any:
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        # a generator runs in slices: the mode holds inside each of them, not between
        @wraps(function)
        def slices(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            go_on, answer = generator.send, None
            while True:
                try:
                    with self:
                        item = go_on(answer)
                except StopIteration as stop:
                    return stop.value
                try:
                    go_on, answer = generator.send, (yield item)
                except GeneratorExit:
                    with self:
                        generator.close()
                    raise
                except BaseException as error:
                    go_on, answer = generator.throw, error

        return slices


class _switch(recording):
    """A mode without arguments; `@no_grad` without parentheses works as in PyTorch."""

    on = False

    def __new__(cls, function: Any = None) -> Any:
        self = super().__new__(cls)
        if function is None:
            return self
        self.__init__()
        return self(function)

    def __init__(self, function: Any = None) -> None:
        super().__init__(self.on)


class no_grad(_switch):
    """Context manager or decorator under which nothing is recorded."""


class enable_grad(_switch):
    """Context manager or decorator that records again inside `no_grad`."""

    on = True


class set_grad_enabled(recording):
    """Switches recording on or off: at once as a statement, or as context manager or decorator."""

    def __init__(self, mode: bool):
        super().__init__(mode)
        self.before: bool | None = _recording.get()
        _recording.set(self.mode)

    def take_back(self) -> None:
        """Undo the switch of a statement that turned out to be none."""
        if self.before is not None:
            _recording.set(self.before)
            self.before = None

    def __enter__(self) -> recording:
        self.take_back()
        return super().__enter__()

    def __call__(self, function: Any) -> Any:
        self.take_back()
        return super().__call__(function)


class inference_mode(recording):
    """`no_grad` under PyTorch's other name; tensors made under it may be used anywhere later."""

    def __new__(cls, mode: Any = True) -> Any:
        self = super().__new__(cls)
        if not callable(mode):
            return self
        self.__init__()
        return self(mode)

    def __init__(self, mode: bool = True):
        super().__init__(not mode)

    def __enter__(self) -> recording:
        _inference.set((*_inference.get(), not self.mode))
        return super().__enter__()

    def __exit__(self, *exc_info: object) -> None:
        _inference.set(_inference.get()[:-1])
        super().__exit__()


def is_inference_mode_enabled() -> bool:
    return (False, *_inference.get())[-1]
