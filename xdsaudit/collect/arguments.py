"""What is asked of sources and passed on as it is: names and types shared by ``xdsaudit.connect`` and the command line.

``SourceOptions`` (``collect/connect.py``) says what each means. Must not import what reads: ``--help`` loads this.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict


class PlainArguments(TypedDict, total=False):
    """The fields of ``SourceOptions`` that hold one value each."""

    kubeconfig: str | None
    context: str | None
    node_from: str | None
    node_id: str | None
    istio_version: str | None
    ads_tls: bool
    ca: Path | None
    cert: Path | None
    key: Path | None
    token_file: Path | None
    mint_token: str | None
    tls_server_name: str | None
    controller_name: str | None
    controller_selector: str
    gateway_selector: str
    gateway_namespace: str | None
    no_gateway: bool
    no_secrets: bool
    pilot_port: int | None
    pilot_debug_port: int
    core_port: int
    admin_port: int
    timeout: float
    max_bytes: int
