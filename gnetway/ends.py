"""Why connections end: who has ended them, how far they had come, and what is to be done.

An end is told as haproxy tells it: who first, then in which phase, then the cause, such as
``gateway, exchange step 2, handshake_fingerprint``. docs/troubleshooting.md has a paragraph for
each cause; a hint here is its first sentence, for a list or a line of the log.
"""

from enum import IntEnum, StrEnum
from typing import Final, NamedTuple


class Who(StrEnum):
    """Who has ended a connection, which is not always whose fault it is."""

    #: The client closed it, gave up, or was lost on the way.
    CLIENT = "client"
    #: The gateway, for what the client has sent.
    GATEWAY = "gateway"
    #: The session backend, by its answer or by having none.
    BACKEND = "backend"
    #: A bound: of time, bytes or numbers.
    LIMIT = "limit"
    #: The gateway's end, or an operator.
    DRAIN = "drain"
    #: A fault on our side.
    ERROR = "error"


class Stage(IntEnum):
    """How far a connection has come; it never goes back."""

    ACCEPTED = 0
    PROXY_READ = 1
    TLS_DONE = 2
    TRANSPORT_KNOWN = 3
    #: resPQ was sent.
    EXCHANGE_1 = 4
    #: req_DH_params is here.
    EXCHANGE_2 = 5
    #: set_client_DH_params is here.
    EXCHANGE_3 = 6
    #: A key was made here, or one that was made before is known.
    KEY_KNOWN = 7
    MESSAGE_READ = 8
    ANSWERED = 9

    @property
    def text(self) -> str:
        """What lists call it."""
        return _STAGES[self]


_STAGES: Final = (
    "accepted",
    "PROXY header read",
    "TLS done",
    "transport known",
    "exchange step 1",
    "exchange step 2",
    "exchange step 3",
    "key known",
    "first message decrypted",
    "answered",
)


class Phase(StrEnum):
    """What a connection was at when its end was decided."""

    ACCEPT = "accept"
    PROXY = "PROXY"
    TLS = "TLS"
    TRANSPORT = "transport"
    EXCHANGE_1 = "exchange step 1"
    EXCHANGE_2 = "exchange step 2"
    EXCHANGE_3 = "exchange step 3"
    KEY_LOOKUP = "key look-up"
    BIND = "bind"
    IN_USE = "in use"
    ENDING = "ending"


class Cause(NamedTuple):
    """Who is said to have ended a connection for a cause, and what a newcomer is told of it.

    In ``hint`` {detail} is what the end itself has to say, {keys} the fingerprints of our RSA keys.
    """

    who: Who
    hint: str


_C, _G, _B, _L, _D, _E = Who

