"""A fleet made of a snapshot with one gateway and one pilot, and what its audit costs.

Its replicas serve the same, and their answers differ where those of real replicas do: in nonces, in versions, in when each update
came and in which order. ``python tools/fleet.py SNAPSHOT GATEWAYS PILOTS`` prints the seconds of CPU of an audit, the peak of memory
and the bytes of all answers, which a snapshot holds and below which no peak can be, both in MB.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
from msgspec import Raw

from xdsaudit import Snapshot, audit, load
from xdsaudit.model.snapshot import PilotCapture
from xdsaudit.xds.pool import message

Section = dict[str, Raw]
_LISTS = ("dynamic_route_configs", "dynamic_active_clusters")


def fleet(one: Snapshot, gateways: int, pilots: int) -> Snapshot:
    """So many replicas of the only gateway and of the only pilot of a snapshot."""
    (pages,), (capture,) = one.gateway.values(), one.pilot.values()
    return replace(
        one,
        gateway={f"gateway-{n}": {**pages, "config_dump.json": _dump(pages, n)} for n in range(gateways)},
        pilot={f"pilot-{n}": _capture(capture, n) for n in range(pilots)},
    )


def _dump(pages: Mapping[str, bytes], number: int) -> bytes:
    """The dump of another replica: it got each entry at another time, as another version and in another order."""
    dump = msgspec.json.decode(pages["config_dump.json"], type=dict[str, list[Section]])
    when = {
        "version_info": Raw(f'"2026-11-23T22:24:46Z/{number}"'.encode()),
        "last_updated": Raw(f'"2026-11-23T22:24:{number % 60:02}.000Z"'.encode()),
    }
    for section in dump["configs"]:
        for name in _LISTS:
            if name in section:
                entries = [{**e, **when} for e in msgspec.json.decode(section[name], type=list[Section])]
                turned = entries[number % len(entries) :] + entries[: number % len(entries)]
                section[name] = Raw(msgspec.json.encode(turned))
    return msgspec.json.encode(dump)


def _capture(capture: PilotCapture, number: int) -> PilotCapture:
    """The answers of another pilot."""
    response = message("envoy.service.discovery.v3.DiscoveryResponse")
    served = []
    for data in capture.served:
        answer = response.FromString(data)
        answer.nonce, answer.version_info = f"nonce-{number}", f"2026-11-23T22:24:46Z/{number}"
        served.append(answer.SerializeToString())
    return replace(capture, served=tuple(served))


def _sizes(snapshot: Snapshot) -> Iterator[int]:
    for pages in (snapshot.kube, *snapshot.gateway.values()):
        yield from map(len, pages.values())
    for capture in snapshot.pilot.values():
        yield from map(len, capture.served)


def _peak() -> float:
    """Peak MB of this program. getrusage would count what the process that started it held."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def main() -> None:
    """Measure and print."""
    many = fleet(load(sys.argv[1]), *map(int, sys.argv[2:]))
    start = time.process_time()
    audit(many)
    used = time.process_time() - start
    print(used, _peak(), sum(_sizes(many)) / (1 << 20))


if __name__ == "__main__":
    main()
