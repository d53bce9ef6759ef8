"""A fake Kubernetes API on loopback: paged lists, watches, single objects, access reviews, tokens and port-forwards."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import socket
import struct
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from typing import Final
from urllib.parse import parse_qs, urlsplit

from xdsaudit.ingress.objects import KINDS
from xdsaudit.testing.admin import LoopbackServer
from xdsaudit.testing.builders import Json

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SINGULAR: Final = {
    **{plural: kind for plural, (kind, _) in KINDS.items()},
    "pods": "Pod",
    "deployments": "Deployment",
    "daemonsets": "DaemonSet",
    "statefulsets": "StatefulSet",
}


class FakeKube(LoopbackServer):
    """An API server with the given objects; a context manager.

    Attributes:
        forwards: local port by pod and port, for port-forwards.
        forbidden: plurals (and ``pods/portforward``) that get 403.
        down: answer only 503.
        expire: how many continue tokens still get 410.
        calls: method and path (without the query) of every call, in order.
        page: maximum page size of a list.
    """

    def __init__(self, objects: Mapping[str, Iterable[Json]] | None = None) -> None:
        """Serve these objects by plural."""
        self.forwards: dict[tuple[str, int], int] = {}
        self.forbidden: set[str] = set()
        self.down = False
        self.expire: int = 0
        self.page = 500
        self.calls: list[tuple[str, str]] = []
        self._objects: dict[str, dict[tuple[str, str], Json]] = {}
        self._events: list[tuple[int, str, str, Json]] = []
        self._oldest = 0
        self._versions = itertools.count(1)
        self._version = 0
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        for plural, items in (objects or {}).items():
            for item in items:
                self.apply(plural, item)
        super().__init__(type("Handler", (_Handler,), {"kube": self}))

    def __exit__(self, *args: object) -> None:
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        super().__exit__(*args)

    def kubeconfig(self) -> str:
        """A kubeconfig for this server, as text."""
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "fake",
                "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
                "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
                "users": [{"name": "fake", "user": {"token": "token-of-the-test"}}],
            }
        )

    # -- content ------------------------------------------------------------------------------------------------------
    def apply(self, plural: str, item: Json) -> None:
        """Create or replace an object, as kubectl apply does."""
        meta = item.setdefault("metadata", {})
        key = (meta.get("namespace", ""), meta["name"])
        with self._changed:
            stored = self._objects.setdefault(plural, {})
            event = "MODIFIED" if key in stored else "ADDED"
            self._version = next(self._versions)
            stored[key] = {**item, "metadata": {**meta, "resourceVersion": str(self._version)}}
            self._events.append((self._version, plural, event, stored[key]))
            self._changed.notify_all()

    def delete(self, plural: str, namespace: str, name: str) -> None:
        """Delete an object."""
        with self._changed:
            item = self._objects[plural].pop((namespace, name))
            self._version = next(self._versions)
            self._events.append((self._version, plural, "DELETED", item))
            self._changed.notify_all()

    def forget(self) -> None:
        """Forget the history: watches from older versions get 410."""
        with self._changed:
            self._events.clear()
            self._version = self._oldest = next(self._versions)
            self._changed.notify_all()

    # -- answers ------------------------------------------------------------------------------------------------------
    def listed(self, plural: str, namespace: str, query: Mapping[str, str]) -> tuple[int, Json]:
        """Status and body of a list."""
        start = int(query.get("continue") or 0)
        if start and self.expire > 0:
            self.expire -= 1
            return 410, {"message": "The provided continue parameter is too old"}
        with self._changed:
            items = [v for (space, _), v in sorted(self._objects.get(plural, {}).items()) if namespace in ("", space)]
            version = self._version
        items = [i for i in items if _selected(i, query.get("labelSelector", ""))]
        size = min(int(query.get("limit") or 1 << 30), self.page)
        part = items[start : start + size]
        more = str(start + size) if start + size < len(items) else ""
        meta = {"resourceVersion": str(version), **({"continue": more} if more else {})}
        return 200, {"kind": f"{_SINGULAR.get(plural, '')}List", "apiVersion": "v1", "metadata": meta, "items": part}

    def one(self, plural: str, namespace: str, name: str) -> tuple[int, Json]:
        """Status and body of one object."""
        item = self._objects.get(plural, {}).get((namespace, name))
        return (200, item) if item is not None else (404, {"message": f"{plural} {name!r} not found"})

    def events(self, plural: str, since: int, wait: float) -> tuple[int, list[tuple[int, str, Json]]] | None:
        """Events of a kind after a version, waiting for one; None if the version is too old."""
        with self._changed:
            if since < self._oldest:
                return None
            fresh = [(v, e, o) for v, p, e, o in self._events if p == plural and v > since]
            if not fresh and not self._stopped.is_set():
                self._changed.wait(wait)
                if since < self._oldest:
                    return None
                fresh = [(v, e, o) for v, p, e, o in self._events if p == plural and v > since]
            return self._version, fresh

    @property
    def stopped(self) -> bool:
        """Whether the server is shutting down."""
        return self._stopped.is_set()


def _selected(item: Json, selector: str) -> bool:
    labels = item["metadata"].get("labels", {})
    return all(labels.get(k) == v for k, _, v in (t.partition("=") for t in selector.split(",") if t))


class _Handler(BaseHTTPRequestHandler):
    """One connection to the API server."""

    kube: FakeKube
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("GET", None)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self._answer("POST", json.loads(self.rfile.read(length) or b"{}"))

    def _answer(self, method: str, body: Json | None) -> None:
        parts = urlsplit(self.path)
        self.kube.calls.append((method, parts.path))
        if self.kube.down:
            self._send(503, {"message": "the API server is down"})
            return
        query = {k: v[0] for k, v in parse_qs(parts.query).items()}
        words = parts.path.strip("/").split("/")
        words = words[3:] if words[0] == "apis" else words[2:]
        namespace = ""
        if words[:1] == ["namespaces"] and len(words) > 2:
            namespace, words = words[1], words[2:]
        resource = words[0] + (f"/{words[2]}" if len(words) > 2 else "")
        if resource in self.kube.forbidden:
            self._send(403, {"message": f"{resource} is forbidden"})
        elif resource == "selfsubjectaccessreviews" and body is not None:
            asked = body["spec"]["resourceAttributes"]
            name = asked["resource"] + (f"/{asked['subresource']}" if asked.get("subresource") else "")
            self._send(201, {"status": {"allowed": name not in self.kube.forbidden}})
        elif resource == "serviceaccounts/token":
            self._send(201, {"status": {"token": "minted.token.value"}})
        elif resource == "pods/portforward":
            self._forward(words[1], int(query["ports"]))
        elif method != "GET":
            self._send(405, {"message": "read only"})
        elif query.get("watch") in ("1", "true"):
            self._watch(resource, query)
        elif len(words) > 1:
            self._send(*self.kube.one(words[0], namespace, words[1]))
        else:
            self._send(*self.kube.listed(words[0], namespace, query))

    def _send(self, status: int, body: Json) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _watch(self, plural: str, query: Mapping[str, str]) -> None:
        since = int(query.get("resourceVersion") or 0)
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        deadline = time.monotonic() + float(query.get("timeoutSeconds") or 60)
        while not self.kube.stopped and not self.kube.down and time.monotonic() < deadline:
            answer = self.kube.events(plural, since, 0.2)
            if answer is None:
                self._line({"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}})
                break
            newest, events = answer
            for version, kind, item in events:
                self._line({"type": kind, "object": item})
                since = version
            if not events and newest > since:
                since = newest
                self._line({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(newest)}}})
        self.wfile.write(b"0\r\n\r\n")

    def _line(self, event: Json) -> None:
        data = json.dumps(event).encode() + b"\n"
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _forward(self, pod: str, port: int) -> None:
        target = self.kube.forwards.get((pod, port))
        if target is None:
            self._send(404, {"message": f"nothing listens on port {port} of {pod}"})
            return
        accept = base64.b64encode(
            hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + _GUID, usedforsecurity=False).digest()
        )
        self.close_connection = True
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept.decode())
        self.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
        self.end_headers()
        for channel in (0, 1):  # each channel starts with its port number
            self._frame(bytes((channel,)) + struct.pack("<H", port))
        try:
            opened = socket.create_connection(("127.0.0.1", target), timeout=5)
        except OSError as error:  # a kubelet reports on the error channel what it could not reach
            reason = (
                f"error forwarding port {port} to pod {pod}: failed to connect to localhost:{port}: {error.strerror}"
            )
            self._frame(b"\1" + reason.encode())
            self._frame(b"", opcode=8)
            return
        with contextlib.suppress(OSError), opened as pipe:
            pipe.settimeout(None)
            threading.Thread(target=self._back, args=(pipe,), daemon=True).start()
            while (data := self._read_frame()) is not None:
                if data[:1] == b"\0":
                    pipe.sendall(data[1:])
            pipe.shutdown(socket.SHUT_RDWR)

    def _back(self, pipe: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := pipe.recv(1 << 16):
                self._frame(b"\0" + data)
            self._frame(b"", opcode=8)

    def _frame(self, data: bytes, opcode: int = 2) -> None:
        size = len(data)
        head = bytes((0x80 | opcode,))
        head += (
            bytes((size,))
            if size < 126
            else (b"\x7e" + struct.pack(">H", size) if size < 1 << 16 else b"\x7f" + struct.pack(">Q", size))
        )
        self.wfile.write(head + data)
        self.wfile.flush()

    def _read_frame(self) -> bytes | None:
        """The client's next (masked) binary frame; None at the end."""
        while True:
            head = self.rfile.read(2)
            if len(head) < 2:
                return None
            opcode, size = head[0] & 15, head[1] & 127
            if size == 126:
                (size,) = struct.unpack(">H", self.rfile.read(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", self.rfile.read(8))
            mask = self.rfile.read(4)
            masked = self.rfile.read(size)
            if opcode == 8 or len(masked) < size:
                return None
            if opcode in (0, 2):
                key = int.from_bytes(mask * (size // 4 + 1), "big") >> (8 * (4 - size % 4))
                return (int.from_bytes(masked, "big") ^ key).to_bytes(size, "big") if size else b""

    def log_message(self, format: str, *args: object) -> None:
        pass


def higress_pods(
    *gateways: str,
    controllers: Iterable[str] = ("higress-controller-0",),
    image: str = "higress/higress:2.0.1",
    args: Sequence[str] = ("serve", "--ingressClass=higress"),
) -> dict[str, list[Json]]:
    """Pods and Deployments of a Higress, for ``FakeKube``.

    Args:
        *gateways: names of gateway pods.
        controllers: names of controller pods.
        image: of the controller.
        args: of the controller.
    """

    def pod(name: str, app: str) -> Json:
        meta = {"name": name, "namespace": "higress-system", "labels": {"app": app}}
        return {"metadata": meta, "status": {"phase": "Running", "podIP": "127.0.0.1"}}

    core = {"name": "higress-core", "image": image, "args": list(args)}

    def deployment(app: str, replicas: int, containers: list[Json]) -> Json:
        meta = {"name": app, "namespace": "higress-system", "labels": {"app": app}}
        template = {"metadata": {"labels": {"app": app}}, "spec": {"containers": containers}}
        return {
            "metadata": meta,
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": template},
        }

    names = list(controllers)
    return {
        "pods": [pod(n, "higress-controller") for n in names] + [pod(n, "higress-gateway") for n in gateways],
        "deployments": [
            deployment("higress-controller", len(names), [core]),
            deployment("higress-gateway", len(gateways), [{"name": "higress-gateway"}]),
        ],
    }
