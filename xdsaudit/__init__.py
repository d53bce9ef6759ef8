"""xdsaudit names the Higress route that got lost between Ingress and Envoy, the stage that lost it, proof and remedy.

Example:
    >>> import xdsaudit
    >>> audit = xdsaudit.audit(xdsaudit.load("snapshot/"))  # doctest: +SKIP
    >>> audit.lost[0].stage  # doctest: +SKIP
    <Stage.CACHE: 'cache'>
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from xdsaudit.version import __version__

if TYPE_CHECKING:
    from xdsaudit.audit import audit as audit
    from xdsaudit.audit.questions.narrow import Scope as Scope
    from xdsaudit.audit.questions.narrow import narrow as narrow
    from xdsaudit.collect.connect import SourceOptions as SourceOptions
    from xdsaudit.collect.redact import redact as redact
    from xdsaudit.collect.rounds import LiveReader as LiveReader
    from xdsaudit.collect.snapshot import load as load
    from xdsaudit.collect.snapshot import save as save
    from xdsaudit.collect.sources import Sources as Sources
    from xdsaudit.collect.sources import read as read
    from xdsaudit.connection import Connection as Connection
    from xdsaudit.connection import connect as connect
    from xdsaudit.connection import wait as wait
    from xdsaudit.errors import FormatError as FormatError
    from xdsaudit.errors import InputError as InputError
    from xdsaudit.errors import NotCaptured as NotCaptured
    from xdsaudit.errors import ReadError as ReadError
    from xdsaudit.errors import XdsauditError as XdsauditError
    from xdsaudit.live.batches import rollout as rollout
    from xdsaudit.live.wait import Outcome as Outcome
    from xdsaudit.model.route import Route as Route
    from xdsaudit.model.snapshot import Snapshot as Snapshot
    from xdsaudit.model.verdict import Audit as Audit
    from xdsaudit.model.verdict import Finding as Finding
    from xdsaudit.model.verdict import Rule as Rule
    from xdsaudit.model.verdict import RuleVerdict as RuleVerdict
    from xdsaudit.model.verdict import Stage as Stage
    from xdsaudit.model.verdict import Verdict as Verdict
    from xdsaudit.report import render as render
    from xdsaudit.xds.typed import typed as typed

_PLACES = {
    "xdsaudit.audit.questions.narrow": ("Scope", "narrow"),
    "xdsaudit.collect.connect": ("SourceOptions",),
    "xdsaudit.collect.redact": ("redact",),
    "xdsaudit.collect.rounds": ("LiveReader",),
    "xdsaudit.collect.snapshot": ("load", "save"),
    "xdsaudit.collect.sources": ("Sources", "read"),
    "xdsaudit.connection": ("Connection", "connect", "wait"),
    "xdsaudit.errors": ("FormatError", "InputError", "NotCaptured", "ReadError", "XdsauditError"),
    "xdsaudit.live.batches": ("rollout",),
    "xdsaudit.live.wait": ("Outcome",),
    "xdsaudit.model.route": ("Route",),
    "xdsaudit.model.snapshot": ("Snapshot",),
    "xdsaudit.model.verdict": ("Audit", "Finding", "Rule", "RuleVerdict", "Stage", "Verdict"),
    "xdsaudit.report": ("render",),
    "xdsaudit.xds.typed": ("typed",),
}
_HOME = {name: module for module, names in _PLACES.items() for name in names}

# Written out a third time: type checkers read only literals. Made from _HOME, mypy loses the names of `import *`.
__all__ = [
    "Audit",
    "Connection",
    "Finding",
    "FormatError",
    "InputError",
    "LiveReader",
    "NotCaptured",
    "Outcome",
    "ReadError",
    "Route",
    "Rule",
    "RuleVerdict",
    "Scope",
    "Snapshot",
    "SourceOptions",
    "Sources",
    "Stage",
    "Verdict",
    "XdsauditError",
    "__version__",
    "audit",
    "connect",
    "load",
    "narrow",
    "read",
    "redact",
    "render",
    "rollout",
    "save",
    "typed",
    "wait",
]


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that importing the package costs next to nothing."""
    if name == "audit":
        return import_module("xdsaudit.audit")  # the package is callable, see there
    if name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'xdsaudit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
