"""xDS as bytes: a private descriptor pool, the ADS session without a socket, and messages turned into views.

Must not open sockets, and must keep google.protobuf out of import time: import its modules when they are needed.
"""
