"""What a gateway begins with: ``gnetway run``, or its parts by ``make-key`` and ``make-config``.

``run`` is a gateway from nothing, on its embedded backend, in the foreground. What it makes lies in
one folder: an RSA key, the store of auth keys, and run.yaml, the configuration that the options
stand for, which every start writes anew. The gateway is ``twistd gnetway`` with that file, so
whatever is asked of a file works here, as ``gnetway status -c``.

``make-key FILE`` makes an RSA key for the key exchange, ``show-key FILE`` shows its spellings for
clients, and ``make-config FILE`` writes the example configuration, which explains every key.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import yaml
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gnetway.cli.terminal import printable, say
from gnetway.config.files import make_key_file
from gnetway.crypto.rsa import RsaKeyError
from gnetway.errors import ConfigError, GatewayError
from gnetway.testing import ServerKey

if TYPE_CHECKING:
    from gnetway.config.model import GatewayConfig


#: What `auto` speaks needs one port only. Here clients of every test and example look.
_LISTEN: Final = "0.0.0.0:10443"
_ADMIN: Final = "127.0.0.1:11080"

#: Of --admin.
_NOBODY: Final = "none"

#: Of --store; so the configuration has it as well.
_MEMORY: Final = "memory"

_HEAD: Final = """\
# Made by `gnetway run` from its options, and made anew at each start: what is changed here is lost.
# A file of your own, which explains every key: gnetway make-config FILE.
"""


class DataFolderUnusable(GatewayError):
    """Something that the gateway has to keep cannot be written."""


def add_to(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommand."""
    parser = subcommands.add_parser(
        "run",
        help="run a gateway on its embedded backend, from nothing",
        description="Run a gateway on its embedded backend in the foreground, until Ctrl-C. An RSA"
        " key, the store and a configuration are made in the data folder where they are not there.",
    )
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        help="where they are kept (default: gnetway in $XDG_DATA_HOME, or ~/.local/share/gnetway)",
    )
    parser.add_argument(
        "--listen",
        action="append",
        metavar="ADDRESS",
        help="host:port, [IPv6]:port or unix:path where clients of every kind are served; may be"
        f" given several times (default: {_LISTEN})",
    )
    parser.add_argument(
        "--public-address",
        metavar="HOST:PORT",
        help="what clients are told to dial, where that is another address: behind an address"
        " translation, in a container",
    )
    parser.add_argument(
        "--key",
        metavar="PEM",
        help="the RSA key; made if it is not there (default: server_pkcs1.key in the data folder)",
    )
    parser.add_argument(
        "--store",
        metavar="FILE",
        help=f"auth keys and salts, or {_MEMORY} (default: gnetway.sqlite in the data folder)",
    )
    parser.add_argument(
        "--handler",
        metavar="CLASS",
        help="package.module.Class that answers RPC calls; modules here are found",
    )
    parser.add_argument(
        "--dc", type=int, metavar="N", help="the data centre that clients begin with (default: 2)"
    )
    parser.add_argument(
        "--admin",
        default=_ADMIN,
        metavar="ADDRESS",
        help=f"the admin site, {_NOBODY} for no site (default: %(default)s)",
    )
    parser.set_defaults(run=run)
    _add_make(subcommands)


def run(options: argparse.Namespace) -> int:
    """Make what is not there, tell what clients need, and run the gateway until it ends."""
    folder = _data_folder(options.data)
    path = os.path.join(folder, "run.yaml")
    key = os.path.abspath(options.key or os.path.join(folder, "server_pkcs1.key"))
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        _make_key(key)
        config = _write_config(path, options, key, folder)
    except OSError as error:
        place = error.filename or folder
        raise DataFolderUnusable(
            f"{place}: {error.strerror}; `--data FOLDER` names another folder to keep things in"
        ) from None
    _tell(config, path)
    if options.handler:
        # As python -m does; twistd's own script does not.
        sys.path.insert(0, os.getcwd())
    _start(path)
    return 0


