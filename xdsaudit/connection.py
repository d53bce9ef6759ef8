"""``xdsaudit.connect``: everything the commands do with a cluster or with named sources, for Python.

Only the public handle is here; ``collect`` reads, ``audit`` judges, ``live`` waits.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import fields
from typing import TYPE_CHECKING, Unpack

from xdsaudit.collect.arguments import PlainArguments
from xdsaudit.collect.connect import BETWEEN_LOOKS, Opened, Progress, SourceOptions, live_reader, opened
from xdsaudit.errors import InputError
from xdsaudit.model.plain import Plain

if TYPE_CHECKING:
    from types import TracebackType

    from xdsaudit.audit.questions.explain import Explanation
    from xdsaudit.collect.manifests import Manifests
    from xdsaudit.collect.rounds import LiveReader
    from xdsaudit.collect.sources import Sources
    from xdsaudit.live.wait import BatchReader, Outcome, WaitSettings
    from xdsaudit.live.watch import Transition
    from xdsaudit.model.snapshot import Snapshot
    from xdsaudit.model.verdict import Audit

Texts = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""Some texts or paths; a single one stands for a list of one."""


class SourceArguments(PlainArguments, total=False):
    """What `connect` takes: the fields of ``SourceOptions``, lists as anything that lists texts."""

    manifests: Texts
    ads: Texts
    ads_debug: Texts
    core: Texts
    gateways: Texts
    node_labels: Texts
    probe_cache: bool
    controller: Mapping[str, Plain]
    grace: float | None


_LISTS = frozenset({"manifests", "ads", "ads_debug", "core", "gateways", "node_labels"})
_NAMES = frozenset(f.name for f in fields(SourceOptions)) - {"snapshot"}


def connect(*, sources: Sources | None = None, **options: Unpack[SourceArguments]) -> Connection:
    """Connect to a cluster, or to the named pilots and gateways.

    Args:
        sources: where each view is, instead of options; for Kubernetes lists in memory.
        **options: fields of ``xdsaudit.SourceOptions`` (``context``, ``kubeconfig``, ``ads``, ``gateways``, ``manifests``,
            ``probe_cache`` ...); a single string stands for a list of one. Without any, the kubeconfig's cluster.

    Returns:
        A context manager; its methods work inside the block, while port-forwards are open.

    Raises:
        TypeError: an option that does not exist.
    """
    if sources is not None:
        return Connection(Opened(sources))
    unknown = sorted(set(options) - _NAMES)
    if unknown:
        raise TypeError(f"{unknown[0]!r} is not one of {', '.join(sorted(_NAMES))}")
    return Connection(SourceOptions.of({k: _texts(v) if k in _LISTS else v for k, v in options.items()}))


def _texts(value: object) -> tuple[str, ...]:
    """The items of a list, or the only one."""
    if isinstance(value, str | os.PathLike) or not isinstance(value, Iterable):
        return (str(value),)
    return tuple(map(str, value))


