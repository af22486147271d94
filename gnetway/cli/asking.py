"""How subcommands ask others: a running gateway by its admin site, or as a gateway would.

-c FILE                          Admin of its configuration: addresses, token, sockets
--admin http://host:port         that address
--admin unix:/path               that socket in the file system

What asks etcd and session nodes as a gateway does runs in the reactor.
"""

import argparse
import json
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import quote, urlencode, urlsplit

from gnetway.cli.terminal import printable
from gnetway.config.addresses import Address, UnixAddress
from gnetway.config.files import Unreadable, read_bounded
from gnetway.config.load import load_keys
from gnetway.config.operators import AdminConfig
from gnetway.errors import GatewayError

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from gnetway.interfaces import IGatewayReactor


#: Where `twistd gnetway` looks, too: its option is in ``gnetway.tap``.
DEFAULT_CONFIG: Final = "etc/gnetway.yaml"

#: Bytes of an answer: a page of 1000 connections has 1 MB.
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024

_MAX_TOKEN_BYTES: Final = 4096

#: Characters of an answer that is no JSON, for an error.
_SHOWN: Final = 200

_REMEDY: Final = "Admin:\n  Addresses: [127.0.0.1:11080]"

#: Where a client finds what listens at every address of its machine.
_EVERY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class AdminError(GatewayError):
    """The gateway has not done what was asked; the text says why, and what to do."""


class NotReached(AdminError):
    """Nobody answers there."""


class NotThere(AdminError):
    """The gateway has no such thing."""


Place = Address | UnixAddress


def place(text: str) -> Place:
    """Return the place that ``--admin`` names.

    :raises argparse.ArgumentTypeError: it names none.
    """
    if text.startswith("unix:") and len(text) > len("unix:"):
        return UnixAddress(text.removeprefix("unix:"))
    try:
        parts = urlsplit(text)
        port = parts.port or 80
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/") or parts.query:
        raise argparse.ArgumentTypeError(f"{text!r} is neither http://host:port nor unix:/path")
    return Address(parts.hostname, port)


