"""Kubernetes objects and a controller profile to the routes that must become of them, and the rules that are refused.

Must not ask the network, nor copy anything from a view into the expectation: what is expected follows from what
somebody wrote. Facts cite the sources of Higress by tag and path.
"""
