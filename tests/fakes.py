"""The fakes of ``gnetway.testing`` by the name that tests know them by, and keys for them."""

from gnetway.crypto.auth_key import AuthKey, KeyKind
from gnetway.testing.fakes import FakeBackend, FakeKeys, FakeTarget, Sent
from tests.strategies import SeededBytes

__all__ = ["FakeBackend", "FakeKeys", "FakeTarget", "Sent", "some_key"]


def some_key(number: int, kind: KeyKind = KeyKind.PERM, expires_at: int = 0) -> AuthKey:
    """An auth key, another for each number."""
    return AuthKey(SeededBytes(number)(256), kind, expires_at=expires_at)
