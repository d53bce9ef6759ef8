"""Requests: what one is, which route Envoy gives it, an example for a route, access logs. Judges no rule."""
