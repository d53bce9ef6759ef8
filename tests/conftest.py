"""Shared by all tests: recordings by name, loaded once, and Hypothesis without deadlines on busy machines."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from xdsaudit.collect.snapshot import load
from xdsaudit.model.snapshot import Snapshot

RECORDINGS = Path(__file__).parent / "recordings"
settings.register_profile(
    "ci", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("nightly", deadline=None, max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("brief", settings.get_profile("ci"), max_examples=15)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@cache
def _load(name: str) -> Snapshot:
    return load(RECORDINGS / name)


@pytest.fixture(scope="session")
def recording():
    """A recording by name."""
    return _load


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Folder of the recordings."""
    return RECORDINGS


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads the cluster of whoever runs it."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path_factory.getbasetemp() / "no-kubeconfig"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
