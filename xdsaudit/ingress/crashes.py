"""What of an Ingress makes the controller panic: every translation ends there, and none of the later objects takes effect.

Foretells by the source; must not change what is translated.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsaudit.ingress.annotations import has
from xdsaudit.ingress.backends import Backends, is_bridge
from xdsaudit.ingress.http_route import Destination
from xdsaudit.ingress.profile import DOTLESS_PANIC, Profile
from xdsaudit.ingress.taken import Taken
from xdsaudit.ingress.with_services import Portless, mirror_target


class Crashes:
    """Collects panics while the passes run, each told once."""

    def __init__(self, backends: Backends, profile: Profile) -> None:
        """Keep what panics depend on."""
        self._backends, self._profile = backends, profile
        self._listed: dict[tuple[str, str, str], None] = {}

    @property
    def listed(self) -> tuple[tuple[str, str, str], ...]:
        """Namespace and name of each Ingress, and what of it stops the controller."""
        return tuple(self._listed)

    def _tell(self, each: Taken, what: str) -> None:
        self._listed[each.ingress.namespace, each.ingress.metadata.name, what] = None

    def parse(self, each: Taken) -> None:
        """What happens at every list, whatever the Ingress holds (annotations/mirror.go Parse)."""
        if not each.notes.serviced or not has(each.annotations, "mirror-target-service"):
            return
        target = mirror_target(each.annotations, each.ingress.namespace, self._backends, self._profile)
        if isinstance(target, Portless):
            self._tell(each, f"a mirror to {target.service}, a Service without ports")

    def convert(self, each: Taken) -> None:
        """What happens when a path of it is converted (ingressv1/controller.go createRuleKey, normalizeWeightedCluster)."""
        for key in each.notes.crashing:
            self._tell(each, f"the annotation key {key[:120]!r}")

    def empty(self, each: Taken) -> None:
        """A route without any destination (normalizeWeightedCluster, canary.go ApplyByWeight)."""
        self._tell(each, "an annotation higress.io/destination of blank lines")

    def weigh(self, each: Taken, destinations: Sequence[Destination]) -> None:
        """What happens when several destinations are weighed, or a weight canary is added (tool.go ConvertBackendService)."""
        if not destinations:
            self.empty(each)
        dotless = next((d.host for d in destinations if "." not in d.host), None)
        if dotless is not None and self._profile.has(DOTLESS_PANIC):
            self._tell(each, f"weights over {dotless!r}, a destination without a dot")

    def default_backend(self, each: Taken, free: Sequence[str]) -> None:
        """What happens when its defaultBackend is applied to the hosts that still lack one (createDefaultRoute, NewAndAdd).

        Args:
            each: an Ingress with a defaultBackend.
            free: ``*`` and its own hosts, as far as nothing has their path ``/`` yet.
        """
        backend = each.ingress.spec.defaultBackend
        if backend is None or not free or (backend.service is not None and not is_bridge(backend.resource)):
            return
        if not is_bridge(backend.resource) or each.destinations is None:
            self._tell(
                each,
                "a defaultBackend that is neither a Service nor the McpBridge 'default' with higress.io/destination",
            )
        elif set(free) - {"*"} and (not each.destinations or each.destinations[0].port is None):
            self._tell(each, "a defaultBackend whose first higress.io/destination has no port")
