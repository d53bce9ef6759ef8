"""For users' tests and our own: a replaying control plane, a fake Envoy admin, a real Envoy on loopback, builders.

The rest of the package must not import it, except for the demo command.
"""

from xdsaudit.testing.admin import FakeAdmin
from xdsaudit.testing.builders import ingress, ingress_list, service
from xdsaudit.testing.control_plane import ControlPlane
from xdsaudit.testing.envoy import Backend, RealEnvoy
from xdsaudit.testing.kube import FakeKube, higress_pods
from xdsaudit.testing.rewrite import LoopbackRewrite

__all__ = [
    "Backend",
    "ControlPlane",
    "FakeAdmin",
    "FakeKube",
    "LoopbackRewrite",
    "RealEnvoy",
    "higress_pods",
    "ingress",
    "ingress_list",
    "service",
]
