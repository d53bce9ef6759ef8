"""Every source against every kind of bad endpoint, by every command that reads one: exit 3, one message, in time, within memory.

A representative part runs by default; ``make hostile`` (``-m hostile``) runs the whole table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import worlds
from tests.hostile import servers
from xdsaudit.testing import ControlPlane, FakeAdmin, ingress, ingress_list

pytestmark = pytest.mark.slow

ITEMS = [ingress("a", "foo.test", "/a"), ingress("b", "foo.test", "/b")]
TIMEOUT = 1.0
LIMIT = 20.0
COMMANDS = {
    "diff": ("diff",),
    "status": ("status",),
    "wait": ("wait", "--deadline", "30"),
    "watch": ("watch", "--max-rounds", "1"),
}
MAX_BYTES = 16 << 20
MAIN = """
import atexit, os, re
def peak():
    with open("/proc/self/status") as status, open(os.environ["PEAK"], "w") as file:
        file.write(re.search(r"VmHWM:\\s+(\\d+)", status.read())[1])
atexit.register(peak)
from xdsaudit.cli.main import main
main()
"""
RAW_ADS = ("silent", "trickles a status line", "resets", "garbage", "redirect loop")
TABLE = [
    *(("gateway", kind) for kind in ("refuses", "TLS failure", *servers.HTTP)),
    *(("kube", kind) for kind in ("refuses", "TLS failure", "same page for ever", *servers.HTTP)),
    *((source, kind) for source in ("ads", "core") for kind in ("refuses", *RAW_ADS, *servers.GRPC)),
    ("ads", "TLS failure"),
]
DEFAULT = {
    ("gateway", "trickles a head", "diff"),
    ("gateway", "trickles a body without length", "status"),
    ("gateway", "silent", "wait"),
    ("gateway", "bomb", "watch"),
    ("gateway", "garbage", "diff"),
    ("gateway", "bad UTF-8", "diff"),
    ("kube", "trickles a chunk", "diff"),
    ("kube", "endless", "wait"),
    ("kube", "bomb", "status"),
    ("kube", "same page for ever", "watch"),
    ("ads", "silent", "wait"),
    ("ads", "resets each stream", "wait"),
    ("ads", "pushes without pause", "diff"),
    ("ads", "bomb of a message", "watch"),
    ("ads", "resets each stream", "diff"),
    ("ads", "TLS failure", "status"),
    ("core", "garbage messages", "diff"),
    ("core", "never answers", "status"),
}
CASES = [
    pytest.param(source, kind, command, marks=() if (source, kind, command) in DEFAULT else pytest.mark.hostile)
    for source, kind in TABLE
    for command in COMMANDS
    if source != "core" or command in ("diff", "status")  # rounds do not read core
]


class Done(NamedTuple):
    code: int
    seconds: float
    peak: int
    out: str
    err: str


def ran(folder: Path, *arguments: str) -> Done:
    """Run the command line; its peak memory in bytes (what the kernel tells its parent begins with the parent's own)."""
    told = folder / "peak"
    began = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *arguments],
            check=False,
            capture_output=True,
            timeout=LIMIT,
            env={**os.environ, "NO_COLOR": "1", "PEAK": str(told)},
        )
    except subprocess.TimeoutExpired as error:
        pytest.fail(f"did not end within {LIMIT:g} s: {error.stderr!r}")
    seconds = time.monotonic() - began
    return Done(done.returncode, seconds, int(told.read_text()) << 10, done.stdout.decode(), done.stderr.decode())


@contextmanager
def bad(source: str, kind: str) -> Iterator[str]:
    """An endpoint of that kind, ``host:port``."""
    with ExitStack() as stack:
        if kind == "refuses":
            yield stack.enter_context(servers.refusing())
        elif kind in servers.GRPC:
            yield stack.enter_context(servers.ads(servers.GRPC[kind]()))
        elif kind == "same page for ever":
            body = json.dumps({"kind": "List", "items": [], "metadata": {"continue": "x"}}).encode()
            said = servers.HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
            yield stack.enter_context(servers.Tcp(lambda client, _: client.sendall(said))).endpoint
        else:
            behaviour = servers.HTTP["garbage" if kind == "TLS failure" else kind]
            yield stack.enter_context(servers.Tcp(behaviour)).endpoint


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[str]]]:
    """Options of sources that answer as they should."""
    snapshot = worlds.world(ITEMS, fresh=worlds.expectation(ITEMS).tables)
    manifest = tmp_path_factory.mktemp("hostile") / "i.json"
    manifest.write_bytes(ingress_list(ITEMS))
    with ControlPlane.of(snapshot) as plane, FakeAdmin(next(iter(snapshot.gateway.values()))) as admin:
        yield {"-f": ["-f", str(manifest)], "ads": ["--ads", plane.endpoint], "gateway": ["--gateway", admin.url]}


@pytest.fixture(scope="module")
def usual(good: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The same command when all is well: what it takes on this machine now."""
    done = ran(tmp_path_factory.mktemp("usual"), "diff", *(word for words in good.values() for word in words))
    assert done.code == 0, done
    return done


def options(source: str, kind: str, place: str, good: dict[str, list[str]], folder: Path) -> list[str]:
    tls = kind == "TLS failure"
    if source == "kube":
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http{'s' if tls else ''}://{place}"}}],
            "users": [{"name": "u", "user": {"token": "CANARY"}}],
        }
        (folder / "kubeconfig").write_text(json.dumps(config))
        return ["--kubeconfig", str(folder / "kubeconfig")]
    url = f"https://{place}" if tls else place
    changed = {
        "gateway": {"gateway": ["--gateway", url]},
        "ads": {"ads": ["--ads", place, *(["--ads-tls"] if tls else [])]},
        "core": {"core": ["--core", place]},
    }[source]
    return [word for words in (good | changed).values() for word in words]


STANDING = (" rules in effect", "; a line for each change from here on")
"""What ``wait`` and ``watch`` say of how things stand, beside what went wrong."""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc (Linux)")
@pytest.mark.parametrize(("source", "kind", "command"), CASES)
def test_a_bad_endpoint(source: str, kind: str, command: str, good, usual: Done, tmp_path: Path) -> None:
    with bad(source, kind) as place:
        arguments = options(source, kind, place, good, tmp_path)
        limits = ["--timeout", f"{TIMEOUT:g}", "--max-bytes", str(MAX_BYTES)]
        for _ in range(3):  # a machine that is busy for a moment is late once; what does not end is late each time
            done = ran(tmp_path, *COMMANDS[command], *arguments, *limits)
            lines = [x for x in done.err.splitlines() if not any(said in x for said in STANDING)]
            in_time = done.seconds < usual.seconds * 2 + TIMEOUT + 1
            if in_time and len(lines) == 1:
                break
    assert done.code == 3, done
    assert in_time, done
    assert len(lines) == 1, done.err
    assert place.rpartition(":")[2] in lines[0]
    assert lines[0].startswith("xdsaudit: ")
    assert "\x1b" not in done.err + done.out
    assert "CANARY" not in done.err + done.out
    assert done.peak < usual.peak + 10 * MAX_BYTES
