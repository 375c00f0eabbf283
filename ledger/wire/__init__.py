"""Bytes <-> Request and Response: listener, TLS identity, HTTP/1.1, HTTP/2, limits. Hides hypercorn."""
