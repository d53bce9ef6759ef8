"""Frozen values every layer speaks in: routes, views, snapshots, verdicts.

Must not do I/O nor know protobuf, YAML or Kubernetes.
"""
