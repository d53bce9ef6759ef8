"""The ADS session without a socket: bytes of responses in, bytes of requests out.

State of the world, as the xDS protocol describes it (sections "ACK", "NACK", "Resource Types", "Resource names"): every
response is answered with its nonce; an ACK repeats its version, a NACK the last accepted one with the error; a change of
names is a request with the last nonce. Subscriptions follow from content: LDS says which tables (RDS) and whether scopes
(SRDS) are asked for, and for which filters extension configurations (ECDS); scopes say further tables, CDS says which endpoints (EDS).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from xdsaudit.errors import ReadError
from xdsaudit.model.plain import Plain
from xdsaudit.xds.pool import SHORT, TYPES, WHOLE, Message, Short, inside, message
from xdsaudit.xds.reader import fold, read_cluster, read_listener

GATEWAY_LABELS: Final[Mapping[str, str]] = {"app": "higress-gateway", "higress": "higress-system-higress-gateway"}


@dataclass(frozen=True)
class Node:
    """The identity a client shows. Pilot serves a gateway by its labels, namespace and node id (router~ip~pod.ns~domain).

    ``istio_version`` is part of pilot's cache key for route tables: a suffix gives a private cache line.
    """

    pod: str = "xdsaudit"
    namespace: str = "higress-system"
    ip: str = "127.0.0.1"
    cluster_id: str = "Kubernetes"
    istio_version: str = "1.19.5"
    labels: Mapping[str, str] = field(default_factory=lambda: dict(GATEWAY_LABELS))
    node_id: str | None = None
    metadata: Mapping[str, Plain] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The node id."""
        domain = f"{self.namespace}.svc.cluster.local"
        return self.node_id or f"router~{self.ip}~{self.pod}.{self.namespace}~{domain}"

    def to_message(self) -> Message:
        """The protobuf Node."""
        node = message("envoy.config.core.v3.Node")(id=self.id, cluster="higress-gateway", user_agent_name="xdsaudit")
        values: dict[str, Plain] = {
            "ISTIO_VERSION": self.istio_version,
            "CLUSTER_ID": self.cluster_id,
            "NAMESPACE": self.namespace,
            "LABELS": dict(self.labels),
            "INSTANCE_IPS": self.ip,
            **self.metadata,
        }
        node.metadata.update(values)
        return node


def type_of(response: bytes) -> str:
    """Type URL of a DiscoveryResponse, "" for other bytes."""
    try:
        type_url: str = message("envoy.service.discovery.v3.DiscoveryResponse").FromString(response).type_url
    except Exception:
        return ""
    return type_url


@dataclass
class _Subscription:
    names: frozenset[str] | None = None
    version: str = ""
    nonce: str = ""
    asked: int = 0
    answered: int = 0
    refused: str = ""