def _data_folder(given: str | None) -> str:
    """Return the absolute path of the data folder."""
    if given:
        return os.path.abspath(given)
    home = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return os.path.abspath(os.path.join(home, "gnetway"))


def _make_key(path: str) -> None:
    """Make an RSA key unless there is one; two that start at the same moment share it."""
    if os.path.exists(path):
        return
    try:
        make_key_file(path)
    except FileExistsError:
        return
    say(f"{path}: a new RSA key")


def _write_config(path: str, options: argparse.Namespace, key: str, folder: str) -> "GatewayConfig":
    """Write the file and return it as loaded, without WebSocket where its packages are not there.

    :raises ConfigError: an option has what its key does not take.
    """
    from gnetway.config.load import load_file  # noqa: PLC0415
    from gnetway.service.prepared import check_web_packages  # noqa: PLC0415

    _replace(path, configuration(options, key, folder, "auto"))
    config = load_file(path)
    try:
        check_web_packages(config)
    except ConfigError:
        say("without WebSocket, whose packages are not there: pip install 'gnetway[web]'")
        _replace(path, configuration(options, key, folder, "tcp", "http"))
        config = load_file(path)
    return config


def configuration(
    options: argparse.Namespace, key: str, folder: str, *protos: str
) -> dict[str, object]:
    """Return what the options stand for, in the form of the configuration file."""
    addresses = options.listen or [_LISTEN]
    listener: dict[str, object] = {"Addresses": addresses}
    if options.public_address:
        listener["PublicAddress"] = options.public_address
    store = options.store or os.path.join(folder, "gnetway.sqlite")
    embedded: dict[str, object] = {
        "Store": store if store == _MEMORY else os.path.abspath(store),
    }
    if options.handler:
        embedded["Handler"] = options.handler
    if options.dc is not None:
        embedded["ThisDC"] = options.dc
    made: dict[str, object] = {
        "RSAKey": [{"KeyFile": key}],
        "Gnetway": {"Server": [{"Proto": proto} | listener for proto in protos]},
        "Session": {"Embedded": embedded},
    }
    if options.admin != _NOBODY:
        made["Admin"] = {"Addresses": [options.admin]}
    return made


def _replace(path: str, made: Mapping[str, object]) -> None:
    """Write the file at once, unless it is as it should be: the folder may be read-only."""
    # Aliases, of which two listeners would make one, are hard to read.
    dumper = type("_Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})
    content = _HEAD + yaml.dump(made, Dumper=dumper, sort_keys=False, default_flow_style=False)
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == content:
                return
    except FileNotFoundError:
        pass
    folder = os.path.dirname(path)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, delete=False) as new:
        new.write(content)
    os.replace(new.name, path)


def _tell(config: "GatewayConfig", path: str) -> None:
    """Say what a client needs to come here; addresses and a command to try it are in the log."""
    loaded = config.rsa_keys[0]
    unsigned = loaded.key.fingerprint % (1 << 64)
    fingerprint = f"{unsigned} ({loaded.key.fingerprint_hex})"
    say(f"public key for clients, {loaded.public_path}: {fingerprint}")
    say(loaded.key.public_pem.decode().rstrip())
    say(f"configuration: {path}")


def _start(path: str) -> None:
    """Be ``twistd gnetway`` in the foreground; no pidfile keeps the next start out."""
    from twisted.scripts.twistd import run as twistd  # noqa: PLC0415

    sys.argv = ["twistd", "--nodaemon", "--pidfile=", "gnetway", "--config", path]
    twistd()


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


def _add_make(subcommands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommands."""
    parser = subcommands.add_parser(
        "make-key",
        help="make an RSA key for the key exchange",
        description="Make an RSA 2048 key in PKCS#1 PEM (mode 0600) and its public half beside it.",
    )
    parser.add_argument("file", help="where to put it; an existing file is never overwritten")
    parser.set_defaults(run=make_key)
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


def make_key(options: argparse.Namespace) -> int:
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
    parser.set_defaults(run=_write_example)


def _write_example(options: argparse.Namespace) -> int:
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
