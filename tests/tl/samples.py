"""Known objects of other implementations, and strategies for the fields of TL records."""

from collections.abc import Callable

from hypothesis.strategies import SearchStrategy, binary, integers, lists

from gnetway.errors import TLError
from tests.vectors import load

_OBJECTS: dict[str, dict[str, str]] = load("tl")["objects"]

#: The values that the known objects were made of.
NONCE = bytes(range(16))
SERVER_NONCE = bytes(range(16, 32))
NEW_NONCE = bytes(range(32, 64))
HASH = bytes(range(64, 80))
PQ = bytes.fromhex("17ed48941a08f981")
P = bytes.fromhex("494c553b")
Q = bytes.fromhex("53911073")
ENCRYPTED = bytes(k * 7 % 256 for k in range(256))
DH_PRIME = bytes(k * 11 % 256 for k in range(256))
G_A = bytes(k * 13 % 256 for k in range(256))
MSG_ID = 7573312904816033792


def known(name: str) -> bytes:
    """The bytes that the other implementations make of the object ``name``."""
    return bytes.fromhex(_OBJECTS[name]["hex"])


def known_names() -> list[str]:
    return list(_OBJECTS)


def int32s() -> SearchStrategy[int]:
    return integers(-(2**31), 2**31 - 1)


def int64s() -> SearchStrategy[int]:
    return integers(-(2**63), 2**63 - 1)


def id_lists() -> SearchStrategy[list[int]]:
    return lists(int64s(), max_size=20)


def nonces(size: int = 16) -> SearchStrategy[bytes]:
    return binary(min_size=size, max_size=size)


def strings() -> SearchStrategy[bytes]:
    """Often long enough for the longer form of the length."""
    return binary(max_size=600)


def refuses(parse: Callable[[bytes], object], data: bytes) -> bool:
    """Whether ``parse`` raises TLError; any other error passes through."""
    try:
        parse(data)
    except TLError:
        return True
    return False


def accepted_cuts(parse: Callable[[bytes], object], data: bytes) -> list[int]:
    """The lengths to which ``data`` can be cut short and still be read."""
    return [size for size in range(len(data)) if not refuses(parse, data[:size])]
