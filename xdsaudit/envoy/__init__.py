"""Envoy's admin answers as bytes turned into a view. Must not open sockets, and needs no protobuf."""
