"""Addresses that follow from the flags."""

from __future__ import annotations

import ipaddress


def service_ip(cidr: str) -> str:
    """The address of the kubernetes Service: the first of the range."""
    return str(ipaddress.ip_network(cidr)[1])
