"""One snapshot in, one audit out: align, compare, judge reachability, attribute, and say it with evidence.

Must not read clocks, files or the network. The package and its one function share their name, and both are public
(``xdsaudit.audit(snapshot)``, ``xdsaudit.audit.causes.catalogue``): importing a submodule makes it an attribute of its parent, so
that the package itself has to be callable.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xdsaudit.audit.memory import Memory
    from xdsaudit.audit.verdicts import audit
    from xdsaudit.model.snapshot import Snapshot
    from xdsaudit.model.verdict import Audit

__all__ = ["audit"]


def __getattr__(name: str) -> object:
    """The function, imported when it is asked for: the catalogue of codes alone needs no audit."""
    if name != "audit":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from xdsaudit.audit.verdicts import audit

    return audit


class _Callable(ModuleType):
    def __call__(self, snapshot: Snapshot, *, memory: Memory | None = None) -> Audit:
        from xdsaudit.audit.verdicts import audit

        return audit(snapshot, memory=memory)


sys.modules[__name__].__class__ = _Callable
