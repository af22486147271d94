"""``gnetway make-key FILE``: an RSA key for the key exchange."""

import argparse
import os
import sys

from gnetway.crypto.rsa import RsaKey, generate_pem

#: Owner may read and write; a private key is nobody else's business.
_PRIVATE_MODE = 0o600


def add_to(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommand."""
    parser = subcommands.add_parser(
        "make-key",
        help="make an RSA key for the key exchange",
        description="Make an RSA 2048 key in PKCS#1 PEM (mode 0600) and its public half beside it.",
    )
    parser.add_argument("file", help="where to put it; an existing file is never overwritten")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write FILE and FILE.pub and tell the fingerprint."""
    pem = generate_pem()
    # O_EXCL: a key that clients already trust is never lost to a mistyped name.
    descriptor = os.open(options.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    key = RsaKey.from_pem(pem)
    with open(f"{options.file}.pub", "wb") as public:
        public.write(key.public_pem)
    unsigned = key.fingerprint % (1 << 64)
    sys.stdout.write(f"{options.file}: RSA 2048, fingerprint {unsigned} ({key.fingerprint_hex})\n")
    return 0
