"""Port-forwards through the API server: a local port for each remote port, in this process, closed at the end.

Every connection to the local port becomes a forward of its own, as in kubectl.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

from xdsaudit.collect.kube import KubeApi
from xdsaudit.errors import ReadError, XdsauditError, outline

if TYPE_CHECKING:
    from websocket import WebSocket


class Forward:
    """A listening port on 127.0.0.1 that leads to a pod's port; a context manager.

    Attributes:
        port: the local port.
        place: the pod and its port, for messages.
        error: why the last connection failed, "" if it did not; set before the connection is closed.
    """

    def __init__(self, api: KubeApi, namespace: str, pod: str, remote: int) -> None:
        """Listen on a free port; nothing is contacted before the first connection."""
        self._api, self._namespace, self._pod, self._remote = api, namespace, pod, remote
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.place: str = f"pod {namespace}/{pod}, port {remote}"
        self.error: str = ""
        self._open: set[socket.socket | WebSocket] = set()
        self._lock = threading.Lock()
        self._closed = False
        threading.Thread(target=self._accept, name=f"xdsaudit-forward-{remote}", daemon=True).start()

    def __enter__(self) -> Forward:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and close every connection."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        with self._lock:
            open_, self._open = self._open, set()
        for end in open_:
            _shut(end)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="xdsaudit-forward", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            remote = self._dial()
        except ReadError as error:
            self.error = str(error)
            client.close()
            return
        with self._lock:
            self._open |= {client, remote}
        back = threading.Thread(target=self._back, args=(remote, client), name="xdsaudit-forward-back", daemon=True)
        back.start()
        try:
            while data := client.recv(1 << 16):
                remote.send_binary(b"\0" + data)
        except Exception:  # noqa: S110 - either side went away: both end
            pass
        finally:
            _shut(client)
            _shut(remote)
            back.join(timeout=5)
            client.close()
            remote.shutdown()
            with self._lock:
                self._open -= {client, remote}

    def _back(self, remote: WebSocket, client: socket.socket) -> None:
        """Pass the pod's frames to the client: data on channel 0, the reason for a failure on channel 1."""
        begun = set()
        try:
            while True:
                frame = remote.recv()
                if not isinstance(frame, bytes) or not frame:
                    break  # closed
                channel = frame[0]
                if channel not in begun:
                    begun.add(channel)  # the first frame of a channel repeats the port
                elif channel == 0:
                    self.error = ""  # the pod answers; an earlier parallel connection may have failed
                    client.sendall(frame[1:])
                else:
                    self.error = f"the port-forward failed: {_first_line(frame[1:])}"
                    break
        except Exception:  # noqa: S110 - either side went away: both end
            pass
        finally:
            _shut(client)

    def _dial(self) -> WebSocket:
        from kubernetes.stream.ws_client import create_websocket, get_websocket_url
        from websocket import WebSocketBadStatusException, WebSocketException

        path = f"/api/v1/namespaces/{quote(self._namespace)}/pods/{quote(self._pod)}/portforward"
        _, url, headers, *_ = self._api.client.param_serialize("GET", path, auth_settings=["BearerToken"])
        given = {k.lower(): v for k, v in headers.items()} | {"sec-websocket-protocol": "v4.channel.k8s.io"}
        try:
            place = get_websocket_url(url, [("ports", str(self._remote))])
            socket = self._within(lambda: create_websocket(self._api.client.configuration, place, given))
        except XdsauditError:
            raise
        except WebSocketBadStatusException as error:
            reason = _message(error.resp_body)
            raise ReadError(f"the port-forward was refused: HTTP {error.status_code} {reason}".rstrip()) from error
        except WebSocketException as error:
            raise ReadError(f"the port-forward failed ({type(error).__name__})") from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ReadError(f"the port-forward failed: the API server cannot be reached ({reason})") from error
        except Exception as error:  # its text may quote a header, and with it the token
            raise ReadError(f"the port-forward failed ({outline(error)})") from error
        socket.settimeout(None)
        return socket

    def _within(self, dial: Callable[[], WebSocket]) -> WebSocket:
        """Connect in a thread of its own: the package kubernetes sets no deadline for a WebSocket's handshake."""
        made: list[WebSocket] = []
        failed: list[BaseException] = []
        given_up = threading.Event()

        def run() -> None:
            try:
                result = dial()
            except BaseException as error:
                failed.append(error)
                return
            made.append(result)
            if given_up.is_set():
                result.shutdown()

        thread = threading.Thread(target=run, name="xdsaudit-forward-dial", daemon=True)
        thread.start()
        thread.join(self._api.timeout)
        if failed:
            raise failed[0]
        if not made:
            given_up.set()
            raise ReadError(f"the port-forward failed: the API server did not answer within {self._api.timeout:g} s")
        return made[0]


def _first_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[0][:300] if lines else "no reason given"


def _message(body: object) -> str:
    """The API server's reason for a refusal."""
    text = body if isinstance(body, bytes) else str(body or "").encode()
    try:
        return str(json.loads(text).get("message") or "")[:300]
    except (ValueError, AttributeError, RecursionError):
        return _first_line(text)[:120] if text else ""


def _shut(end: socket.socket | WebSocket) -> None:
    """Wake whoever reads or writes this socket; its owner closes it."""
    plain = end if isinstance(end, socket.socket) else end.sock
    if plain is not None:
        with contextlib.suppress(OSError):
            plain.shutdown(socket.SHUT_RDWR)
