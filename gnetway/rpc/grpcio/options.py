"""What RpcOptions are in grpcio's words."""

from typing import Any, Final

import grpc

from gnetway.rpc.calls import RpcOptions, TlsOptions

_Arguments = list[tuple[str, int | str]]

#: Clients may ping an idle connection this often; gRPC's own bound, 5 minutes, is too long to
#: find a dead link by.
_MIN_PING_INTERVAL_MS: Final = 5_000
#: Streams of one connection, beyond what is served at a time and in any case, and bytes of the
#: fields of one request: as the gateway's own servers have them.
_SPARE_STREAMS: Final = 1_024
_MAX_OPEN_STREAMS: Final = 2_048
_MAX_FIELDS_BYTES: Final = 16_384
#: Pauses between attempts to connect, and the time one attempt is given.
_FIRST_RECONNECT_MS: Final = 100
_MAX_RECONNECT_MS: Final = 2_000
_CONNECT_TIMEOUT_MS: Final = 5_000
#: Not gRPC's half an hour: a connection that is over means a peer that may have been restarted.
_IDLE_NEVER_MS: Final = 2**31 - 1


def _common_arguments(options: RpcOptions) -> _Arguments:
    arguments: _Arguments = [
        ("grpc.max_send_message_length", options.max_message_bytes),
        ("grpc.max_receive_message_length", options.max_message_bytes),
    ]
    if options.keepalive_seconds > 0:
        arguments += [
            ("grpc.keepalive_time_ms", int(options.keepalive_seconds * 1000)),
            ("grpc.keepalive_timeout_ms", int(options.keepalive_timeout_seconds * 1000)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ]
    return arguments


def channel_arguments(options: RpcOptions) -> _Arguments:
    """Return the arguments of a client's channel."""
    arguments = _common_arguments(options)
    arguments += [
        # Peers are nodes of the same cluster: the environment's web proxy is not meant for them.
        ("grpc.enable_http_proxy", 0),
        ("grpc.service_config_disable_resolution", 1),
        # Closing one client must not leave its connection to another of the same peer.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.client_idle_timeout_ms", _IDLE_NEVER_MS),
        ("grpc.initial_reconnect_backoff_ms", _FIRST_RECONNECT_MS),
        ("grpc.min_reconnect_backoff_ms", _CONNECT_TIMEOUT_MS),
        ("grpc.max_reconnect_backoff_ms", _MAX_RECONNECT_MS),
    ]
    if options.tls is not None and options.tls.server_name:
        arguments.append(("grpc.ssl_target_name_override", options.tls.server_name))
    return arguments


def server_arguments(options: RpcOptions) -> _Arguments:
    """Return the arguments of a server.

    grpcio bounds what a message and a connection's streams may be, but neither the connections nor
    what all of them hold: its quota of resources cannot be set from Python.
    """
    return [
        *_common_arguments(options),
        # Otherwise a second process on the same port would quietly take half of the calls.
        ("grpc.so_reuseport", 0),
        (
            "grpc.max_concurrent_streams",
            min(options.max_calls + options.max_streams + _SPARE_STREAMS, _MAX_OPEN_STREAMS),
        ),
        ("grpc.max_metadata_size", _MAX_FIELDS_BYTES),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_INTERVAL_MS),
    ]


def channel_credentials(tls: TlsOptions) -> Any:
    """Return a client's credentials."""
    return grpc.ssl_channel_credentials(tls.ca, tls.key, tls.cert)


def server_credentials(tls: TlsOptions) -> Any:
    """Return a server's credentials.

    :raises ValueError: the certificate or its key is missing.
    """
    if tls.cert is None or tls.key is None:
        raise ValueError("a server with TLS needs a certificate and its key")
    return grpc.ssl_server_credentials(
        [(tls.key, tls.cert)], root_certificates=tls.ca, require_client_auth=tls.ca is not None
    )
