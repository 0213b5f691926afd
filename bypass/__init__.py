"""A static web server that takes packets straight from the NIC queue (AF_XDP)."""

__version__ = "0.1.0"
