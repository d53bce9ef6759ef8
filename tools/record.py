"""Takes a recording for ``tests/recordings`` from a live gateway, and says whether it holds what a recording must.

    .venv/bin/python tools/record.py tests/recordings/NAME --story "What happened." [options of xdsaudit capture]

A recording is a snapshot with every view (Ingresses, core, pilot as gateways are served and through a private cache line, at
least one gateway) and a story. Endpoint addresses are moved from 10.0.0.0/8 to 127.0.0.0/8 in every view alike, so that no
test can dial a real one. ``--check`` only judges an existing recording.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from xdsaudit import Snapshot, audit, load, save

_ADDRESS = re.compile(rb'"10\.(\d{1,3}\.\d{1,3}\.\d{1,3})"')


def lacks(snapshot: Snapshot) -> list[str]:
    """What keeps a snapshot from being a recording, in words."""
    wanted = {
        "the Ingresses (kube/ingresses.json)": "ingresses" in snapshot.kube,
        "Services and EndpointSlices": {"services", "endpointslices"} <= set(snapshot.kube),
        "higress-core (core/)": bool(snapshot.core),
        "pilot as gateways are served (pilot/*/served)": any(c.served for c in snapshot.pilot.values()),
        "pilot's private cache line (pilot/*/fresh; --probe-cache)": any(c.fresh for c in snapshot.pilot.values()),
        "a gateway with config_dump.json and server_info.json": any(
            {"config_dump.json", "server_info.json"} <= set(pages) for pages in snapshot.gateway.values()
        ),
        "the controller's version (--controller-version)": bool(snapshot.controller.get("version")),
        "a story (--story)": bool(snapshot.story),
    }
    return [what for what, there in wanted.items() if not there]


def to_loopback(snapshot: Snapshot) -> Snapshot:
    """The snapshot with endpoint addresses of 10.0.0.0/8 moved to 127.0.0.0/8."""

    def text(data: bytes) -> bytes:
        return _ADDRESS.sub(rb'"127.\1"', data)

    return replace(
        snapshot,
        kube={name: text(data) for name, data in snapshot.kube.items()},
        pilot={
            pod: replace(
                capture,
                served=tuple(map(_response, capture.served)),
                fresh=None if capture.fresh is None else tuple(map(_response, capture.fresh)),
            )
            for pod, capture in snapshot.pilot.items()
        },
        gateway={pod: {name: text(data) for name, data in pages.items()} for pod, pages in snapshot.gateway.items()},
    )


def _response(data: bytes) -> bytes:
    """One DiscoveryResponse; only EDS holds endpoints that pilot discovered."""
    from xdsaudit.xds.pool import TYPES, message, resource_class

    response = message("envoy.service.discovery.v3.DiscoveryResponse").FromString(data)
    if response.type_url != TYPES["EDS"]:
        return data
    moved = False
    for resource in response.resources:
        assignment = resource_class("EDS").FromString(resource.value)
        real = [a for a in _addresses(assignment) if a.address.startswith("10.")]
        for address in real:
            address.address = "127." + address.address[3:]
        if real:
            resource.value = assignment.SerializeToString()
            moved = True
    encoded: bytes = response.SerializeToString() if moved else data
    return encoded


def _addresses(assignment: Any) -> list[Any]:
    return [e.endpoint.address.socket_address for group in assignment.endpoints for e in group.lb_endpoints]


def main() -> int:
    """Capture, move addresses, check, write."""
    parser = argparse.ArgumentParser(description="Take a recording for tests/recordings from a live gateway.")
    parser.add_argument("out", type=Path, help="folder or archive to write (with --check: to read)")
    parser.add_argument("--story", default="", help="one sentence: what happened")
    parser.add_argument("--check", action="store_true", help="judge an existing recording, write nothing")
    options, rest = parser.parse_known_args()
    if options.check:
        recording = load(options.out)
    else:
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder) / "capture"
            command = [sys.executable, "-m", "xdsaudit.cli.main", "capture", "--probe-cache", "-O", str(raw), *rest]
            subprocess.run(command, check=True)
            recording = replace(to_loopback(load(raw)), story=options.story)
        save(recording, options.out)
    missing = lacks(recording)
    for what in missing:
        print(f"{options.out}: lacks {what}")
    counts = audit(recording).by_verdict
    print(f"{options.out}: {', '.join(f'{n} {verdict}' for verdict, n in counts.items() if n)}")
    print(
        "Write these numbers and the reason for each into tests/test_recordings.py, and the story into its README.md."
    )
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
