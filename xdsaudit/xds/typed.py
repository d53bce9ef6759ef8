"""The envoy-data-plane object of one route, for scripts. Decoding is slow: never used by an audit."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from xdsaudit.errors import NotCaptured
from xdsaudit.model.route import Route
from xdsaudit.xds.routes import Located

if TYPE_CHECKING:
    from envoy_data_plane.envoy.config.route.v3 import Route as TypedRoute


def typed(route: Route) -> TypedRoute:
    """The ``envoy_data_plane`` Route of a route that was read from pilot, with every field it was served with.

    Raises:
        NotCaptured: the route was read from a view that keeps no bytes (the gateway's or core's).
    """
    if not isinstance(route.source, Located):
        raise NotCaptured(
            f"route {route.name!r} ({route.key}) was not read from pilot, and only those keep their bytes; take it from a pilot view"
        )
    data = route.source.message().SerializeToString()
    with warnings.catch_warnings():
        # What is deprecated in Envoy's API is what pilot sends: nothing the caller could change.
        warnings.simplefilter("ignore", DeprecationWarning)
        from envoy_data_plane.envoy.config.route.v3 import Route as TypedRoute

        return TypedRoute.parse(data)
