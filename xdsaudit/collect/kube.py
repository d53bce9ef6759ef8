"""The Kubernetes API: lists, single objects and permissions, read only, each with a deadline.

The package kubernetes gives configuration, authentication and transport; bodies are taken raw, since its models cost 23 times as
much. Calls that are not GETs: SelfSubjectAccessReview, pods/portforward (collect/forward) and, when told to, serviceaccounts/token.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from xdsaudit.errors import InputError, ReadError

PAGE: Final = 500
_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


@dataclass(frozen=True)
class Kind:
    """Where a kind is listed: its group path, plural, singular name, and whether only its metadata is read."""

    prefix: str
    plural: str
    kind: str
    metadata_only: bool = False

    def path(self, namespace: str | None) -> str:
        """Path of its list, of one namespace or of all."""
        return f"{self.prefix}{f'/namespaces/{quote(namespace)}' if namespace else ''}/{self.plural}"

    @property
    def group(self) -> str:
        """API group, "" for the core group."""
        return self.prefix.split("/")[2] if self.prefix.startswith("/apis/") else ""


KINDS: Final = (
    Kind("/apis/networking.k8s.io/v1", "ingresses", "Ingress"),
    Kind("/apis/networking.k8s.io/v1", "ingressclasses", "IngressClass"),
    Kind("/api/v1", "services", "Service"),
    Kind("/apis/discovery.k8s.io/v1", "endpointslices", "EndpointSlice"),
    Kind("/apis/networking.higress.io/v1", "mcpbridges", "McpBridge"),
    Kind("/api/v1", "secrets", "Secret", metadata_only=True),
)


class ForbiddenError(ReadError):
    """The API server refuses; the message names the RBAC rule that is missing."""


class GoneError(ReadError):
    """The resource version or continue token is too old (410): list again."""


class _ListMeta(Struct):
    resourceVersion: str = ""  # noqa: N815 - the API's name
    continue_: str = msgspec.field(name="continue", default="")


class _Page(Struct):
    items: list[Raw] | None = None
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)


class _Named(Struct):
    name: str = ""
    namespace: str = ""


class _Item(Struct):
    metadata: _Named = msgspec.field(default_factory=_Named)


_PAGE: Final = msgspec.json.Decoder(_Page)
_ITEM: Final = msgspec.json.Decoder(_Item)


def item_key(raw: bytes) -> tuple[str, str]:
    """Namespace and name of an object."""
    meta = _ITEM.decode(raw).metadata
    return meta.namespace, meta.name


def as_list(kind: str, items: Iterable[bytes]) -> bytes:
    """Objects as the API's list of their kind."""
    body = b",".join(items)
    return b'{"apiVersion":"v1","kind":"' + kind.encode() + b'List","items":[' + body + b"]}"


