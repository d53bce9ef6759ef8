"""Worlds of any size, in the shape of the recording ``scale-10k``: twenty paths a host, five an Ingress, all of it in sync.

``python tools/synthetic.py 100000 FOLDER`` writes one as a snapshot.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import worlds  # noqa: E402
from xdsaudit import Snapshot, save  # noqa: E402
from xdsaudit.model.kube_list import KubeList  # noqa: E402
from xdsaudit.testing import ingress  # noqa: E402
from xdsaudit.xds.pool import TYPES, message  # noqa: E402

PATHS_OF_A_HOST = 20
PATHS_OF_AN_INGRESS = 5


def items(rules: int) -> list[dict[str, Any]]:
    """Ingresses with so many rules."""
    found = []
    for number in range(rules // PATHS_OF_AN_INGRESS):
        host = f"h{number * PATHS_OF_AN_INGRESS // PATHS_OF_A_HOST:05}.scale.test"
        paths = [(f"/app-{number}/{n}", "Exact" if n % 5 else "Prefix") for n in range(PATHS_OF_AN_INGRESS)]
        found.append(ingress(f"app-{number:06}", host, *paths, namespace=f"team-{number % 50}"))
    return sorted(
        found, key=lambda item: (item["metadata"]["namespace"], item["metadata"]["name"])
    )  # as the API lists them


def synthetic(rules: int) -> Snapshot:
    """A snapshot of so many rules: Ingresses, one pilot, one gateway."""
    listed = items(rules)
    snapshot = worlds.world(listed)
    ingresses = KubeList.of("Ingress", (json.dumps(item).encode() for item in listed))
    return replace(snapshot, kube={**snapshot.kube, "ingresses": ingresses})


def changed(snapshot: Snapshot, listed: Iterable[dict[str, Any]], number: int) -> Snapshot:
    """The same after one Ingress has got a timeout, as the API, pilot and the gateway then hold it."""
    later = [*listed]
    item = later[number]
    notes = {"annotations": {"higress.io/timeout": "7"}}
    later[number] = {**item, "metadata": {**item["metadata"], **notes}}
    host = item["spec"]["rules"][0]["host"]
    part = worlds.world([i for i in later if i["spec"]["rules"][0]["host"] == host])
    pilot = {
        pod: replace(capture, served=_with(capture.served, part.pilot[pod].served))
        for pod, capture in snapshot.pilot.items()
    }
    gateway = {pod: {**pages, **_dump(pages, part.gateway[pod])} for pod, pages in snapshot.gateway.items()}
    before = snapshot.kube["ingresses"]
    assert isinstance(before, KubeList)
    every = [*before.items]  # as watches hold them: what did not change is the same object
    every[number] = json.dumps(later[number]).encode()
    kube = {**snapshot.kube, "ingresses": KubeList.of("Ingress", every)}
    return replace(snapshot, kube=kube, pilot=pilot, gateway=gateway)


def _with(served: Iterable[bytes], part: Iterable[bytes]) -> tuple[bytes, ...]:
    """Answers of pilot with the route configurations of a part."""
    response = message("envoy.service.discovery.v3.DiscoveryResponse")
    config = message("envoy.config.route.v3.RouteConfiguration")
    found = []
    mine = {
        config.FromString(r.value).name: r.value
        for data in part
        if (read := response.FromString(data)).type_url == TYPES["RDS"]
        for r in read.resources
    }
    for data in served:
        read = response.FromString(data)
        for resource in read.resources if read.type_url == TYPES["RDS"] else ():
            name = config.FromString(resource.value).name
            resource.value = mine.get(name, resource.value)
        found.append(read.SerializeToString())
    return tuple(found)


def _dump(pages: Mapping[str, bytes], part: Mapping[str, bytes]) -> dict[str, bytes]:
    """A config dump with the route configurations of a part."""
    whole, small = (json.loads(p["config_dump.json"]) for p in (pages, part))
    mine = {e["route_config"]["name"]: e for s in small["configs"] for e in s.get("dynamic_route_configs", ())}
    for section in whole["configs"]:
        if "dynamic_route_configs" in section:
            listed = section["dynamic_route_configs"]
            section["dynamic_route_configs"] = [mine.get(e["route_config"]["name"], e) for e in listed]
    return {"config_dump.json": json.dumps(whole).encode()}


if __name__ == "__main__":
    save(synthetic(int(sys.argv[1])), Path(sys.argv[2]))
