"""The kernel that torch's attention layer calls, seen in one thread while that layer runs.

Inside a torch function no mode is asked, so that `F.scaled_dot_product_attention` must be stood in for by name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from torch.nn import functional as F

from attnwidget.capture.unstopped import Unstopped

Kernel = Callable[..., Any]

_lock = threading.Lock()
_stand_ins: dict[int, list[tuple[Unstopped, Kernel]]] = {}  # by thread
_original: Kernel = F.scaled_dot_product_attention


class kernel_swapped:
    """Have this thread call `stand_in(original, args, kwargs)` in place of the kernel inside the block.

    Args:
        stand_in: what is called.
        unstopped: in what it runs.
    """

    def __init__(self, stand_in: Kernel, unstopped: Unstopped) -> None:
        self._run, self._thread = (unstopped, stand_in), threading.get_ident()

    def __enter__(self) -> None:
        _enter(self._thread, self._run)

    def __exit__(self, *_: object) -> None:
        _leave(self._thread)


def _enter(thread: int, stand_in: tuple[Unstopped, Kernel]) -> None:
    global _original
    with _lock:
        if not _stand_ins:
            _original = F.scaled_dot_product_attention
            F.scaled_dot_product_attention = _kernel
        _stand_ins.setdefault(thread, []).append(stand_in)


def _leave(thread: int) -> None:
    with _lock:
        _stand_ins[thread].pop()
        if not _stand_ins[thread]:
            del _stand_ins[thread]
        if not _stand_ins:
            F.scaled_dot_product_attention = _original


def _kernel(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever torch passes
    own = _stand_ins.get(threading.get_ident())
    if not own:
        return _original(*args, **kwargs)
    unstopped, stand_in = own[-1]
    return unstopped.run(stand_in, _original, args, kwargs)
