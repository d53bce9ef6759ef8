"""The session of higress-core's MCP without a socket: all objects of some types, state of the world, as long as the stream lasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xdsaudit.xds.core import MCP_TYPES
from xdsaudit.xds.session import Node, mcp_ack, mcp_request, type_of


class McpSession:
    """One stream's worth of state; what ``AdsSession`` is to pilot."""

    def __init__(self, node: Node, types: Sequence[str] = MCP_TYPES) -> None:
        """A session for this node, with nothing answered yet."""
        self._node, self._types = node, tuple(types)
        self._found: dict[str, bytes] = {}

    @property
    def responses(self) -> tuple[bytes, ...]:
        """The last response of each type, in the order of the types."""
        return tuple(self._found[t] for t in self._types if t in self._found)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Types that were not answered yet."""
        return tuple(t.rpartition("/")[2] for t in self._types if t not in self._found)

    @property
    def settled(self) -> bool:
        """Whether every type was answered."""
        return not self.waiting

    @property
    def enough(self) -> bool:
        """The same: every type is needed."""
        return self.settled

    @property
    def refused(self) -> Mapping[str, str]:
        """Answers that could not be decoded, of which core has none: what is no response ends the stream."""
        return {}

    def start(self) -> list[bytes]:
        """The first requests."""
        return [mcp_request(t, self._node) for t in self._types]

    def receive(self, response: bytes) -> list[bytes]:
        """Keep a response, and return what is to be sent.

        Raises:
            ReadError: it is not a DiscoveryResponse.
        """
        acknowledged = mcp_ack(response)
        self._found[type_of(response)] = response
        return [acknowledged]

    def prune(self) -> None:
        """Each response replaces the one before it: nothing is left to drop."""
