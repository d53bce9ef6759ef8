"""Steps instead of seconds: how often the interpreter moves on, which no busy machine changes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def steps(work: Callable[[], object]) -> int:
    """Number of lines, calls and returns that some work takes."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def growth(make: Callable[[int], Callable[[], object]], size: int) -> float:
    """How many times the steps grow when the size grows fourfold: 4 is linear, 16 quadratic."""
    make(4)()  # what is imported or remembered once counts for neither
    return steps(make(4 * size)) / steps(make(size))
