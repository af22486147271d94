"""Each check is met by a client that is bent in one place, through the whole exchange."""

from dataclasses import replace
from hashlib import sha1

from twisted.trial.unittest import SynchronousTestCase

from gnetway.crypto.auth_key import DH_PRIME, DHRangeError
from gnetway.crypto.rsa import RsaOpenError
from gnetway.errors import HandshakeError, TransportErrorCode
from gnetway.handshake import checks
from gnetway.handshake.steps import Phase
from gnetway.testing import Bends, Wish
from gnetway.tl.key_exchange import ClientDHInnerData, PQInnerData, ReqDHParams, SetClientDHParams
from tests.crypto.chance import rsa_key
from tests.handshake.server import (
    NOW,
    PQ_OF_DOCUMENTS,
    Server,
    full_text,
    make_client,
    make_setup,
    run,
    secrets_of,
    told,
    until_client_dh,
    until_dh_params,
)
from tests.strategies import SeededBytes

MARGIN = 1 << (2048 - 64)
OTHER = b"\x55" * 16


class RefusalCase(SynchronousTestCase):
    def refused(
        self,
        error_class: type[HandshakeError],
        bends: Bends | None = None,
        wish: Wish | None = None,
        server: Server | None = None,
    ) -> HandshakeError:
        """A client so bent is refused, the run is dead, and the error tells no secret."""
        client, server = make_client(wish=wish, bends=bends), server or Server()
        error: HandshakeError = self.assertRaises(error_class, run, client, server)
        self.assertIs(type(error), error_class)
        self.assertIs(server.exchange.phase, Phase.DEAD)
        self.assertEqual(server.stores, [])
        self.assertEqual([secret.exponent for secret in server.secrets if secret.exponent], [])
        self.assertEqual(told(full_text(error), secrets_of(client, server)), [])
        self.assertRaises(checks.WrongStep, server.exchange.receive, client.begin(), NOW)
        return error


class ReqDHParamsTests(RefusalCase):
    def bent(self, error_class: type[HandshakeError], **fields: object) -> HandshakeError:
        def bend(query: ReqDHParams) -> ReqDHParams:
            return replace(query, **fields)  # type: ignore[arg-type]

        return self.refused(error_class, Bends(req_dh_params=bend))

    def test_nonce(self) -> None:
        self.bent(checks.NonceMismatch, nonce=OTHER)

    def test_server_nonce(self) -> None:
        self.bent(checks.NonceMismatch, server_nonce=OTHER)

    def test_other_factor(self) -> None:
        self.bent(checks.WrongFactors, p=b"\0\0\0\3")
        self.bent(checks.WrongFactors, q=b"\0\0\0\3")

    def test_factors_swapped(self) -> None:
        self.bent(checks.WrongFactors, p=PQ_OF_DOCUMENTS.q_bytes, q=PQ_OF_DOCUMENTS.p_bytes)

    def test_trivial_factors(self) -> None:
        """1 * pq = pq is no work."""
        self.bent(checks.WrongFactors, p=b"\1", q=PQ_OF_DOCUMENTS.pq_bytes)

    def test_empty_factors(self) -> None:
        self.bent(checks.WrongFactors, p=b"", q=b"")

    def test_fingerprint(self) -> None:
        self.bent(checks.UnknownFingerprint, fingerprint=rsa_key().fingerprint ^ 1)

    def test_encrypted_data_is_one_block(self) -> None:
        for size in (0, 255, 257):
            self.bent(checks.BadRsaBlockSize, encrypted_data=b"\1" * size)

    def test_encrypted_data_is_below_the_modulus(self) -> None:
        self.bent(RsaOpenError, encrypted_data=rsa_key().modulus.to_bytes(256, "big"))

    def test_encrypted_data_is_ours(self) -> None:
        self.bent(RsaOpenError, encrypted_data=b"\1" * 256)

    def test_no_thread_is_asked_in_vain(self) -> None:
        """What can be seen without the RSA operation is refused without it."""
        client, server = make_client(), Server()
        query = until_dh_params(client, server)
        self.assertRaises(HandshakeError, server.exchange.receive, query[:-256] + b"\0" * 252, NOW)
        self.assertIsNone(server.exchange.next_event())

    def test_factors_may_have_leading_zeros(self) -> None:
        def bend(query: ReqDHParams) -> ReqDHParams:
            return replace(query, p=bytes(4) + query.p, q=bytes(4) + query.q)

        client = make_client(bends=Bends(req_dh_params=bend))
        run(client, Server())
        self.assertIsNotNone(client.key)


