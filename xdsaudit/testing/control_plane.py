"""A replaying control plane: a real gRPC server for ADS and MCP that serves any snapshot, pushes changes and can misbehave.

It answers as pilot does: it serves only nodes whose labels match the gateway selector; RDS and EDS answer the names asked for;
an ISTIO_VERSION other than a gateway's reads the private cache line (``fresh``), if the snapshot has one.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Protocol

from xdsaudit.collect.ads import METHOD
from xdsaudit.model.snapshot import Snapshot
from xdsaudit.testing.rewrite import resources_of
from xdsaudit.xds.pool import SHORT, TYPES, WHOLE, Message, Short, message
from xdsaudit.xds.session import type_of

Resources = Mapping[str, Mapping[str, bytes]]
_ORDER: Final[tuple[Short, ...]] = ("CDS", "EDS", "LDS", "SRDS", "RDS", "ECDS")
MISBEHAVIOURS: Final = ("hang", "reset", "garbage", "oversize", "close")


@dataclass
class _Watch:
    names: tuple[str, ...] = ()
    nonce: str = ""
    sent: dict[str, bytes] | None = None


@dataclass
class Client:
    """One connected node: what it watches and what it rejected.

    Attributes:
        node_id: its node id.
        version: its ISTIO_VERSION.
        nacks: (short type, error text) of each response it rejected.
        watches: its subscriptions by short type.
        mcp: the core objects it was last sent, by type URL.
        metadata: its call's metadata, including any bearer token.
    """

    node_id: str = ""
    version: str = ""
    selected: bool = True
    nacks: list[tuple[str, str]] = field(default_factory=list)
    watches: dict[Short, _Watch] = field(default_factory=dict)
    mcp: dict[str, bytes] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    events: queue.SimpleQueue[tuple[str, bytes]] = field(default_factory=queue.SimpleQueue)


class _Context(Protocol):
    """What gRPC, which has no types of its own, says of a call, as far as it is used."""

    def invocation_metadata(self) -> Iterable[tuple[str, str]]: ...

    def abort(self, code: object, details: str) -> object: ...


class ControlPlane:
    """Serves on a free loopback port; a context manager.

    Attributes:
        gateway_version: ISTIO_VERSION of the nodes that read ``served``; others read the private line.
        selector: value of the label ``higress`` that a node must have.

    Example:
        >>> with ControlPlane.of(Snapshot()) as plane:
        ...     plane.endpoint.startswith("127.0.0.1:")
        True
    """

    gateway_version: str = "1.19.5"
    selector: str = "higress-system-higress-gateway"

    def __init__(
        self,
        served: Resources,
        fresh: Resources | None = None,
        *,
        core: Iterable[bytes] = (),
        rewrite: Callable[[str, bytes], bytes] | None = None,
        tls: tuple[bytes, bytes, bytes | None] | None = None,
    ) -> None:
        """Serve these resources.

        Args:
            served: short type to name to resource bytes, the cache line that gateways read.
            fresh: the private cache line; None means the same as ``served``.
            core: raw MCP responses.
            rewrite: applied to each resource before it is served.
            tls: key, certificate chain and, to require client certificates, their CA; all PEM.
        """
        self._rewrite = rewrite
        self._served = self._prepared(served)
        self._fresh = self._prepared(fresh) if fresh is not None else None
        self._core = {type_of(r): r for r in core}
        self._tls = tls
        self._lock = threading.Lock()
        self._nonces = itertools.count(1)
        self._version = 1
        self._stop_server: Callable[[], object] = lambda: None
        self._stopping = threading.Event()
        self.clients: list[Client] = []
        self.misbehaviour: str | None = None
        self.endpoint: str = ""

    @classmethod
    def of(
        cls, snapshot: Snapshot, *, pod: str | None = None, rewrite: Callable[[str, bytes], bytes] | None = None
    ) -> ControlPlane:
        """A control plane that serves what a snapshot's pilot served."""
        name = pod or next(iter(snapshot.pilot), None)
        capture = snapshot.pilot[name] if name else None
        core = next(iter(snapshot.core.values()), ())
        return cls(
            resources_of(capture.served) if capture else {},
            resources_of(capture.fresh) if capture and capture.fresh else None,
            core=core,
            rewrite=rewrite,
        )

    def _prepared(self, resources: Resources) -> dict[str, dict[str, bytes]]:
        rewrite = self._rewrite
        return {
            short: {n: rewrite(short, data) if rewrite else data for n, data in by_name.items()}
            for short, by_name in resources.items()
        }

    # -- life ---------------------------------------------------------------------------------------------------------
    def __enter__(self) -> ControlPlane:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        import grpc

        server = grpc.server(
            ThreadPoolExecutor(max_workers=32, thread_name_prefix="xdsaudit-plane"),
            options=(
                ("grpc.max_send_message_length", -1),
                ("grpc.max_receive_message_length", -1),
                ("grpc.so_reuseport", 0),
            ),
        )
        service, _, name = METHOD.removeprefix("/").partition("/")
        handler = grpc.stream_stream_rpc_method_handler(self._stream)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {name: handler}),))
        if self._tls is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            key, chain, roots = self._tls
            credentials = grpc.ssl_server_credentials([(key, chain)], roots, require_client_auth=roots is not None)
            port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        self._stop_server = lambda: server.stop(grace=0).wait(5)
        self.endpoint = f"127.0.0.1:{port}"

    def stop(self) -> None:
        """Close every stream and stop listening."""
        self._stopping.set()
        self.disconnect()
        self._stop_server()

    def disconnect(self) -> None:
        """End every open stream, like a control plane that restarts."""
        self._tell("end")

    # -- content ------------------------------------------------------------------------------------------------------
    def push(self, served: Resources, fresh: Resources | None = None, *, core: Iterable[bytes] | None = None) -> None:
        """Serve these resources from now on, and send every client the changes it watches."""
        with self._lock:
            if core is not None:
                self._core = {type_of(r): r for r in core}
            if fresh is not None:
                self._fresh = self._prepared(fresh)
        self._set(self._prepared(served))

    def update(self, short: str, resources: Mapping[str, bytes]) -> None:
        """Add or replace resources of one type, and push."""
        with self._lock:
            served = {k: dict(v) for k, v in self._served.items()}
        prepared = self._prepared({short: resources})[short]
        served.setdefault(short, {}).update(prepared)
        self._set(served)

    def withhold(self, short: str, *names: str) -> None:
        """Stop serving these resources, and push."""
        with self._lock:
            served = {k: dict(v) for k, v in self._served.items()}
        for name in names:
            served.get(short, {}).pop(name, None)
        self._set(served)

    def _set(self, served: dict[str, dict[str, bytes]]) -> None:
        with self._lock:
            self._served = served
            self._version += 1
        self._tell("push")

    def _tell(self, event: str) -> None:
        with self._lock:
            clients = list(self.clients)
        for client in clients:
            client.events.put((event, b""))

    def misbehave(self, how: str | None) -> None:
        """Misbehave from the next request on: ``hang`` (never answer), ``reset``, ``garbage``, ``oversize`` or ``close``; None stops it."""
        if how is not None and how not in MISBEHAVIOURS:
            raise ValueError(f"{how!r} is not one of {', '.join(MISBEHAVIOURS)}")
        self.misbehaviour = how

    def nacks(self) -> list[tuple[str, str, str]]:
        """(node id, short type, error) of every rejection so far."""
        with self._lock:
            return [(c.node_id, short, error) for c in self.clients for short, error in c.nacks]

    # -- streams ------------------------------------------------------------------------------------------------------
    def _stream(self, requests: Iterator[bytes], context: _Context) -> Iterator[bytes]:
        client = Client(metadata=dict(context.invocation_metadata()))
        with self._lock:
            self.clients.append(client)

        def pump() -> None:
            try:
                for request in requests:
                    client.events.put(("request", request))
            except Exception:  # noqa: S110 - the stream was cancelled
                pass
            client.events.put(("end", b""))

        threading.Thread(target=pump, name="xdsaudit-plane-in", daemon=True).start()
        while not self._stopping.is_set():
            kind, data = client.events.get()
            if kind == "end":
                return
            if kind == "request":
                if self.misbehaviour is not None:
                    yield from self._misbehave(context, client)
                    return
                yield from self._answer(client, message("envoy.service.discovery.v3.DiscoveryRequest").FromString(data))
            else:
                yield from self._changes(client)

    def _misbehave(self, context: _Context, client: Client) -> Iterator[bytes]:
        import grpc

        how = self.misbehaviour
        if how == "hang":
            while not self._stopping.is_set():
                kind, _ = client.events.get()
                if kind == "end":
                    return
        elif how == "reset":
            context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset by the test")
        elif how == "garbage":
            yield b"\xff\xfe this is no protobuf \x00" * 10
            client.events.get()
        elif how == "oversize":
            response = message("envoy.service.discovery.v3.DiscoveryResponse")(
                version_info="big", type_url=TYPES["RDS"], nonce="1"
            )
            response.resources.add(type_url=TYPES["RDS"], value=b"\x0a" + b"\xff" * (5 << 20))
            yield response.SerializeToString()
            client.events.get()

    def _answer(self, client: Client, request: Message) -> Iterator[bytes]:
        if request.HasField("node"):
            client.node_id = request.node.id
            values = request.node.metadata.fields
            client.version = values["ISTIO_VERSION"].string_value if "ISTIO_VERSION" in values else ""
            labels = values["LABELS"].struct_value.fields if "LABELS" in values else {}
            client.selected = "higress" in labels and labels["higress"].string_value == self.selector
        if request.type_url not in SHORT:
            yield from self._mcp(client, request)
            return
        short = SHORT[request.type_url]
        names = tuple(request.resource_names)
        watch = client.watches.get(short)
        if request.HasField("error_detail"):
            client.nacks.append((short, request.error_detail.message))
            return
        if watch is not None and request.response_nonce and request.response_nonce != watch.nonce:
            return  # an answer to an older response
        if watch is not None and request.response_nonce and set(names) == set(watch.names):
            return  # an acknowledgement
        if watch is None:
            watch = client.watches[short] = _Watch()
        new = set(names) - set(watch.names) or not request.response_nonce or short in WHOLE
        watch.names = names
        if new:
            yield self._response(client, short, watch)

    def _mcp(self, client: Client, request: Message) -> Iterator[bytes]:
        if request.response_nonce:
            return
        recorded = self._core.get(request.type_url)
        client.mcp[request.type_url] = recorded or b""
        if recorded is not None:
            yield recorded
        else:
            yield message("envoy.service.discovery.v3.DiscoveryResponse")(
                type_url=request.type_url, version_info="0", nonce=str(next(self._nonces))
            ).SerializeToString()

    def _content(self, client: Client, short: Short, watch: _Watch) -> dict[str, bytes]:
        with self._lock:
            private = self._fresh is not None and client.version != self.gateway_version
            line = self._fresh if private and self._fresh is not None else self._served
            by_name = line.get(short, {}) if client.selected else {}
            return {n: d for n, d in by_name.items() if short in WHOLE or n in watch.names}

    def _response(self, client: Client, short: Short, watch: _Watch) -> bytes:
        content = self._content(client, short, watch)
        watch.sent, watch.nonce = content, f"n{next(self._nonces)}"
        response = message("envoy.service.discovery.v3.DiscoveryResponse")(
            version_info=f"xdsaudit/{self._version}", type_url=TYPES[short], nonce=watch.nonce
        )
        for data in content.values():
            response.resources.add(type_url=TYPES[short], value=data)
        result: bytes = response.SerializeToString()
        return result

    def _changes(self, client: Client) -> Iterator[bytes]:
        for type_url, sent in client.mcp.items():
            now = self._core.get(type_url, sent)
            if now != sent:
                client.mcp[type_url] = now
                yield now
        for short in _ORDER:
            watch = client.watches.get(short)
            if watch is not None and watch.sent != self._content(client, short, watch):
                yield self._response(client, short, watch)
