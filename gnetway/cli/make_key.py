"""``gnetway make-key FILE`` and ``show-key FILE``: an RSA key, and its spellings for clients."""

import argparse
import sys
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gnetway.cli.terminal import printable
from gnetway.config.rsa_keys import make_key_file
from gnetway.crypto.rsa import RsaKeyError
from gnetway.testing import ServerKey

#: What `show-key --as` prints alone, and what stands above it where all are shown.
_SPELLINGS: Final = {
    "pkcs1": "PEM, PKCS#1",
    "spki": "PEM, SubjectPublicKeyInfo",
    "c": "PEM, PKCS#1, as a string of C and its kin",
    "hex": "modulus, hexadecimal",
    "decimal": "modulus, decimal",
    "exponent": "exponent, hexadecimal and decimal",
    "fingerprint": "fingerprint, hexadecimal",
    "unsigned": "fingerprint, decimal",
    "signed": "fingerprint, decimal, signed",
}


def add_to(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommands."""
    parser = subcommands.add_parser(
        "make-key",
        help="make an RSA key for the key exchange",
        description="Make an RSA 2048 key in PKCS#1 PEM (mode 0600) and its public half beside it.",
    )
    parser.add_argument("file", help="where to put it; an existing file is never overwritten")
    parser.set_defaults(run=run)
    parser = subcommands.add_parser(
        "show-key",
        help="show the public half of an RSA key as clients' sources spell it",
        description="Show the public half of an RSA key in each of the spellings that clients'"
        " sources and libraries have.",
    )
    parser.add_argument("file", help="the key in PEM, either half")
    parser.add_argument("--as", dest="spelling", choices=_SPELLINGS, help="print this one alone")
    parser.set_defaults(run=show)


def run(options: argparse.Namespace) -> int:
    """Write FILE and FILE.pub and tell the fingerprint."""
    key = make_key_file(options.file)
    unsigned = key.fingerprint % (1 << 64)
    sys.stdout.write(f"{options.file}: RSA 2048, fingerprint {unsigned} ({key.fingerprint_hex})\n")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print the spellings of FILE's public half, or one."""
    with open(options.file, "rb") as file:
        pem = file.read()
    try:
        spelt = spellings(ServerKey.from_pem(pem))
    except RsaKeyError as error:
        sys.stderr.write(f"gnetway: {printable(options.file)}: {error}\n")
        return 1
    if options.spelling:
        sys.stdout.write(f"{spelt[options.spelling]}\n")
    else:
        parts = (f"{title}:\n{spelt[name]}\n" for name, title in _SPELLINGS.items())
        sys.stdout.write("\n".join(parts))
    return 0


def spellings(key: ServerKey) -> Mapping[str, str]:
    """Return a public key in each of the spellings, by their names."""
    public = RSAPublicNumbers(key.exponent, key.modulus).public_key()
    pkcs1 = public.public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode().rstrip()
    spki = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().rstrip()
    unsigned = key.fingerprint % (1 << 64)
    return {
        "pkcs1": pkcs1,
        "spki": spki,
        "c": "\n".join(f'"{line}\\n"' for line in pkcs1.split("\n")),
        "hex": f"{key.modulus:0512x}",
        "decimal": str(key.modulus),
        "exponent": f"{key.exponent:06x}, {key.exponent}",
        "fingerprint": f"{unsigned:016x}",
        "unsigned": str(unsigned),
        "signed": str(key.fingerprint),
    }
