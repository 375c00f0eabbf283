"""Bytes <-> Request and Response: listener, TLS identity, HTTP/1.1 and HTTP/2, limits, drain.

`listener.serve` is the way in. hypercorn gives the configuration and the sockets; the loops over a connection are ours
(docs/adr/0002). Nothing here knows what a request means: this room imports `apimachinery` only.
"""