class AdsSession:
    """One ADS stream's worth of protocol state.

    Feed it each response with ``receive`` and send the requests it returns. After a reconnect make a new one with
    ``resumed``: names and versions are kept, nonces belong to a stream and are not.
    """

    def __init__(self, node: Node) -> None:
        """A session for this node, with nothing subscribed yet."""
        self._node = node
        self._said_node = False
        self._subscriptions: dict[Short, _Subscription] = {}
        self._responses: list[bytes] = []
        self._names: list[tuple[Short, frozenset[str]]] = []

    @property
    def responses(self) -> tuple[bytes, ...]:
        """Every response received, raw and in order."""
        return tuple(self._responses)

    def prune(self) -> None:
        """Drop responses that later ones replace, so that a long-lived stream keeps no more than one of each resource."""
        kept, seen, wholes = [], set[tuple[Short, str]](), set[Short]()
        for response, (short, names) in zip(reversed(self._responses), reversed(self._names), strict=True):
            subscribed = self._subscriptions[short].names if short in self._subscriptions else None
            if short in WHOLE:
                needed = short not in wholes
                wholes.add(short)
            else:
                needed = any((short, n) not in seen and (subscribed is None or n in subscribed) for n in names)
                seen |= {(short, n) for n in names}
            if needed:
                kept.append((response, (short, names)))
        kept.reverse()
        self._responses = [response for response, _ in kept]
        self._names = [named for _, named in kept]

    @property
    def refused(self) -> dict[Short, str]:
        """Short type to the error of its last response, for those that were NACKed."""
        return {short: s.refused for short, s in self._subscriptions.items() if s.refused}

    @property
    def settled(self) -> bool:
        """Whether every subscription has been answered since it last changed."""
        return bool(self._subscriptions) and all(s.answered >= s.asked for s in self._subscriptions.values())

    @property
    def enough(self) -> bool:
        """Whether only plugin configurations are still missing: pilots leave them unanswered in some cases."""
        return bool(self._subscriptions) and not set(self.waiting) - {"ECDS"}

    @property
    def waiting(self) -> tuple[Short, ...]:
        """Short types that are still unanswered."""
        return tuple(short for short, s in self._subscriptions.items() if s.answered < s.asked)

    def start(self) -> list[bytes]:
        """The first requests of a stream."""
        return [*self._subscribe("CDS", None), *self._subscribe("LDS", None)]

    def resumed(self) -> AdsSession:
        """A session for a new stream that asks for what this one had, from its last accepted versions."""
        fresh = AdsSession(self._node)
        fresh._listed, fresh._scoped = self._listed, self._scoped
        fresh._subscriptions = {
            short: _Subscription(names=s.names, version=s.version) for short, s in self._subscriptions.items()
        }
        return fresh

    def restart(self) -> list[bytes]:
        """The first requests of a resumed session."""
        requests = []
        for short, subscription in self._subscriptions.items():
            subscription.asked += 1
            requests.append(self._request(short))
        return requests or self.start()

    def receive(self, response: bytes) -> list[bytes]:
        """Take a response; returns the requests to send: its ACK or NACK, then new subscriptions.

        Raises:
            ReadError: the bytes are not a DiscoveryResponse at all, so that there is no nonce to answer.
        """
        try:
            decoded = message("envoy.service.discovery.v3.DiscoveryResponse").FromString(response)
        except Exception as error:
            raise ReadError(f"an answer of {len(response)} bytes is not a DiscoveryResponse: {error}") from error
        short = SHORT.get(decoded.type_url)
        subscription = self._subscriptions.get(short) if short else None
        if short is None or subscription is None:
            return []  # never requested: nothing to acknowledge
        subscription.nonce = decoded.nonce
        subscription.answered = subscription.asked
        try:
            resources = fold([response]).get(short, {})
            wanted = list(self._wanted(short, resources))
        except Exception as error:
            subscription.refused = str(error)
            return [self._request(short, error=str(error))]
        self._responses.append(response)
        self._names.append((short, frozenset(resources)))
        subscription.version, subscription.refused = decoded.version_info, ""
        requests = [self._request(short)]
        for other, names in wanted:
            requests += self._subscribe(other, names)
        return requests

    def _wanted(self, short: Short, resources: Mapping[str, Message]) -> Iterable[tuple[Short, frozenset[str] | None]]:
        if short == "CDS":
            clusters = [read_cluster(c) for c in resources.values()]
            yield "EDS", frozenset(c.service_name for c in clusters if c.discovery == "EDS")
        elif short == "LDS":
            chains = [c for m in resources.values() for c in read_listener(m).chains]
            if any(c.scoped for c in chains):
                yield "SRDS", None
            self._listed = frozenset(c.route_config for c in chains if c.route_config)
            yield "RDS", self._listed | self._scoped
            yield "ECDS", frozenset(s.resource for c in chains for s in c.slots)
        elif short == "SRDS":
            self._scoped = frozenset(s.route_configuration_name for s in resources.values())
            yield "RDS", self._listed | self._scoped

    _listed: frozenset[str] = frozenset()
    _scoped: frozenset[str] = frozenset()

    def _subscribe(self, short: Short, names: frozenset[str] | None) -> list[bytes]:
        subscription = self._subscriptions.get(short)
        if names is not None and not names and subscription is None:
            return []  # an empty first list would mean the wildcard
        if subscription is None:
            subscription = self._subscriptions[short] = _Subscription()
        elif subscription.names == names:
            return []
        grew = names is None or subscription.names is None or bool(names - subscription.names)
        subscription.names = names
        if grew:
            subscription.asked += 1
        return [self._request(short)]

    def _request(self, short: Short, error: str = "") -> bytes:
        subscription = self._subscriptions[short]
        request = message("envoy.service.discovery.v3.DiscoveryRequest")(
            type_url=TYPES[short],
            version_info=subscription.version,
            response_nonce=subscription.nonce,
            resource_names=sorted(subscription.names or ()),
        )
        if not self._said_node:
            # "Only the first request on a stream is guaranteed to carry the node identifier."
            request.node.CopyFrom(self._node.to_message())
            self._said_node = True
        if error:
            request.error_detail.code = 3
            request.error_detail.message = error[:1000]
        data: bytes = request.SerializeToString()
        return data


def mcp_request(type_url: str, node: Node) -> bytes:
    """A request to higress-core's MCP for all objects of a type (state of the world, wildcard)."""
    request = message("envoy.service.discovery.v3.DiscoveryRequest")(type_url=type_url)
    request.node.CopyFrom(node.to_message())
    data: bytes = request.SerializeToString()
    return data


def mcp_ack(response: bytes) -> bytes:
    """The acknowledgement of an MCP response.

    Raises:
        ReadError: it is not one.
    """
    decoded = inside("envoy.service.discovery.v3.DiscoveryResponse", response, "an answer of core")
    request = message("envoy.service.discovery.v3.DiscoveryRequest")(
        type_url=decoded.type_url, version_info=decoded.version_info, response_nonce=decoded.nonce
    )
    data: bytes = request.SerializeToString()
    return data
