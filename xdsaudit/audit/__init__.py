"""One snapshot in, one audit out: align, compare, judge reachability, attribute, and say it with evidence.

Must not read clocks, files or the network. The package and its one function share their name, and both are public
(``xdsaudit.audit(snapshot)``, ``xdsaudit.audit.causes.catalogue``): importing a submodule makes it an attribute of its parent, so
that the package itself has to be callable.
"""

from __future__ import annotations

import sys
from types import ModuleType

from xdsaudit.audit.memory import Memory
from xdsaudit.audit.verdicts import audit
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.model.verdict import Audit

__all__ = ["audit"]


class _Callable(ModuleType):
    def __call__(self, snapshot: Snapshot, *, memory: Memory | None = None) -> Audit:
        return audit(snapshot, memory=memory)


sys.modules[__name__].__class__ = _Callable
