"""Compile ``proto/`` into what the package carries: one descriptor set and the table of known JSON fields.

Run it as ``python tools/build_proto.py`` after a change of ``proto/``; ``--check`` writes nothing and exits 1 when the
packaged files are not what the sources compile to. Needs grpcio-tools (group ``dev``).
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
DESCRIPTORS = ROOT / "xdsaudit" / "xds" / "descriptors.binpb"
FIELDS = ROOT / "xdsaudit" / "model" / "fields.json"
WRAPPERS = ("Bool", "Int32", "Int64", "UInt32", "UInt64", "Float", "Double", "String", "Bytes")
WELL_KNOWN = ("Duration", "Timestamp", "Struct", "Value", "ListValue", "Empty", "FieldMask")
SCALAR_MESSAGES = {f"google.protobuf.{n}" for n in (*WELL_KNOWN, *(f"{w}Value" for w in WRAPPERS))}


def compile_descriptors() -> bytes:
    """Bytes of the descriptor set of every file under proto/, imports included, in name order."""
    files = sorted(p.relative_to(ROOT / "proto").as_posix() for p in (ROOT / "proto").rglob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set.binpb"
        include = Path(grpc_tools.__file__).parent / "_proto"
        code = protoc.main(
            [
                "protoc",
                f"-I{ROOT / 'proto'}",
                f"-I{include}",
                "--include_imports",
                f"--descriptor_set_out={out}",
                *files,
            ]
        )
        if code:
            raise SystemExit(f"protoc failed with code {code}")
        return out.read_bytes()


def field_table(descriptors: bytes) -> dict[str, dict[str, str]]:
    """Message name to field name to the message it holds: "" for a value, "@any", "@map:" and a name for maps."""
    table: dict[str, dict[str, str]] = {}

    def kind(field: descriptor_pb2.FieldDescriptorProto) -> str:
        if field.type != field.TYPE_MESSAGE:
            return ""
        name = field.type_name.lstrip(".")
        if name == "google.protobuf.Any":
            return "@any"
        return "" if name in SCALAR_MESSAGES else name

    def walk(message: descriptor_pb2.DescriptorProto, prefix: str) -> None:
        full = f"{prefix}.{message.name}"
        entries = {f"{full}.{n.name}": n for n in message.nested_type if n.options.map_entry}
        row = {}
        for field in message.field:
            entry = entries.get(field.type_name.lstrip("."))
            row[field.name] = f"@map:{kind(entry.field[1])}" if entry else kind(field)
        table[full] = row
        for nested in message.nested_type:
            if not nested.options.map_entry:
                walk(nested, full)

    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors).file:
        if file.package.startswith("envoy."):
            for message in file.message_type:
                walk(message, file.package)
    return dict(sorted(table.items()))


def main(arguments: list[str]) -> int:
    """Write or check the two files; returns the exit code."""
    descriptors = compile_descriptors()
    fields = (json.dumps(field_table(descriptors), indent=0, sort_keys=True) + "\n").encode()
    stale = [
        p for p, data in ((DESCRIPTORS, descriptors), (FIELDS, fields)) if not p.exists() or p.read_bytes() != data
    ]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what proto/ compiles to: run python tools/build_proto.py")
        return 1 if stale else 0
    DESCRIPTORS.write_bytes(descriptors)
    FIELDS.write_bytes(fields)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