class Connection:
    """A cluster or named sources inside a ``with`` block. Read-only: nothing is ever written or restarted."""

    def __init__(self, target: SourceOptions | Opened, progress: Progress = lambda _: None) -> None:
        """Prepare; nothing is contacted before the block is entered."""
        self._target, self._progress = target, progress
        self._stack = ExitStack()
        self._reach: Opened | None = None
        self._rounds: LiveReader | None = None

    def __enter__(self) -> Connection:
        with ExitStack() as stack:
            target = self._target
            self._reach = target if isinstance(target, Opened) else stack.enter_context(opened(target, self._progress))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reach = self._rounds = None
        self._stack.close()

    @property
    def reach(self) -> Opened:
        """What was opened: sources, API server, and the Ingresses that manifests select.

        Raises:
            InputError: outside the block.
        """
        if self._reach is None:
            raise InputError("the connection is closed: use it inside its with block")
        return self._reach

    @property
    def rounds(self) -> LiveReader:
        """The reader of ``wait`` and ``watch``: opened on first use, kept until the block ends."""
        if self._rounds is None:
            self._rounds = self._stack.enter_context(live_reader(self.reach))
        return self._rounds

    def snapshot(self) -> Snapshot:
        """Read every view once, now."""
        from xdsaudit.collect.cluster import lists
        from xdsaudit.collect.sources import read

        sources = self.reach.sources
        if self.reach.cluster is not None:
            from dataclasses import replace

            kube, complaints = lists(*self.reach.cluster)
            sources = replace(sources, kube=kube, complaints=tuple(complaints))
        return read(sources, self._progress)

    def audit(self) -> Audit:
        """Read every view and judge every rule; with manifests beside a cluster, only their Ingresses' rules.

        If something is missing, different or extra, everything is read again a moment later, and only what both reads show counts:
        what is still moving is pending.
        """
        from xdsaudit.audit import audit
        from xdsaudit.audit.memory import Memory
        from xdsaudit.audit.questions.confirm import alarming, confirmed
        from xdsaudit.audit.questions.narrow import Scope, narrow

        snapshot = self.snapshot()
        memory = Memory()  # the second look costs what has changed
        result = audit(snapshot, memory=memory)
        if alarming(result):
            time.sleep(BETWEEN_LOOKS)
            snapshot = self.snapshot()
            result = confirmed(result, audit(snapshot, memory=memory))
        return narrow(result, snapshot, Scope(ingresses=self.reach.refs)) if self.reach.refs else result

    def explain(self, url: str, *, method: str = "GET", headers: Sequence[str] = ()) -> Explanation:
        """Which route answers a request in each replica, whose it is, and why no other does.

        Args:
            url: ``http://host/path`` or ``https://…``.
            method: the request's method.
            headers: each ``Name: value``.

        Raises:
            InputError: the URL or a header is not valid.
        """
        from xdsaudit.audit.questions.explain import explain_request
        from xdsaudit.audit.requests.request import parse_request
        from xdsaudit.audit.verdicts import judged

        world, audit = judged(self.snapshot())
        profile = world.expectation.profile
        request = parse_request(
            url, method=method, headers=tuple(headers), http_port=profile.http_port, https_port=profile.https_port
        )
        return explain_request(world, audit, request)

    def wait(self, *what: str, **settings: Unpack[WaitSettings]) -> Outcome:
        """Block until rules are in effect in every gateway, or it is certain that one will not be.

        Args:
            *what: ``namespace/ingress``, ``wasmplugin/namespace/name``, or a file or folder of manifests, with which the API's
                objects must agree. None means what the connection's manifests select, or without any every Ingress.
            **settings: of ``xdsaudit.wait``: ``deadline``, ``grace``, ``interval``, ``rounds``, ``tell`` ...

        Returns:
            The outcome, with the last audit of those rules.
        """
        named, given = named_and_given(what)
        if given is None:
            return wait(self.rounds, named or self.reach.refs, **settings)
        return wait(_Wanting(self.rounds, given), named | given.chosen, **settings)

    def watch(
        self, *, interval: float = 2.0, clock: Callable[[], float] = time.monotonic
    ) -> Iterator[tuple[Transition, ...]]:
        """Audit round after round for as long as it is iterated; yields each round's changes (often none)."""
        from xdsaudit.live.watch import Watcher

        watcher = Watcher(self.rounds, clock)
        while True:
            yield watcher.round()
            time.sleep(interval)


def wait(
    reader: BatchReader,
    refs: Iterable[str] = (),
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
    **settings: Unpack[WaitSettings],
) -> Outcome:
    """``xdsaudit.live.wait.wait_in_rounds`` by this machine's clock.

    Args:
        reader: reads the live sources (``LiveReader``).
        refs: Ingresses, each ``namespace/name``, and WasmPlugins, each ``wasmplugin/namespace/name``; none means all Ingresses
            in the API.
        clock: monotonic seconds.
        sleep: waits this many seconds.
        **settings: ``deadline``, ``grace``, ``interval``, ``rounds``, ``patience`` (all in seconds except ``rounds``) and ``tell``.
    """
    from xdsaudit.live.wait import wait_in_rounds

    return wait_in_rounds(reader, refs, clock=clock, sleep=sleep, **settings)


class _Wanting:
    """A reader whose snapshots also contain what manifests ask of the API."""

    def __init__(self, reader: BatchReader, given: Manifests) -> None:
        from xdsaudit.collect.sources import Wanted

        self._reader, self._wanted = reader, Wanted(given.lists, given.origins)

    def quick(self, hosts: Iterable[str]) -> Snapshot:
        return self._wanted.put_on(self._reader.quick(hosts))

    def full(self, *, probe: bool) -> Snapshot:
        return self._wanted.put_on(self._reader.full(probe=probe))


def named_and_given(what: Sequence[str]) -> tuple[frozenset[str], Manifests | None]:
    """Ingresses by name, and the contents of the files and folders among them.

    Raises:
        InputError: a document in them cannot be read.
    """
    from xdsaudit.collect.manifests import read_whole

    places = [w for w in what if os.path.exists(w)]  # noqa: PTH110 - the name of an Ingress is not a path
    return frozenset(w for w in what if w not in places), read_whole(places) if places else None
