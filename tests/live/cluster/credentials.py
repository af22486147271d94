"""TLS of a session service, by a folder that ``make_certificates`` has filled."""

from pathlib import Path
from typing import Any

import grpc


def of_server(folder: Path) -> Any:
    """Return what a node shows; it asks callers for a certificate of the same authority."""
    pair = (folder / "server.key").read_bytes(), (folder / "server.pem").read_bytes()
    ca = (folder / "ca.pem").read_bytes()
    return grpc.ssl_server_credentials([pair], root_certificates=ca, require_client_auth=True)


def channel(address: str, folder: Path | None) -> Any:
    """Return a channel to a gateway, without TLS if there is no folder."""
    if folder is None:
        return grpc.insecure_channel(address)
    parts = ((folder / name).read_bytes() for name in ("ca.pem", "client.key", "client.pem"))
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(*parts))