class KubeApi:
    """One API server, with the user's kubeconfig or the pod's own account."""

    def __init__(self, client: Any, host: str, timeout: float) -> None:
        """Use ``connect`` instead."""
        self.client = client
        self.host = host
        self.timeout = timeout

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        accept: str = "application/json",
        *,
        timeout: float | None = None,
    ) -> Any:
        """The open response of one call.

        Raises:
            ForbiddenError, GoneError, ReadError: anything but a success; the message names the path and the next step.
        """
        import urllib3

        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = "application/json"
        given = self.client.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        limit = timeout or self.timeout
        try:
            response = self.client.call_api(*given, _request_timeout=(min(limit, self.timeout), limit)).response
        except urllib3.exceptions.TimeoutError as error:
            if isinstance(error, urllib3.exceptions.NewConnectionError):
                raise ReadError(_unreachable(self.host, error)) from error
            raise ReadError(f"Kubernetes {self.host}{path}: no answer within {limit:g} s; raise --timeout") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ReadError(_unreachable(self.host, error)) from error
        except Exception as error:
            if type(error).__module__.startswith("kubernetes"):
                raise ReadError(f"Kubernetes {self.host}: {_reason(error)}; check your login and --context") from error
            raise
        if response.status >= 300:
            try:
                text = response.data.decode("utf-8", "replace")
            finally:
                response.release_conn()
            raise _refusal(self.host, method, path, response.status, text)
        return response

    def get(self, path: str, query: Mapping[str, str] | None = None, accept: str = "application/json") -> bytes:
        """Body of a GET."""
        import urllib3

        response = self.request("GET", path, query, accept=accept)
        try:
            data: bytes = response.data
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ReadError(
                f"Kubernetes {self.host}{path}: the answer broke off ({_reason(error)}); try again"
            ) from error
        finally:
            response.release_conn()
        return data

    def list(
        self, kind: Kind, namespace: str | None = None, *, selector: str = ""
    ) -> tuple[dict[tuple[str, str], bytes], str]:
        """All objects of a kind by namespace and name, page by page, and the resource version to watch from.

        Raises:
            ForbiddenError: not allowed.
            ReadError: not possible.
        """
        accept = _METADATA if kind.metadata_only else "application/json"
        path = kind.path(namespace)
        for _ in range(3):
            found: dict[tuple[str, str], bytes] = {}
            query = {"limit": str(PAGE)}
            if selector:
                query["labelSelector"] = selector
            try:
                while True:
                    data = self.get(path, query, accept)
                    try:
                        page = _PAGE.decode(data)
                        for raw in page.items or ():
                            found[item_key(raw)] = stripped(raw) if kind.metadata_only else bytes(raw)
                    except msgspec.DecodeError as error:
                        raise ReadError(
                            f"Kubernetes {self.host}{path}: is no list ({error}); is this an API server?"
                        ) from error
                    if not page.metadata.continue_:
                        return found, page.metadata.resourceVersion
                    query["continue"] = page.metadata.continue_
            except GoneError:
                continue  # the token of the next page expired while we read: begin again
        raise ReadError(f"Kubernetes {self.host}{path}: changes faster than it can be listed; try again")

    def allowed(
        self, verb: str, resource: str, namespace: str, *, subresource: str = "", group: str = ""
    ) -> bool | None:
        """Whether this account may do something (SelfSubjectAccessReview); None when nobody can tell."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {
                "resourceAttributes": {
                    "verb": verb,
                    "resource": resource,
                    "subresource": subresource,
                    "namespace": namespace,
                    "group": group,
                }
            },
        }
        try:
            response = self.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)
            answer = json.loads(response.data)
        except (ReadError, ValueError):
            return None
        return bool(answer.get("status", {}).get("allowed"))

    def mint(self, namespace: str, account: str, audience: str = "istio-ca") -> str:
        """A short-lived token of a ServiceAccount (TokenRequest), for TLS to pilot. Never stored or printed.

        Raises:
            ForbiddenError: not allowed.
            ReadError: not possible.
        """
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 600},
        }
        path = f"/api/v1/namespaces/{quote(namespace)}/serviceaccounts/{quote(account)}/token"
        try:
            token = json.loads(self.request("POST", path, body=body).data)["status"]["token"]
        except (ValueError, KeyError) as error:
            raise ReadError(f"Kubernetes {self.host}{path}: gave no token; give one with --token-file") from error
        return str(token)


def stripped(raw: bytes) -> bytes:
    """Name, namespace and kind of a Secret, and nothing of its content, whatever the server sent."""
    namespace, name = item_key(raw)
    return json.dumps({"kind": "Secret", "metadata": {"name": name, "namespace": namespace}}).encode()


def _unreachable(host: str, error: BaseException) -> str:
    return f"Kubernetes {host}: cannot be reached ({_reason(error)}); check --context, the network and your login"


def _reason(error: BaseException) -> str:
    text = str(getattr(error, "reason", None) or error).strip().splitlines()
    return (text[-1] if text else type(error).__name__)[:200]


def _refusal(host: str, method: str, path: str, status: int, text: str) -> ReadError:
    try:
        said = str(json.loads(text).get("message") or "")
    except (ValueError, AttributeError):
        said = text[:120]
    where = f"Kubernetes {host}{path}"
    if status == 410:
        return GoneError(f"{where}: expired")
    if status == 401:
        return ReadError(f"{where}: not logged in ({said[:160]}); log in again, or check --context")
    if status == 403:
        return ForbiddenError(f"{where}: forbidden; missing RBAC rule: {_rule(method, path)}")
    if status == 404:
        return ReadError(f"{where}: not found; is this a cluster with Higress? {said[:120]}".rstrip())
    return ReadError(f"{where}: HTTP {status} {said[:160]}; try again, or look at the API server")


def _rule(method: str, path: str) -> str:
    """The RBAC rule that a call needs, as kubectl writes one."""
    parts = path.strip("/").split("/")
    group = parts[1] if parts[0] == "apis" else ""
    rest = parts[3:] if parts[0] == "apis" else parts[2:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    resource = rest[0] + (f"/{rest[2]}" if len(rest) > 2 else "")
    verb = "create" if method == "POST" else ("list" if len(rest) == 1 else "get")
    return f'{{apiGroups: ["{group}"], resources: ["{resource}"], verbs: ["{verb}"]}}'


def connect(kubeconfig: str | None = None, context: str | None = None, *, timeout: float = 10.0) -> KubeApi:
    """The cluster of a kubeconfig (KUBECONFIG, ~/.kube/config) or, inside a pod, of its account.

    Raises:
        InputError: there is no such configuration; the message says what was looked for.
    """
    import yaml
    from kubernetes import client, config
    from kubernetes.config.config_exception import ConfigException

    settings = client.Configuration()
    settings.retries = False
    try:
        if kubeconfig is None and context is None and _in_pod():
            config.load_incluster_config(client_configuration=settings)
        else:
            config.load_kube_config(kubeconfig, context, settings, persist_config=False)
    except ConfigException as error:
        raise InputError(_no_config(kubeconfig, context, str(error))) from error
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise InputError(
            f"kubeconfig {kubeconfig or ''}: cannot be read ({_reason(error)}); check the file".replace("  ", " ")
        ) from error
    return KubeApi(client.ApiClient(settings), settings.host, timeout)


def _in_pod() -> bool:
    import os

    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and not os.environ.get("KUBECONFIG")


def _no_config(kubeconfig: str | None, context: str | None, said: str) -> str:
    if context is not None and "context" in said.lower():
        return f"--context {context}: no such context in the kubeconfig; kubectl config get-contexts lists them"
    where = kubeconfig or "KUBECONFIG or ~/.kube/config"
    return (
        f"no cluster to read: {where} has no usable configuration ({said.splitlines()[0]}); give --kubeconfig, or --snapshot PATH, "
        "or -f MANIFESTS with --ads HOST:PORT and --gateway URL"
    )
