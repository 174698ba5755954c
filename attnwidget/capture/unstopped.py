"""What goes wrong while looking never stops a model: what it called is run as without a recording.

Where weights are edited it does, because a model must not run on with weights of its own where others were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class Called(Generic[_T]):
    """A function that the model called; what is called first is its own, and what is called later looks on.

    Args:
        func: the function.
    """

    __slots__ = ("__name__", "func", "raised", "ran", "result")

    result: _T

    def __init__(self, func: Callable[..., _T]) -> None:
        self.func, self.__name__ = func, getattr(func, "__name__", "")
        self.ran = self.raised = False

    def __call__(self, *args: Any, **kwargs: Any) -> _T:  # noqa: ANN401 - whatever the model passes
        if self.ran:
            return self.func(*args, **kwargs)
        self.ran = self.raised = True
        self.result = self.func(*args, **kwargs)
        self.raised = False
        return self.result


class Unstopped:
    """Tells our errors from those of the model. As a block, it ends at an error of ours, and the code behind it runs.

    Args:
        failed: told of an error of ours; the recording ends with it.
    """

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self.failed = failed
        self.edits = False  # whether weights are edited

    def run(
        self,
        look: Callable[[Called[_T], Sequence[Any], Mapping[str, Any]], _T],
        func: Callable[..., _T],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> _T:
        """Return what a function that the model called returns, as `look` runs it or, where that fails, by itself."""
        called = Called(func)
        try:
            return look(called, args, kwargs)
        except Exception as error:
            if called.raised or self.edits:
                raise
            result = called.result if called.ran else func(*args, **kwargs)
            self.failed(error)
            return result

    def __enter__(self) -> None:
        """Begin to look."""

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> bool:
        """Keep an error of ours from the model."""
        if not isinstance(error, Exception) or self.edits:
            return False
        self.failed(error)
        return True
