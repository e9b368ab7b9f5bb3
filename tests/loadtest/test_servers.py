"""Ports for servers that begin to listen late: nobody can have taken them by then."""

import socket
from pathlib import Path

import pytest

from loadtest.servers import PORTS, free_port

KERNELS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_a_port_is_none_that_the_kernel_gives_and_none_that_was_given():
    first, last = map(int, KERNELS.read_text().split())
    if (first, last) != (32_768, 60_999):
        pytest.skip(f"this kernel gives {first} to {last}, which is not what Linux does by itself")
    assert not set(PORTS) & set(range(first, last + 1))
    given = [free_port() for _ in range(200)]
    assert len(set(given)) == 200
    assert all(port in PORTS for port in given)


def test_a_port_where_somebody_listens_is_passed_over():
    """As many listeners as are needed for the next to be one of their places."""
    before = free_port()
    with socket.create_server(("127.0.0.1", before + 1)):
        assert free_port() == before + 2