class InnerDataTests(RefusalCase):
    def bent(self, error_class: type[HandshakeError], **fields: object) -> None:
        def bend(inner: PQInnerData) -> PQInnerData:
            return replace(inner, **fields)  # type: ignore[arg-type]

        for legacy in (False, True):
            self.refused(error_class, Bends(inner=bend), Wish(legacy=legacy))

    def test_pq(self) -> None:
        self.bent(checks.InnerFactorsMismatch, pq=b"\x0f")

    def test_p(self) -> None:
        self.bent(checks.InnerFactorsMismatch, p=b"\3")

    def test_q(self) -> None:
        self.bent(checks.InnerFactorsMismatch, q=b"\5")

    def test_nonce(self) -> None:
        self.bent(checks.InnerNonceMismatch, nonce=OTHER)

    def test_server_nonce(self) -> None:
        self.bent(checks.InnerNonceMismatch, server_nonce=OTHER)

    def test_other_constructor(self) -> None:
        for legacy in (False, True):
            bends = Bends(inner_block=lambda block: b"\0\0\0\0" + block[4:])
            self.refused(RsaOpenError, bends, Wish(legacy=legacy))

    def test_cut_short(self) -> None:
        self.refused(RsaOpenError, Bends(inner_block=lambda block: block[:1]), Wish(legacy=True))

    def test_legacy_padding_where_it_is_switched_off(self) -> None:
        server = Server(make_setup(allow_legacy=False))
        self.refused(RsaOpenError, wish=Wish(legacy=True), server=server)
        run(make_client(), Server(make_setup(allow_legacy=False)))

    def test_expiry(self) -> None:
        for expires_in in (0, -1, -(2**31)):
            self.refused(checks.BadExpiry, wish=Wish(expires_in=expires_in))
            self.refused(checks.BadExpiry, wish=Wish(dc=-2, expires_in=expires_in))


class DCTests(RefusalCase):
    def test_wrong_dc_in_strict_mode(self) -> None:
        for dc in (0, 1, 3, -3, 10003, -10003, 10000, 20002, -(2**31)):
            for expires_in in (None, 86400):
                error = self.refused(
                    checks.WrongDC,
                    wish=Wish(dc=dc, expires_in=expires_in),
                    server=Server(make_setup(strict_dc=2)),
                )
                self.assertIs(error.transport_error, TransportErrorCode.WRONG_DC)

    def test_right_dc_in_strict_mode(self) -> None:
        """Test servers and media are the same server; older kinds name none."""
        for dc in (2, -2, 10002, -10002, None):
            client = make_client(wish=Wish(dc=dc, expires_in=86400))
            run(client, Server(make_setup(strict_dc=2)))
            self.assertIsNotNone(client.key)

    def test_any_dc_otherwise(self) -> None:
        for dc in (0, 1, 10003, -(2**31)):
            client = make_client(wish=Wish(dc=dc))
            run(client, Server())
            self.assertIsNotNone(client.key)