#: Every cause of the end of a connection.
CAUSES: Final[dict[str, Cause]] = {
    # The end of a sound connection.
    "client_closed": Cause(_C, "the client closed its connection"),
    "client_lost": Cause(
        _C,
        "the connection broke; if there are many at once, look at the network, or at a balancer"
        " whose idle time is below 60 s",
    ),
    "idle": Cause(_L, "nothing came for IdleSeconds; clients ping about every minute"),
    "gateway_stopped": Cause(_D, "the gateway was told to end"),
    "ended_by_operator": Cause(_D, "an operator has ended it"),
    "drained_by_operator": Cause(_D, "an operator has had it ended once nothing was under way"),
    "key_destroyed": Cause(
        _B, "the client's key was destroyed, or is known to the session service no more"
    ),
    "closed_by_handler": Cause(_B, "the application's handler has ended it"),
    # Before the client has said anything.
    "handshake_timeout": Cause(
        _L,
        "no whole message came in HandshakeSeconds: a health check, or a client that is set up for"
        " a proxy with a secret",
    ),
    "too_many_connections": Cause(
        _L,
        "the address has as many connections as ConnectionsPerAddress allows, or all are taken:"
        " docs/admission.md",
    ),
    "too_many_new_connections": Cause(
        _L, "the address connects faster than NewConnectionsPerSecond: docs/admission.md"
    ),
    "too_many_half_open": Cause(
        _L, "the address has as many connections without a key as HalfOpenPerAddress allows"
    ),
    "gave_way": Cause(
        _L,
        "all connections were taken, and this network had most of them: raise the limit of open"
        " files",
    ),
    "address_denied": Cause(_L, "the address is in Admission.Deny, or not in Allow"),
    "no_descriptor": Cause(_L, "the system had no descriptor left: raise the limit of open files"),
    "unknown_transport": Cause(
        _G,
        "the first bytes are no MTProto: HTTP or TLS at a port that does not take them (Proto,"
        " TLS), a PROXY header (ProxyProtocol), or a client with a proxy secret",
    ),
    "tls_handshake": Cause(
        _C,
        "TLS did not come about: the client does not trust the certificate, or speaks no TLS;"
        " compare `openssl s_client -connect host:port`",
    ),
    "websocket_handshake": Cause(
        _G, "no WebSocket, or a path that is not /apiws: see the browser's console"
    ),
    "websocket_origin": Cause(
        _G, "the page's Origin is not in AllowedOrigins; the log and /api/status name it"
    ),
    "websocket_frames": Cause(_G, "frames that break the rules of WebSocket, or are too large"),
    "websocket_text": Cause(_G, "a text message: the page does not use binary ones"),
    "websocket_small_frames": Cause(_L, "a flood of tiny frames: an attack, or a poor library"),
    "websocket_control_frames": Cause(_L, "more pings and pongs than 8 a second"),
    "bad_forwarded_for": Cause(
        _G, "a trusted balancer has sent an X-Forwarded-For without an address in it"
    ),
    "health_probe": Cause(_C, "a balancer's check, which brings nothing"),
    "no_proxy_header": Cause(
        _G, "the listener asks for a PROXY header: `send-proxy` is missing, or the balancer passed"
    ),
    "proxy_untrusted": Cause(
        _G, "a PROXY header from an address that is not in ProxyProtocol.TrustedNetworks"
    ),
    "proxy_timeout": Cause(_L, "no whole PROXY header in TimeoutSeconds: the balancer's settings"),
    "bad_proxy_header": Cause(_G, "a broken PROXY header: the balancer's settings"),
    "proxy_version": Cause(_G, "a PROXY header of a version that is not in ProxyProtocol.Versions"),
    "bad_framing": Cause(
        _G, "a packet that breaks its transport's rules: something between changes bytes?"
    ),
    "packet_too_large": Cause(
        _G,
        "{detail}: raise MaxPacketBytes (before a key is known FirstPacketBytes) if honest clients"
        " meet it",
    ),
    "packet_timeout": Cause(_L, "a packet was not whole in PacketSeconds: a very slow link"),
    "unfinished_total": Cause(
        _L, "more than MaxUnfinishedBytes were here of unfinished packets: raise MemoryBudget"
    ),
    # While the key is made.
    "gave_up_at_res_pq": Cause(
        _C,
        "the client took our resPQ and did not go on: none of our RSA keys is its own ({keys}):"
        " give it our .pub file (docs/point-clients.md); or it only tried the connection",
    ),
    "handshake_fingerprint": Cause(
        _G, "{detail}; ours: {keys}. Give the client our .pub file (docs/point-clients.md)"
    ),
    "bad_rsa_block": Cause(
        _G,
        "the client names our RSA key and encrypts for another one: its fingerprint was typed in"
        " by hand?",
    ),
    "handshake_unknown": Cause(
        _G,
        "a step of an exchange that is not here: the client was too slow, or a balancer spreads"
        " its connections over several gateways",
    ),
    "handshake_expired": Cause(_G, "the client took longer than ExchangeSeconds"),
    "handshake_bad_query": Cause(_G, "an unencrypted message that is no key exchange"),
    "handshake_wrong_step": Cause(_G, "{detail}: steps of the key exchange out of order"),
    "handshake_too_many": Cause(_L, "MaxExchanges key exchanges are open: a crowd, or a flood"),
    "handshake_too_much_work": Cause(
        _L, "4096 steps of key exchanges wait: too few processors (HandshakeThreads), or a flood"
    ),
    "handshake_too_fast": Cause(
        _L, "the network begins more exchanges than Admission.ExchangesPerSecond allows"
    ),
    "handshake_too_many_beginnings": Cause(
        _C,
        "the client begins again and again and takes no answer of ours: it has another server's"
        " RSA key (ours: {keys})",
    ),
    "handshake_work_failed": Cause(_E, "a fault on our side: the log of this machine says which"),
    "handshake_wrong_dc": Cause(
        _G, "the client asks for another data centre than Gnetway.StrictDC: {detail}"
    ),
    "handshake_nonce": Cause(_G, "the client mixes exchanges up, or attacks"),
    "handshake_inner_nonce": Cause(_G, "the client mixes exchanges up, or attacks"),
    "handshake_client_dh_nonce": Cause(_G, "the client mixes exchanges up, or attacks"),
    "handshake_factors": Cause(_G, "the client has factored pq wrongly"),
    "handshake_inner_factors": Cause(_G, "the client has factored pq wrongly"),
    "handshake_rsa_block_size": Cause(_G, "the client's RSA block has not 256 bytes"),
    "handshake_client_dh_size": Cause(_G, "the client's encrypted part has a wrong length"),
    "handshake_client_dh_data": Cause(_G, "the client's encrypted part cannot be read"),
    "handshake_client_dh_padding": Cause(_G, "the client's encrypted part has a wrong padding"),
    "handshake_client_dh_hash": Cause(_G, "the client's encrypted part has a wrong hash"),
    "handshake_expiry": Cause(_G, "the client asks for a temporary key without a life"),
    "handshake_retry_id": Cause(_G, "the client did not follow dh_gen_retry"),
    "dh_out_of_range": Cause(_G, "the client's g_b would make the key guessable"),
    # With a key.
    "key_unknown": Cause(
        _B,
        "the session backend does not know the client's key, or it has expired: expected once"
        " after the key store was lost; the client makes another",
    ),
    "unknown_keys": Cause(
        _L, "the network asks for more keys that nobody knows than Admission allows"
    ),
    "bind_refused": Cause(
        _B, "six binds in a row without a proof: the client's permanent key is another one here"
    ),
    "backend_unavailable": Cause(
        _B, "no answer of the session service (or of the store) in KeyLookupSeconds: ours to mend"
    ),
    "no_session_node": Cause(
        _B,
        "no session service is known: start one, or compare Session.Etcd with where it registers",
    ),
    "hold_full": Cause(_B, "no session service answers, and Session.Hold is full: ours to mend"),
    "hold_expired": Cause(_B, "no session service has answered in time: ours to mend"),
    "message_refused": Cause(_B, "the session service has refused a message: ours to mend"),
    "message_too_big": Cause(_L, "one message above Session.MaxMessageBytes"),
    "key_unregistered": Cause(_B, "the key was destroyed at the session service: a log-out"),
    "stopped": Cause(_D, "the gateway was told to end"),
    "not_acknowledged": Cause(_B, "the session service hangs: a message was sent twice in vain"),
    "bad_msg_key": Cause(_G, "not encrypted with the key it names, or altered on the way"),
    "bad_packet_length": Cause(_G, "no MTProto 2.0 message: MTProto 1.0, or a wrong transport"),
    "bad_message": Cause(_G, "no MTProto 2.0 message: MTProto 1.0, or a wrong transport"),
    "session_id_zero": Cause(_G, "session_id 0, which clients may not use"),
    "too_many_keys": Cause(_L, "more than MaxKeysPerConnection keys on one connection"),
    "bad_tl": Cause(_G, "a message of an unbound key that cannot be read"),
    "nested_too_deep": Cause(_L, "a message of an unbound key with too many wrappers"),
    "unpacked_too_large": Cause(_L, "a message of an unbound key that unpacks to too much"),
    "too_many_values": Cause(_L, "a message of an unbound key with too many values"),
    "too_many_items": Cause(_L, "a container or list of an unbound key with too many items"),
    "slow_reader": Cause(_L, "the client does not read what it is sent: a dead link"),
    "slow_reader_total": Cause(
        _L, "too much waits for slow clients together, and this network had most of it"
    ),
    # Over HTTP.
    "http_last_request": Cause(_C, "the client wanted the connection closed after the answer"),
    "bad_http": Cause(_G, "no HTTP, or a request that HTTP does not allow"),
    "http_413": Cause(_G, "a body above MaxPacketBytes"),
    "http_answer_late": Cause(_B, "the session service had no answer in time: ours to mend"),
    "http_worker_gone": Cause(_E, "the worker that serves HTTP was being started again"),
    "http_worker_silent": Cause(_E, "the worker that serves HTTP hangs"),
}

