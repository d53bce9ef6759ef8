"""Render the Helm chart with the real ``helm`` into ``tests/packaging/rendered``, which the tests read where there is no helm.

Each file begins with a digest of the chart, so that a chart that was changed and not rendered again is found out.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy" / "chart"
RENDERED = ROOT / "tests" / "packaging" / "rendered"
_CLUSTER: Final = ("--kube-version", "1.30.0")
VALUES: Final = {
    "default": {},
    "everything": {
        "image.repository": "registry.test/xdsaudit",
        "image.digest": "sha256:" + "0" * 64,
        "higress.namespace": "gateways",
        "rbac.secrets": "true",
        "audit.enabled": "true",
        "fleet.enabled": "true",
        "fleet.clusters": "10",
        "podMonitor.enabled": "true",
        "alerts.enabled": "true",
        "dashboard.enabled": "true",
        "watch.record.existingClaim": "black-box",
        "watch.extraArgs[0]": "--grace",
        "watch.extraArgs[1]": "20",
    },
    "without-secrets": {
        "rbac.secrets": "false",
        "watch.record.enabled": "false",
        "alerts.enabled": "true",
        "audit.enabled": "true",
        "audit.probeCache": "false",
    },
}
"""Sets of values by name; all others are the chart's own."""


def digest() -> str:
    """Of every file of the chart, its name and its text."""
    found = hashlib.sha256()
    for path in sorted(p for p in CHART.rglob("*") if p.is_file()):
        found.update(f"{path.relative_to(CHART).as_posix()}\0".encode())
        found.update(path.read_bytes() + b"\0")
    return found.hexdigest()


def rendered(name: str) -> str:
    """What helm makes of the chart with these values, behind a line with the digest."""
    strings = {k: v for k, v in VALUES[name].items() if "[" in k}
    plain = {k: v for k, v in VALUES[name].items() if k not in strings}
    arguments = [x for k, v in plain.items() for x in ("--set", f"{k}={v}")]
    arguments += [x for k, v in strings.items() for x in ("--set-string", f"{k}={v}")]
    command = ["helm", "template", "xdsaudit", str(CHART), "--namespace", "higress-system", *_CLUSTER, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return f"# chart {digest()}\n{done.stdout}"


def main() -> int:
    """Lint, then write every set."""
    subprocess.run(["helm", "lint", "--strict", str(CHART), *_CLUSTER], check=True, timeout=60)
    RENDERED.mkdir(exist_ok=True)
    for name in VALUES:
        (RENDERED / f"{name}.yaml").write_text(rendered(name), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
