"""Commands on WasmPlugins."""

from __future__ import annotations

import json
from pathlib import Path

from xdsaudit.cli.main import run

RECORDINGS = Path(__file__).parents[1] / "recordings"
LOADED, REJECTED = (str(RECORDINGS / f"plugins-{n}.tar.xz") for n in ("loaded", "rejected"))


def test_explain_a_plugin(capsys) -> None:
    assert run(["explain", "higress-system/loaded", "--snapshot", LOADED]) == 0
    out = capsys.readouterr().out
    assert "WasmPlugin higress-system/loaded: in sync" in out
    assert "pilot higress-controller-0 has it" in out
    assert run(["explain", "higress-system/key-auth", "--snapshot", REJECTED, "-o", "json"]) == 1
    text = capsys.readouterr().out
    assert json.loads(text[text.index("{") :])["plugin"]["slug"] == "plugin-config-rejected"
    assert run(["explain", "higress-system/none", "--snapshot", LOADED]) == 2


def test_explain_the_plugins_of_a_request(capsys) -> None:
    assert run(["explain", "http://cart.plug.test/", "--snapshot", LOADED]) == 0
    assert "1. higress-system/loaded acts by matchRules[0] (route shop/cart), with mode" in capsys.readouterr().out


def test_check_a_plugin_with_its_file(capsys, tmp_path: Path) -> None:
    place = tmp_path / "plugin.yaml"
    meta = {"name": "loaded", "namespace": "shop"}
    kind = {"apiVersion": "extensions.higress.io/v1alpha1", "kind": "WasmPlugin"}
    place.write_text(json.dumps({**kind, "metadata": meta, "spec": {"url": "oci://registry.example.test/x:1"}}))
    assert run(["check", "-f", str(place), "--snapshot", LOADED]) == 0
    out = capsys.readouterr().out
    assert "XA238 plugin-elsewhere" in out
    assert f"{place.name}:1" in "".join(out.split())