#: Of what is counted elsewhere, such as failed requests over HTTP, where it ends a connection.
OTHER: Final = Cause(_G, "docs/troubleshooting.md has this cause")

#: Ends that are nobody's failure: left out of lists of failures and of the log.
SOUND: Final = frozenset(
    {
        "client_closed",
        "client_lost",
        "idle",
        "gateway_stopped",
        "ended_by_operator",
        "drained_by_operator",
        "health_probe",
        "http_last_request",
        "stopped",
        "key_destroyed",
        "key_unregistered",
        "closed_by_handler",
    }
)

#: Of the causes that are faults in what was to be decoded, the reason that the Go gateway's
#: codec_decode_errors_total gives. A sequence number and a CRC are faults of framing here.
DECODE_ERRORS: Final = {
    "unknown_transport": "bad_magic",
    "bad_framing": "other",
    "packet_too_large": "bad_len",
    "bad_packet_length": "bad_len",
    "bad_msg_key": "decrypt",
    "bad_message": "decrypt",
    "session_id_zero": "decrypt",
    "packet_timeout": "unexpected_eof",
    "bad_http": "transport_unsupported",
    "http_413": "bad_len",
    "websocket_frames": "bad_len",
    "websocket_text": "transport_unsupported",
    "websocket_handshake": "transport_unsupported",
}


def is_of_exchange(cause: str) -> bool:
    """Return whether a cause is a fault in a step of a key exchange."""
    if cause in ("bad_rsa_block", "dh_out_of_range"):
        return True
    return cause.startswith("handshake_") and cause != "handshake_timeout"


def who_ended(cause: str) -> Who:
    """Return who is said to have ended a connection for ``cause``."""
    return CAUSES.get(cause, OTHER).who


def hint_of(cause: str, detail: str, keys: str) -> str:
    """Return the hint of a cause; ``keys`` are the fingerprints of our RSA keys."""
    return CAUSES.get(cause, OTHER).hint.format(detail=detail or cause, keys=keys)