class SetClientDHTests(RefusalCase):
    def query_bent(self, error_class: type[HandshakeError], **fields: object) -> None:
        def bend(query: SetClientDHParams) -> SetClientDHParams:
            return replace(query, **fields)  # type: ignore[arg-type]

        self.refused(error_class, Bends(set_client_dh=bend))

    def inner_bent(self, error_class: type[HandshakeError], **fields: object) -> None:
        def bend(inner: ClientDHInnerData) -> ClientDHInnerData:
            return replace(inner, **fields)  # type: ignore[arg-type]

        self.refused(error_class, Bends(client_inner=bend))

    def test_nonce(self) -> None:
        self.query_bent(checks.NonceMismatch, nonce=OTHER)

    def test_server_nonce(self) -> None:
        self.query_bent(checks.NonceMismatch, server_nonce=OTHER)

    def test_size_is_whole_blocks(self) -> None:
        for size in (1, 335, 337):
            self.query_bent(checks.BadClientDHSize, encrypted_data=bytes(size))

    def test_size_is_bounded(self) -> None:
        self.query_bent(checks.BadClientDHSize, encrypted_data=bytes(352))

    def test_other_content(self) -> None:
        for size in (0, 16, 336):
            self.query_bent(checks.BadClientDHData, encrypted_data=bytes(size))

    def test_hash(self) -> None:
        bends = Bends(client_block=lambda block: bytes([block[0] ^ 1]) + block[1:])
        self.refused(checks.ClientDHHashMismatch, bends)

    def test_hash_is_of_the_object_alone(self) -> None:
        """Hashing the padding along, as a mistaken client might, is refused."""
        bends = Bends(client_block=lambda block: sha1(block[20:]).digest() + block[20:])
        self.refused(checks.ClientDHHashMismatch, bends)

    def test_padding(self) -> None:
        def bend(inner: ClientDHInnerData) -> ClientDHInnerData:
            return replace(inner, g_b=inner.g_b[:240])

        bends = Bends(client_inner=bend, client_block=lambda block: block + bytes(16))
        self.refused(checks.ClientDHPaddingTooLong, bends)

    def test_inner_nonce(self) -> None:
        self.inner_bent(checks.ClientDHNonceMismatch, nonce=OTHER)

    def test_inner_server_nonce(self) -> None:
        self.inner_bent(checks.ClientDHNonceMismatch, server_nonce=OTHER)

    def test_retry_id(self) -> None:
        for retry_id in (1, -1):
            self.inner_bent(checks.WrongRetryId, retry_id=retry_id)

    def test_retry_id_after_a_refused_key(self) -> None:
        """0 is wrong now, and so would be any but the last failed key's."""
        server = Server()
        server.refusals = 1
        bends = Bends(client_inner=lambda inner: replace(inner, retry_id=0))
        client = make_client(bends=bends)
        self.assertRaises(checks.WrongRetryId, run, client, server)
        self.assertEqual(client.retries, 1)

    def test_g_b_range(self) -> None:
        for g_b in (0, 1, MARGIN - 1, DH_PRIME - MARGIN + 1, DH_PRIME - 1, DH_PRIME, 2**2048 - 1):
            self.inner_bent(DHRangeError, g_b=g_b.to_bytes(256, "big"))

    def test_g_b_at_the_edges(self) -> None:
        for g_b in (MARGIN, DH_PRIME - MARGIN):
            edge = g_b.to_bytes(256, "big")

            def bend(inner: ClientDHInnerData, edge: bytes = edge) -> ClientDHInnerData:
                return replace(inner, g_b=edge)

            client, server = make_client(bends=Bends(client_inner=bend)), Server()
            server.ask(until_client_dh(client, server))
            self.assertIs(server.exchange.phase, Phase.DONE)


class QueryTests(RefusalCase):
    def test_no_query(self) -> None:
        for body in (b"", b"\1\2\3", bytes(20), SeededBytes(3)(100)):
            client, server = make_client(), Server()
            until_dh_params(client, server)
            error = self.assertRaises(checks.BadQuery, server.exchange.receive, body, NOW)
            self.assertIs(error.transport_error, TransportErrorCode.KEY_UNKNOWN)
            self.assertIs(server.exchange.phase, Phase.DEAD)

    def test_age(self) -> None:
        checks.check_age(5000, 5600, 600)
        self.assertRaises(checks.ExchangeExpired, checks.check_age, 5000, 5600.1, 600)

    def test_steps_out_of_turn(self) -> None:
        client, server = make_client(), Server()
        first, second = until_dh_params(client, server), until_client_dh(make_client(2), Server())
        for early in (first, second):
            self.assertRaises(checks.WrongStep, Server().ask, early)
        self.assertRaises(checks.WrongStep, server.ask, make_client(2).begin())
        self.assertRaises(checks.WrongStep, server.ask, first)


class ErrorTests(SynchronousTestCase):
    def test_each_error_is_counted_apart(self) -> None:
        here = [kind for kind in vars(checks).values() if isinstance(kind, type)]
        errors = [kind for kind in here if issubclass(kind, HandshakeError)]
        errors += [RsaOpenError, DHRangeError]
        self.assertGreater(len(errors), 15)
        self.assertEqual(len({kind.cause for kind in errors}), len(errors))

    def test_only_the_wrong_dc_is_told_otherwise(self) -> None:
        for kind in HandshakeError.__subclasses__():
            if kind.__module__ == checks.__name__ and kind is not checks.WrongDC:
                self.assertIs(kind.transport_error, TransportErrorCode.KEY_UNKNOWN)
