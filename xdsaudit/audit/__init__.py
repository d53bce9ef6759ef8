"""One snapshot in, one audit out: align, compare, judge reachability, attribute, and say it with evidence.

Must not read clocks, files or the network.
"""

from xdsaudit.audit.run import audit

__all__ = ["audit"]
