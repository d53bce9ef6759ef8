"""The order of a host's routes: Higress's comparison, and Go's stable sort that it is handed to.

The comparison is no strict weak order when both kinds of regex path meet, so that the result depends on the algorithm:
Go's ``sort.SliceStable`` (insertion sort in blocks of 20, then symMerge), which is followed here step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from xdsaudit.ingress.http_route import Work

T = TypeVar("T")
_BLOCK = 20
_PROPER = frozenset(("exact", "prefix"))


def sort_routes(works: list[Work]) -> None:
    """Put the routes of a host in Higress's order, in place.

    Without regex and generated routes the comparison is a proper order, for which every stable sort gives the same.
    """
    if {w.path_type for w in works if not w.default} <= _PROPER:
        works.sort(key=_rank)
    else:
        stable_sort(works, before)


def _rank(work: Work) -> tuple[int, ...]:
    if work.default:
        return (3,)
    if work.origin == "/" and work.catch_all:
        return (2,)
    if not (work.method or work.headers or work.query):
        return work.path_type != "exact", -work.length, 1 << 30, 0, 0
    return work.path_type != "exact", -work.length, len(work.method) or 1 << 30, -len(work.headers), -len(work.query)


def stable_sort(data: list[T], less: Callable[[T, T], bool]) -> None:
    """Sort in place as Go's sort.SliceStable does (go@1.21 src/sort/zsortfunc.go stable_func)."""
    n = len(data)
    a = 0
    while a < n:
        b = min(a + _BLOCK, n)
        for i in range(a + 1, b):
            j = i
            while j > a and less(data[j], data[j - 1]):
                data[j], data[j - 1] = data[j - 1], data[j]
                j -= 1
        a = b
    block = _BLOCK
    while block < n:
        a = 0
        while a + 2 * block <= n:
            _merge(data, less, a, a + block, a + 2 * block)
            a += 2 * block
        if a + block < n:
            _merge(data, less, a, a + block, n)
        block *= 2


def _merge(data: list[T], less: Callable[[T, T], bool], a: int, m: int, b: int) -> None:
    if m - a == 1:
        i, j = m, b
        while i < j:
            h = (i + j) >> 1
            if less(data[h], data[a]):
                i = h + 1
            else:
                j = h
        data.insert(i - 1, data.pop(a))
        return
    if b - m == 1:
        i, j = a, m
        while i < j:
            h = (i + j) >> 1
            if not less(data[m], data[h]):
                i = h + 1
            else:
                j = h
        data.insert(i, data.pop(m))
        return
    mid = (a + b) >> 1
    n = mid + m
    if m > mid:
        start, r = n - b, mid
    else:
        start, r = a, m
    p = n - 1
    while start < r:
        c = (start + r) >> 1
        if not less(data[p - c], data[c]):
            start = c + 1
        else:
            r = c
    end = n - start
    if start < m < end:
        data[start:end] = data[m:end] + data[start:m]
    if a < start < mid:
        _merge(data, less, a, start, mid)
    if mid < end < b:
        _merge(data, less, mid, end, b)


def before(one: Work, other: Work) -> bool:
    """Whether one route sorts before another (higress@v2.0.1 pkg/ingress/kube/common/tool.go SortHTTPRoutes)."""
    if one.default:
        return False
    if other.default:
        return True
    if one.catch_all:
        return False
    if other.catch_all:
        return True
    if one.path_type == other.path_type:
        mine, theirs = one.length, other.length
        if mine != theirs:
            return mine > theirs
        a, b = len(one.method), len(other.method)
        if a != b:
            return a < b if a and b else a != 0
        if len(one.headers) != len(other.headers):
            return len(one.headers) > len(other.headers)
        return len(one.query) > len(other.query)
    for kind in ("exact", "prefix"):
        if one.path_type == kind:
            return True
        if other.path_type == kind:
            return False
    return False
