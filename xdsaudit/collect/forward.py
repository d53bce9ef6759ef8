"""Port-forwards through the API server: a local port per remote port, in this process, closed at the end.

Every connection to the local port becomes a forward of its own, as kubectl does it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any
from urllib.parse import quote

from xdsaudit.collect.kube import KubeApi
from xdsaudit.errors import ReadError


class Forward:
    """A listening port of 127.0.0.1 that leads to a pod's port; a context manager.

    Attributes:
        port: the local port.
        error: why the last connection could not be made, "" when it could.
    """

    def __init__(self, api: KubeApi, namespace: str, pod: str, remote: int) -> None:
        """Listen on a free port; nothing is dialled before the first connection."""
        self._api, self._namespace, self._pod, self._remote = api, namespace, pod, remote
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.error: str = ""
        self._open: set[Any] = set()
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
        for each in open_:
            _shut(each)

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

    def _back(self, remote: Any, client: socket.socket) -> None:
        """Frames of the pod to the client: data on channel 0, the reason of a failure on channel 1."""
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
                    client.sendall(frame[1:])
                else:
                    self.error = frame[1:].decode("utf-8", "replace")
                    break
        except Exception:  # noqa: S110 - either side went away: both end
            pass
        finally:
            _shut(client)

    def _dial(self) -> Any:
        from kubernetes.stream.ws_client import create_websocket, get_websocket_url

        path = f"/api/v1/namespaces/{quote(self._namespace)}/pods/{quote(self._pod)}/portforward"
        _, url, headers, *_ = self._api.client.param_serialize("GET", path, auth_settings=["BearerToken"])
        given = {k.lower(): v for k, v in headers.items()} | {"sec-websocket-protocol": "v4.channel.k8s.io"}
        try:
            place = get_websocket_url(url, [("ports", str(self._remote))])
            found = create_websocket(self._api.client.configuration, place, given)
        except Exception as error:
            said = str(error).strip().splitlines()
            raise ReadError(
                f"port-forward to {self._namespace}/{self._pod}:{self._remote}: refused ({said[0][:160] if said else 'no reason'})"
            ) from error
        found.settimeout(None)
        return found


def _shut(each: Any) -> None:
    """Wake whoever reads or writes this socket; its owner closes it."""
    plain = getattr(each, "sock", each)
    if plain is not None:
        with contextlib.suppress(OSError):
            plain.shutdown(socket.SHUT_RDWR)
