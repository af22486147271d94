"""What a gateway begins with: ``gnetway make-key FILE``, ``show-key FILE``, ``make-config FILE``.

An RSA key for the key exchange, its spellings for clients, and the example configuration, which
explains every key of its own.
"""

import argparse
import sys
from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gnetway.cli.terminal import printable
from gnetway.config.files import make_key_file
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
    _add_make_config(subcommands)


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


#: Beside this module; in a checkout they are links into etc/.
_EXAMPLE: Final = "gnetway.yaml"
_CLUSTER_EXAMPLE: Final = "gnetway-cluster.yaml"


def _add_make_config(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommand."""
    parser = subcommands.add_parser(
        "make-config",
        help="write the example configuration",
        description="Write the example configuration, which explains every key.",
    )
    parser.add_argument("file", help="where to put it; an existing file is never overwritten")
    parser.add_argument(
        "--cluster", action="store_true", help="the one for Teamgram's session services"
    )
    parser.set_defaults(run=_write_config)


def _write_config(options: argparse.Namespace) -> int:
    """Write FILE and tell what it wants beside it."""
    example = files("gnetway.cli").joinpath(_CLUSTER_EXAMPLE if options.cluster else _EXAMPLE)
    # "x": a configuration that somebody has written is never lost to a mistyped name.
    with open(options.file, "xb") as file:
        file.write(example.read_bytes())
    sys.stdout.write(
        f"{options.file}: as it is, it wants an RSA key beside it, server_pkcs1.key"
        " (gnetway make-key)\n"
    )
    return 0