def add_config_option(parser: argparse.ArgumentParser, what: str = "the configuration") -> None:
    """Declare ``-c FILE``; ``what`` is for its help."""
    parser.add_argument(
        "-c",
        "--config",
        default=DEFAULT_CONFIG,
        metavar="FILE",
        help=f"{what} (default: %(default)s)",
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare how the gateway is found."""
    add_config_option(
        parser, "the configuration of the gateway, whose Admin says where it is asked"
    )
    parser.add_argument(
        "--admin",
        type=place,
        metavar="PLACE",
        help="where it is asked, without FILE: http://host:port or unix:/path",
    )
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="a file with the token (default: Admin.Token of the configuration)",
    )


def client_of(options: argparse.Namespace) -> "AdminClient":
    """Return a client for what ``add_options`` has declared.

    :raises ConfigError: the configuration cannot be read, or its Admin has faults.
    :raises AdminError: it does not say where to ask.
    """
    places: Sequence[Place]
    token = ""
    if options.admin is not None:
        places = [options.admin]
    else:
        admin: AdminConfig | None = load_keys(options.config, "Admin")["Admin"]
        if admin is None:
            raise AdminError(
                f"{options.config} has no Admin, without which a gateway cannot be asked: add"
                f" these two lines, and start the gateway again\n{_REMEDY}"
            )
        places = [_dialled(address) for address in admin.addresses]
        token = admin.token
    if options.token_file:
        token = _read_token(options.token_file)
    return AdminClient(places, token)


def _dialled(address: Place) -> Place:
    if not isinstance(address, Address):
        return address
    if not address.port:
        raise AdminError(
            f"{address.path} has port 0, any free one: the gateway's log tells which (admin site),"
            " and --admin http://host:port takes it"
        )
    return Address(_EVERY.get(address.host, address.host), address.port)


def _read_token(path: str) -> str:
    try:
        token = read_bounded(path, _MAX_TOKEN_BYTES).decode("ascii").strip()
    except Unreadable as error:
        raise AdminError(f"--token-file {path}: {error}") from error
    except UnicodeDecodeError:
        token = ""
    if not token or not token.isprintable():
        raise AdminError(f"--token-file {path}: it has no token, which is one line of ASCII")
    return token


class _UnixConnection(HTTPConnection):
    """HTTP over a socket in the file system."""

    def __init__(self, file: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._file = file

    def connect(self) -> None:
        """See HTTPConnection."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._file)


class AdminClient:
    """Asks at the first of ``places`` where somebody answers; ``seconds`` are for each step."""

    def __init__(self, places: Sequence[Place], token: str = "", seconds: float = 10.0) -> None:
        self._places = places
        self._token = token
        self._seconds = seconds

    def get(self, path: str, given: Mapping[str, str | int] | None = None) -> dict[str, Any]:
        """Return an answer.

        :raises AdminError: there is none; NotReached and NotThere are of it.
        """
        whole = f"{path}?{urlencode(given)}" if given else path
        return self._ask("GET", whole, {}, self._seconds)

    def post(self, path: str, seconds: float | None = None) -> dict[str, Any]:
        """Have something done, which may take so many ``seconds``; raises as ``get`` does."""
        # The header that no page of the web can send.
        headers = {"X-Gnetway-Request": "gnetway", "Content-Length": "0"}
        return self._ask("POST", path, headers, seconds or self._seconds)

    def _ask(
        self, method: str, path: str, headers: dict[str, str], seconds: float
    ) -> dict[str, Any]:
        if self._token:
            headers = headers | {"Authorization": f"Bearer {self._token}"}
        failed: list[str] = []
        for where in self._places:
            connection = (
                _UnixConnection(where.file, seconds)
                if isinstance(where, UnixAddress)
                else HTTPConnection(where.host, where.port, timeout=seconds)
            )
            try:
                connection.connect()
            except (OSError, UnicodeError) as error:
                connection.close()
                failed.append(f"{where} ({_why(error)})")
                continue
            try:
                connection.request(method, path, headers=headers)
                answer = connection.getresponse()
                body = answer.read(MAX_ANSWER_BYTES + 1)
            except (OSError, HTTPException) as error:
                raise NotReached(f"{where} gives no answer: {_why(error)}") from error
            finally:
                connection.close()
            return _read(where, answer, body, bool(self._token))
        raise NotReached(
            f"no gateway answers at {', '.join(failed)}: it does not run, or was started without"
            " this Admin"
        )


def _why(error: Exception) -> str:
    """Return what a system's error says, without its number."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return printable(text)


def _read(where: Place, answer: HTTPResponse, body: bytes, had_token: bool) -> dict[str, Any]:
    """Return the JSON of an answer that is one of a gateway's, and no refusal."""
    if len(body) > MAX_ANSWER_BYTES:
        raise AdminError(f"{where}: an answer of more than {MAX_ANSWER_BYTES} bytes: use --limit")
    if answer.status == 401:
        wrong = "this token is not its own" if had_token else "it asks for a token"
        raise AdminError(
            f"{where}: {wrong}: Admin.Token as it was when the gateway was started, in the"
            " configuration (-c) or in a file (--token-file)"
        )
    try:
        read = json.loads(body)
    except ValueError:
        read = None
    if isinstance(read, dict) and answer.status < 400:
        return read
    shown = read.get("error") if isinstance(read, dict) else body.decode("utf-8", "replace").strip()
    if answer.status == 404:
        if not isinstance(read, dict):
            shown = "it has no such page: an older gateway, or no gateway"
        raise NotThere(f"{where}: {printable(str(shown)[:_SHOWN])}")
    if answer.status < 400:
        shown = "what answers there is no admin site of a gateway"
    raise AdminError(f"{where}: {printable(str(shown)[:_SHOWN])} (HTTP {answer.status})")


def quoted(number: str) -> str:
    """Return an id as a part of a path."""
    return quote(number, safe="")


def run_in_reactor(
    work: "Callable[[IGatewayReactor], Coroutine[Deferred[Any], Any, None]]",
) -> bool:
    """Run ``work`` in the reactor; return whether it has come to its end, and was not interrupted.

    The reactor runs once in a process, which is this command's own.
    """
    from twisted.internet import reactor as installed  # noqa: PLC0415, TID251
    from twisted.internet.defer import Deferred  # noqa: PLC0415

    reactor = cast("IGatewayReactor", installed)
    ends: list[Failure | None] = []

    def begin() -> None:
        done = Deferred.fromCoroutine(work(reactor))
        done.addBoth(ends.append)
        done.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    if ends and ends[0] is not None:
        ends[0].raiseException()
    return bool(ends)
