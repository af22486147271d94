"""One run of the key exchange, the server's half: queries in, answers and wants out.

The phases and what leads from one to the next stand in ``steps.py``, the checks in
``checks.py``. A run belongs to no link: over HTTP each query may come on another connection.

``receive(query)``, then ``next_event()`` until None. What takes time is asked for, not done:

    WorkWanted   → work_done(what it returned) or work_failed(what it raised)
    StoreWanted  → stored(True), or stored(False) where the id is taken or the store failed

then again ``next_event()``. An answer to a want that comes after the run died is ignored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from gnetway.crypto.auth_key import DH_PRIME_BYTES, GENERATOR, PQ, AuthKey, DHSecret, KeyKind
from gnetway.crypto.rsa import RsaKey
from gnetway.errors import HandshakeError, ProtocolError, TLError
from gnetway.handshake import checks
from gnetway.handshake.steps import (
    FAIL_NUMBER,
    OK_NUMBER,
    OVER,
    RETRY_NUMBER,
    ExchangeEvent,
    Opened,
    Phase,
    Reply,
    Step,
    StoreWanted,
    WorkWanted,
    first_salt,
    make_key,
    new_nonce_hash,
    next_phase,
    open_client_dh,
    open_inner,
    seal_server_dh,
    temporary_aes,
)
from gnetway.tl.key_exchange import (
    DHGenFail,
    DHGenOk,
    DHGenRetry,
    PQInnerData,
    ReqDHParams,
    ReqPq,
    Request,
    ResPQ,
    ServerDHInnerData,
    ServerDHParamsOk,
    SetClientDHParams,
    parse_request,
)

__all__ = ["ExchangeEvent", "ExchangeSetup", "KeyExchange", "Reply", "StoreWanted", "WorkWanted"]

#: How long a temporary key may live, in seconds; clients ask for a day or a little less.
DEFAULT_MAX_TEMP_SECONDS: Final = 7 * 86400

#: How long the first salt holds, in seconds.
FIRST_SALT_SECONDS: Final = 1800

#: How often a client may try another g_b after its key was refused.
MAX_RETRIES: Final = 3

_NONCE_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class ExchangeSetup:
    """What all runs share.

    ``rsa_keys`` by fingerprint, signed. With ``strict_dc`` a client that names another data
    centre is sent away. ``allow_legacy`` takes the older padding of the RSA block, which several
    client libraries still send. A longer life than ``max_temp_seconds`` is cut to that.
    """

    rsa_keys: dict[int, RsaKey]
    strict_dc: int | None = None
    allow_legacy: bool = True
    max_temp_seconds: int = DEFAULT_MAX_TEMP_SECONDS


class KeyExchange:
    """One run, from req_pq to dh_gen_ok.

    ``secret_source`` and ``random_bytes`` are called by the work as well, so in its thread.
    ``nonce`` is empty until the first query.
    Every :class:`HandshakeError` that a method raises ends the run, and is raised again, as
    :class:`~gnetway.handshake.checks.WrongStep`, for whatever the client sends to it later. A
    client that begins anew with another req_pq begins another run.
    """

    __slots__ = (
        "_aes",
        "_event",
        "_expires_in",
        "_failed_id",
        "_header_dc",
        "_key",
        "_kind",
        "_new_nonce",
        "_now",
        "_pq",
        "_query",
        "_random_bytes",
        "_retries",
        "_secret",
        "_secret_source",
        "_setup",
        "answer",
        "nonce",
        "phase",
        "server_nonce",
        "step",
        "work_from",
    )

    def __init__(
        self,
        setup: ExchangeSetup,
        pq: PQ,
        secret_source: Callable[[], DHSecret],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._setup = setup
        self._pq = pq
        self._secret_source = secret_source
        self._random_bytes = random_bytes
        self.phase = Phase.WANT_REQ_PQ
        #: The number of the last query that was in turn: 1 for req_pq, up to 3.
        self.step = 0
        #: No work for the run is begun before this time, of the clock that goes on.
        self.work_from = 0.0
        self.nonce = b""
        self.server_nonce = random_bytes(_NONCE_BYTES)
        self._now = 0.0
        self._header_dc = 0
        self._query: Request | None = None
        #: The answer to the last query; None while it is in the making, or where there is none.
        self.answer: Reply | None = None
        self._event: ExchangeEvent | None = None
        self._kind = KeyKind.PERM
        self._expires_in = 0
        self._retries = 0
        #: What retry_id must be: 0, or the auth_key_aux_hash of the last refused key.
        self._failed_id = 0
        # The secrets of the run; _wipe() ends their time.
        self._new_nonce = b""
        self._aes = (b"", b"")
        self._secret: DHSecret | None = None
        self._key: AuthKey | None = None

    @property
    def done(self) -> bool:
        """Whether the run is over, well or not: only repeats of its last query are answered."""
        return self.phase in OVER

    @property
    def made_key(self) -> bool:
        """Whether the key is made and stored, and the client may use it."""
        return self.phase is Phase.DONE

    def __repr__(self) -> str:
        return f"<KeyExchange {self.phase.name}>"

    # -- in ------------------------------------------------------------------------------------

    def receive(self, body: bytes, now: float, header_dc: int = 0) -> None:
        """Take an unencrypted message's body; ``now`` is in Unix seconds.

        ``header_dc`` is the dc in the obfuscated header of the link, 0 where there is none.

        :raises HandshakeError: it is no query, comes out of turn, or fails a check.
        """
        self._header_dc = header_dc
        try:
            self._take(parse_request(body), now)
        except TLError as error:
            self.end()
            raise checks.BadQuery("the body is no query of the key exchange") from error
        except HandshakeError:
            self.end()
            raise

    def repeats(self, query: Request) -> bool:
        """Return whether ``query`` is the last one again, on a run that still lives."""
        return self.phase is not Phase.DEAD and query == self._query

    def next_event(self) -> ExchangeEvent | None:
        """Return what is to be done next, or None while the client or a want is waited for."""
        event, self._event = self._event, None
        return event

    def end(self) -> None:
        """End the run and wipe its secrets; whatever the client sends to it later is wrong."""
        self.phase = Phase.DEAD
        self._event = self.answer = self._query = None
        self._wipe()

    def _take(self, query: Request, now: float) -> None:
        if self.repeats(query):
            # Without an answer the step is under way, and its end is told to all who ask.
            self._event = self.answer or self._event
            return
        self._now = now
        if isinstance(query, ReqPq):
            self._take_req_pq(query)
        elif isinstance(query, ReqDHParams):
            self._take_req_dh_params(query)
        else:
            self._take_client_dh(query)
        # Only now: what failed a check is nothing to repeat.
        self._query = query

    def _take_req_pq(self, query: ReqPq) -> None:
        self.phase = next_phase(self.phase, Step.REQ_PQ)
        self.step = 1
        self.nonce = query.nonce
        fingerprints = list(self._setup.rsa_keys)
        self._reply(ResPQ(self.nonce, self.server_nonce, self._pq.pq_bytes, fingerprints).pack())

    def _take_req_dh_params(self, query: ReqDHParams) -> None:
        self.phase = next_phase(self.phase, Step.REQ_DH_PARAMS)
        self.step = 2
        # What is cheap comes first: none of the checks below lets a client have RSA for nothing.
        checks.check_nonces((query.nonce, query.server_nonce), self._nonces)
        checks.check_factors(query.p, query.q, self._pq)
        key = checks.check_fingerprint(query.fingerprint, self._setup.rsa_keys)
        checks.check_rsa_block_size(query.encrypted_data)
        self._want_work(
            partial(
                open_inner,
                key,
                query.encrypted_data,
                self._setup.allow_legacy,
                self._secret_source,
                self._random_bytes,
            )
        )

    def _take_client_dh(self, query: SetClientDHParams) -> None:
        self.phase = next_phase(self.phase, Step.SET_CLIENT_DH)
        self.step = 3
        checks.check_nonces((query.nonce, query.server_nonce), self._nonces)
        inner = open_client_dh(query.encrypted_data, self._aes)
        checks.check_client_dh_nonces((inner.nonce, inner.server_nonce), self._nonces)
        checks.check_retry_id(inner.retry_id, self._failed_id)
        assert self._secret is not None
        # The life of a temporary key is counted from this query on, whenever the key is stored.
        expires_at = int(self._now) + self._expires_in if self._expires_in else 0
        self._want_work(partial(make_key, self._secret, inner.g_b, self._kind, expires_at))

    # -- answers to wants ----------------------------------------------------------------------

    def work_done(self, result: object) -> None:
        """Answer WorkWanted with what the work returned.

        :raises HandshakeError: what came to light fails a check.
        """
        if self.phase is Phase.DEAD:
            if isinstance(result, Opened):
                result.secret.wipe()
            return
        try:
            if isinstance(result, Opened):
                self._inner_opened(*result)
            else:
                assert isinstance(result, AuthKey)
                self._key_made(result)
        except HandshakeError:
            self.end()
            raise

    def work_failed(self, error: Exception) -> None:
        """Answer WorkWanted with what the work raised.

        :raises ProtocolError: always, on a run that still lives: ``error`` itself where it is one
            (a failed check, or no room for the work), else WorkFailed: the fault is ours.
        """
        if self.phase is Phase.DEAD:
            return
        self.end()
        if isinstance(error, ProtocolError):
            raise error
        failed = checks.WorkFailed("a step of the key exchange failed on our side")
        failed.__cause__ = error  # mypyc knows no "raise … from" but of what is being handled
        raise failed

    def work_put_off(self, wanted: WorkWanted) -> None:
        """Answer WorkWanted with nothing: nobody waits for it now.

        The client's query, repeated, wants it again.
        """
        if self.phase is not Phase.DEAD:
            self._event = wanted

    def stored(self, ok: bool) -> None:
        """Answer StoreWanted: whether the key is stored, under an id that was free."""
        key = self._key
        if self.phase is Phase.DEAD or key is None:
            return
        if not ok:
            self._refuse(key)
            return
        self.phase = next_phase(self.phase, Step.KEY_STORED)
        self._reply(DHGenOk(*self._nonces, self._hash(OK_NUMBER, key)).pack())
        self._wipe()

    def _inner_opened(self, inner: PQInnerData, secret: DHSecret) -> None:
        self._secret = secret
        self.phase = next_phase(self.phase, Step.INNER_DATA_OPENED)
        # What RSA protects has to repeat what came in clear: a block belongs to one run alone.
        checks.check_inner_factors(inner.pq, inner.p, inner.q, self._pq)
        checks.check_inner_nonces((inner.nonce, inner.server_nonce), self._nonces)
        if inner.expires_in is not None:
            checks.check_expiry(inner.expires_in)
            # A longer life is cut, not refused: the client makes a new key at its end.
            self._expires_in = min(inner.expires_in, self._setup.max_temp_seconds)
        if inner.dc is not None and self._setup.strict_dc is not None:
            checks.check_dc(inner.dc, self._setup.strict_dc)
        self._kind = _kind(inner, self._header_dc)
        self._new_nonce = inner.new_nonce
        self._aes = temporary_aes(inner.new_nonce, self.server_nonce)
        dh_data = ServerDHInnerData(
            *self._nonces, GENERATOR, DH_PRIME_BYTES, secret.g_a, int(self._now)
        )
        sealed = seal_server_dh(dh_data, self._aes, self._random_bytes)
        self._reply(ServerDHParamsOk(*self._nonces, sealed).pack())

    def _key_made(self, key: AuthKey) -> None:
        # On the wire the id 0 marks unencrypted messages.
        if key.auth_key_id == 0:
            self._refuse(key)
            return
        self.phase = next_phase(self.phase, Step.KEY_MADE)
        self._key = key
        since = int(self._now)
        salt = first_salt(self._new_nonce, self.server_nonce)
        key.first_salt = salt
        until = since + FIRST_SALT_SECONDS
        dc_id = checks.dc_number(self._header_dc)
        self._event = StoreWanted(key, salt, since, until, self._expires_in, dc_id)

    def _refuse(self, key: AuthKey) -> None:
        """Let the client try another g_b, a few times."""
        self._key = None
        if self._retries == MAX_RETRIES:
            self.phase = next_phase(self.phase, Step.KEYS_GIVEN_UP)
            self._reply(DHGenFail(*self._nonces, self._hash(FAIL_NUMBER, key)).pack())
            self._wipe()
            return
        self.phase = next_phase(self.phase, Step.KEY_REFUSED)
        self._retries += 1
        self._failed_id = int.from_bytes(key.aux_hash, "little", signed=True)
        self._reply(DHGenRetry(*self._nonces, self._hash(RETRY_NUMBER, key)).pack())

    @property
    def _nonces(self) -> tuple[bytes, bytes]:
        return self.nonce, self.server_nonce

    def _hash(self, number: int, key: AuthKey) -> bytes:
        return new_nonce_hash(self._new_nonce, number, key.aux_hash)

    def _reply(self, body: bytes) -> None:
        self.answer = Reply(body)
        self._event = self.answer

    def _want_work(self, work: Callable[[], object]) -> None:
        self.answer = None
        self._event = WorkWanted(work)

    def _wipe(self) -> None:
        if self._secret is not None:
            self._secret.wipe()
        self._secret = self._key = None
        self._new_nonce = b""
        self._aes = (b"", b"")


def _kind(inner: PQInnerData, header_dc: int) -> KeyKind:
    if inner.expires_in is None:
        return KeyKind.PERM
    dc = inner.dc
    if dc is None:
        # iOS names no dc here: that a key is for media shows in its obfuscated header alone.
        # Others put a random number there, so only what can be a dc counts.
        dc = header_dc if checks.dc_number(header_dc) else 0
    return KeyKind.MEDIA_TEMP if dc < 0 else KeyKind.TEMP
