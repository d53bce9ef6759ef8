"""The library's surface: its names, what importing it costs, and what it must not import."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import xdsaudit

HEAVY = (
    "grpc",
    "google.protobuf",
    "kubernetes",
    "deepdiff",
    "envoy_data_plane",
    "rich",
    "click",
    "yaml",
    "msgspec",
    "hypothesis",
)
NAMES = [
    "Audit",
    "Finding",
    "FormatError",
    "InputError",
    "NotCaptured",
    "ReadError",
    "Route",
    "Rule",
    "RuleVerdict",
    "Scope",
    "Snapshot",
    "Sources",
    "Stage",
    "Verdict",
    "XdsauditError",
    "__version__",
    "audit",
    "load",
    "narrow",
    "read",
    "render",
    "save",
    "typed",
]


def test_exported_names() -> None:
    assert sorted(xdsaudit.__all__) == sorted(NAMES) == dir(xdsaudit)
    for name in NAMES:
        assert getattr(xdsaudit, name).__doc__
    assert callable(xdsaudit.audit)
    assert importlib.import_module("xdsaudit.audit.catalogue").CATALOGUE
    assert callable(xdsaudit.audit)
    with pytest.raises(AttributeError, match="nothing"):
        _ = xdsaudit.nothing


@pytest.mark.parametrize(
    "code", ["import xdsaudit", "import xdsaudit.errors, xdsaudit.model.verdict, xdsaudit.model.route"]
)
def test_import_is_light(code: str) -> None:
    script = f"import sys; {code}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from xdsaudit.cli.main import run; run(['--help']); "
        f"print([m for m in {HEAVY!r} if m in sys.modules and m != 'click'], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() in ("[]", "['msgspec']")
