"""The Kubernetes API: lists, single objects and permissions, read-only, each with a deadline.

The package kubernetes provides configuration, authentication and transport; bodies are read raw, since its models cost 23 times as
much. Calls that are not GETs: SelfSubjectAccessReview, pods/portforward (collect/forward) and, on request, serviceaccounts/token.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote

import msgspec
from msgspec import Raw, Struct

from xdsaudit.collect.kinds import LISTED, Kind
from xdsaudit.collect.limits import MAX_BYTES, Budget, beginning
from xdsaudit.collect.limits import body as whole_body
from xdsaudit.errors import ReadError, XdsauditError, outline
from xdsaudit.model.json_text import BROKEN
from xdsaudit.model.plain import Plain

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import BaseHTTPResponse

_UNREADABLE: Final[tuple[type[Exception], ...]] = (ReadError, *BROKEN)

PAGE: Final = 500
_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


class ForbiddenError(ReadError):
    """The API server refused; the message names the missing RBAC rule."""


class GoneError(ReadError):
    """The resource version or continue token is too old (410): list again."""


class _ListMeta(Struct):
    resourceVersion: str = ""  # noqa: N815 - the API's name
    continue_: str = msgspec.field(name="continue", default="")


class _Page(Struct):
    items: list[Raw] | None = None
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)


class _Allowed(Struct):
    allowed: bool = False


class _Review(Struct):
    status: _Allowed = msgspec.field(default_factory=_Allowed)


class _Named(Struct):
    name: str = ""
    namespace: str = ""


class _Item(Struct):
    metadata: _Named = msgspec.field(default_factory=_Named)


_PAGE: Final = msgspec.json.Decoder(_Page)
_ITEM: Final = msgspec.json.Decoder(_Item)
_REVIEW: Final = msgspec.json.Decoder(_Review)


def item_key(raw: bytes) -> tuple[str, str]:
    """Namespace and name of an object."""
    meta = _ITEM.decode(raw).metadata
    return meta.namespace, meta.name


class Call(NamedTuple):
    """One call of the API.

    Attributes:
        path: the API path.
        method: the HTTP method.
        query: parameters.
        body: JSON to send, or None.
        accept: content types.
    """

    path: str
    method: str = "GET"
    query: Mapping[str, str] = {}
    body: Plain = None
    accept: str = "application/json"

    @property
    def headers(self) -> dict[str, str]:
        """Its headers, except those for authentication."""
        return {"Accept": self.accept} | ({} if self.body is None else {"Content-Type": "application/json"})


class KubeApi:
    """One API server, accessed with the user's kubeconfig or the pod's own account.

    Attributes:
        client: the package kubernetes's client.
        host: its URL for messages, without a user and password.
        timeout: seconds for one reading.
        max_bytes: the most bytes of one reading.
        kinds: the kinds to list.
    """

    def __init__(
        self, client: ApiClient, host: str, timeout: float, max_bytes: int = MAX_BYTES, *, secrets: bool = True
    ) -> None:
        """Use ``kube_api`` instead."""
        self.kinds: tuple[Kind, ...] = tuple(kind for kind in LISTED if secrets or kind.plural != "secrets")
        self.client = client
        self.host = host
        self.timeout = timeout
        self.max_bytes = max_bytes
        self._budget: Budget | None = None

    def bounded(self) -> KubeApi:
        """The same server with one deadline and one byte limit, starting now, for all calls through it."""
        if self._budget is not None:
            return self
        api = copy.copy(self)
        api._budget = Budget(self.timeout, self.max_bytes)
        return api

    def _begin(self) -> Budget:
        return self._budget or Budget(self.timeout, self.max_bytes)

    def request(self, call: Call, *, budget: Budget | None = None, idle: float | None = None) -> BaseHTTPResponse:
        """The open response of one call.

        Args:
            call: the call.
            budget: the limit until the headers arrive; None for one of its own.
            idle: seconds between two pieces of the body, if not the budget's.

        Raises:
            ForbiddenError, GoneError, ReadError: anything but a success; the message names the path and the next step.
        """
        within = budget or self._begin()
        response = self._called(call, within, idle)
        if response.status >= 300:
            try:
                with within.guard():
                    text = beginning(response)
            finally:
                response.close()
            raise _refusal(self.host, call.method, call.path, response.status, text)
        return response

    def _called(self, call: Call, within: Budget, idle: float | None) -> BaseHTTPResponse:
        """The response to one call, whatever its status."""
        import urllib3

        late = f"Kubernetes {self.host}{call.path}: no answer within {within.seconds:g} s; raise --timeout"
        if within.expired():
            raise ReadError(late)
        try:
            given = self.client.param_serialize(
                call.method,
                call.path,
                query_params=list(call.query.items()),
                header_params=call.headers,
                body=call.body,
                auth_settings=["BearerToken"],
            )
            with within.guard():
                limits = (within.left + 0.001, idle or within.left + 0.001)
                response: BaseHTTPResponse = self.client.call_api(*given, _request_timeout=limits).response
                return response
        except XdsauditError:
            raise
        except (urllib3.exceptions.HTTPError, OSError) as error:
            timed_out = isinstance(error, urllib3.exceptions.TimeoutError)
            if within.expired() or (timed_out and not isinstance(error, urllib3.exceptions.NewConnectionError)):
                raise ReadError(late) from error
            raise ReadError(_unreachable(self.host, error)) from error
        except Exception as error:
            if type(error).__module__.startswith("kubernetes"):
                raise ReadError(f"Kubernetes {self.host}: {_reason(error)}; check your login and --context") from error
            raise ReadError(  # its text may repeat a header, and with it the token
                f"Kubernetes {self.host}{call.path}: the call could not be made ({outline(error)}); check the kubeconfig"
            ) from error

    def get(
        self,
        path: str,
        query: Mapping[str, str] | None = None,
        accept: str = "application/json",
        *,
        method: str = "GET",
        body: Plain = None,
    ) -> bytes:
        """Body of a GET (or of a POST that changes nothing).

        Raises:
            ForbiddenError, GoneError, ReadError: as ``request``, or the body does not arrive whole within the limits.
        """
        import urllib3

        budget = self._begin()
        subject = f"Kubernetes {self.host}{path}"
        with budget.guard():
            response = self.request(Call(path, method, query or {}, body, accept), budget=budget)
            whole = False
            try:
                data = whole_body(response, budget, subject)
                whole = True
            except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
                if budget.expired():
                    raise ReadError(f"{subject}: not complete after {budget.seconds:g} s; raise --timeout") from error
                raise ReadError(f"{subject}: the answer was cut off ({_reason(error)}); try again") from error
            finally:
                if whole:
                    response.release_conn()
                else:
                    response.close()
        return data

    def list(
        self, kind: Kind, namespace: str | None = None, *, selector: str = ""
    ) -> tuple[dict[tuple[str, str], bytes], str]:
        """All objects of a kind by namespace and name, page by page, and the resource version to watch from.

        Raises:
            ForbiddenError: not allowed.
            ReadError: not possible.
        """
        path = kind.path(namespace)
        within = self.bounded()
        query = {"limit": str(PAGE)} | ({"labelSelector": selector} if selector else {})
        for _ in range(3):
            try:
                return within._pages(kind, path, query)
            except GoneError:
                continue  # the token of the next page expired meanwhile: start again
        raise ReadError(f"Kubernetes {self.host}{path}: is changing faster than it can be listed; try again")

    def _pages(self, kind: Kind, path: str, query: Mapping[str, str]) -> tuple[dict[tuple[str, str], bytes], str]:
        """All pages of one list."""
        accept = _METADATA if kind.metadata_only else "application/json"
        items: dict[tuple[str, str], bytes] = {}
        tokens: set[str] = set()
        asked = dict(query)
        while True:
            data = self.get(path, asked, accept)
            try:
                page = _PAGE.decode(data)
                for raw in page.items or ():
                    items[item_key(raw)] = stripped(raw) if kind.metadata_only else bytes(raw)
            except BROKEN as error:
                raise ReadError(
                    f"Kubernetes {self.host}{path}: is not a list ({error}); is this an API server?"
                ) from error
            token = page.metadata.continue_
            if not token:
                return items, page.metadata.resourceVersion
            if token in tokens:
                raise ReadError(
                    f"Kubernetes {self.host}{path}: keeps naming the same next page; is this an API server?"
                )
            tokens.add(token)
            asked["continue"] = token

    def allowed(
        self, verb: str, resource: str, namespace: str, *, subresource: str = "", group: str = ""
    ) -> bool | None:
        """Whether this account may do something (SelfSubjectAccessReview); None if unknown."""
        review: Plain = {
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
            path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            return _REVIEW.decode(self.get(path, method="POST", body=review)).status.allowed
        except _UNREADABLE:
            return None

    def mint(self, namespace: str, account: str, audience: str = "istio-ca") -> str:
        """Request a short-lived token of a ServiceAccount (TokenRequest), for TLS to pilot. Never stored or printed.

        Raises:
            ForbiddenError: not allowed.
            ReadError: not possible.
        """
        body: Plain = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 600},
        }
        path = f"/api/v1/namespaces/{quote(namespace)}/serviceaccounts/{quote(account)}/token"
        try:
            token = json.loads(self.get(path, method="POST", body=body))["status"]["token"]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ReadError(f"Kubernetes {self.host}{path}: returned no token; give one with --token-file") from error
        return str(token)


def stripped(raw: bytes) -> bytes:
    """Only name, namespace and kind of a Secret, whatever the server sent."""
    namespace, name = item_key(raw)
    return json.dumps({"kind": "Secret", "metadata": {"name": name, "namespace": namespace}}).encode()


def _unreachable(host: str, error: BaseException) -> str:
    return f"Kubernetes {host}: cannot be reached ({_reason(error)}); check --context, the network and your login"


def _reason(error: BaseException) -> str:
    text = str(getattr(error, "reason", None) or error).strip().splitlines()
    return (text[-1] if text else type(error).__name__)[:200]


def _refusal(host: str, method: str, path: str, status: int, text: str) -> ReadError:
    try:
        reason = str(json.loads(text).get("message") or "")
    except (ValueError, AttributeError, RecursionError):
        reason = text[:120]
    where = f"Kubernetes {host}{path}"
    if status == 410:
        return GoneError(f"{where}: expired", status=status)
    if status == 401:
        return ReadError(f"{where}: not logged in ({reason[:160]}); log in again, or check --context", status=status)
    if status == 403:
        return ForbiddenError(f"{where}: forbidden; missing RBAC rule: {_rule(method, path)}", status=status)
    if status == 404:
        return ReadError(f"{where}: not found; is this a cluster with Higress? {reason[:120]}".rstrip(), status=status)
    if status < 400:
        return ReadError(f"{where}: HTTP {status}, a redirect: is this an API server? Check --context", status=status)
    return ReadError(f"{where}: HTTP {status} {reason[:160]}; try again, or look at the API server", status=status)


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
