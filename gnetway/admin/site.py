"""The admin site: what balancers, Prometheus and people ask a gateway, over HTTP.

    GET /             the status page, which asks the API; no token
    GET /healthz      200 while the process works at all; no token
    GET /readyz       200 where clients can be served, else 503 and why, a line each; no token
    GET /metrics      for Prometheus
    GET /api/status   all of it as JSON
    GET /api/schema   the JSON schema of the API's answers; no token

    GET  /api/connections             open and ended connections: filtered, sorted, by pages
    GET  /api/connections/ID          one of them
    POST /api/connections/ID/end      end it; .../drain: once nothing is under way on it
    GET  /api/summary                 how many are open, by transport, stage and application
    GET  /api/failures                the ended ones that failed, by kind, with hints
    POST /api/reload                  read the configuration again, as at SIGHUP; .../reloads: what
                                      has come of the last ones
    POST /api/drain                   end the whole gateway, as SIGTERM does

It shows no secret: no key and no id of one. What tells of clients' addresses, or changes anything,
is for whoever has the token; without one, for who comes from this machine. A page of the web that
is open in a browser on this machine comes from there too: so the request has to name the address
itself, and whatever changes something a header that no such page can send.
"""

# mypy: disallow-untyped-calls=False
# (twisted.web has few types)

import json
from collections.abc import Callable, Coroutine, Iterable, Mapping
from hmac import compare_digest
from importlib.resources import files
from ipaddress import ip_address
from typing import Any, Final, cast

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.http import (
    ACCEPTED,
    BAD_REQUEST,
    FORBIDDEN,
    INTERNAL_SERVER_ERROR,
    NOT_ALLOWED,
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
    UNAUTHORIZED,
)
from twisted.web.http import Request as HttpRequest
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from gnetway.admin.metrics import CONTENT_TYPE, render
from gnetway.admin.status import NotFound, QueryFault, StatusSource

#: Seconds without a request after which a connection is closed; scrapes come every 15 to 60.
IDLE_SECONDS: Final = 90

#: Connections at a time: some Prometheus servers, balancers and people, and no flood.
MAX_CONNECTIONS: Final = 64

_Answer = Coroutine["Deferred[Any]", Any, bytes]

_TEXT: Final = b"text/plain; charset=utf-8"
_JSON: Final = b"application/json"


class _Request(Request):
    """A request without a body: twisted.web would write one of any size to a file."""

    def gotLength(self, length: int | None) -> None:  # noqa: N802 - Twisted's name
        """Hear how long the body is, None for a chunked one."""
        if length == 0:
            super().gotLength(length)
        else:
            self.loseConnection()


class _Site(Site):
    def log(self, request: HttpRequest) -> None:
        """Write no access log: it would have a line for each scrape."""


class _Bounded(WrappingFactory):
    def buildProtocol(self, addr: IAddress | None) -> ProtocolWrapper | None:  # type: ignore[override]
        """Return what serves a connection, None to close one above the bound."""
        if len(self.protocols) >= MAX_CONNECTIONS:
            return None
        return super().buildProtocol(addr)


class _Folder(Resource):
    """A path with pages below it, and none of its own."""

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Return what answers 404."""
        return notFound()

    def render(self, request: Request) -> bytes | int:
        """Answer 404."""
        return cast("bytes | int", notFound().render(request))


#: What every answer tells a browser: to run nothing that is not a file of this site, whatever a
#: client calls itself, to guess no type, and to show it in no page of others.
_HEADERS: Final = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'self'; base-uri 'none'; form-action 'none';"
    b" frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
}


def _begin(request: Request, *methods: bytes) -> bool:
    """Set what every answer has; return whether the method is among those that there are."""
    for name, value in _HEADERS.items():
        request.setHeader(name, value)
    if request.method in methods:
        return True
    request.setResponseCode(NOT_ALLOWED)
    request.setHeader(b"allow", b", ".join(methods))
    return False


class _File(Resource):
    """A file of this package, which is no secret."""

    isLeaf = True

    def __init__(self, name: str, content_type: bytes) -> None:
        super().__init__()
        self._content_type = content_type
        self._body = files("gnetway.admin").joinpath(name).read_bytes()

    def render(self, request: Request) -> bytes | int:
        """Answer with it; twisted.web leaves it out for HEAD."""
        if not _begin(request, b"GET", b"HEAD"):
            return b""
        request.setHeader(b"content-type", self._content_type)
        return self._body


_SCRIPT: Final = b"text/javascript; charset=utf-8"

#: The status page: path, file, type.
_FILES: Final = (
    (b"", "page.html", b"text/html; charset=utf-8"),
    (b"page.css", "page.css", b"text/css; charset=utf-8"),
    (b"page.js", "page.js", _SCRIPT),
    (b"list.js", "list.js", _SCRIPT),
    (b"parts.js", "parts.js", _SCRIPT),
)

_API_FILES: Final = ((b"schema", "api.schema.json", b"application/schema+json"),)


def _folder_of(known: Iterable[tuple[bytes, str, bytes]]) -> Resource:
    """Return a path with these files below it."""
    folder = _Folder()
    for path, name, content_type in known:
        folder.putChild(path, _File(name, content_type))
    return folder


class _Page(Resource):
    """A page made anew for each request; without the ``token`` it answers 401.

    What is ``for_operators`` is kept from strangers even without a token, see ``_refusal``. What
    ``acts`` answers POST, and nothing else.
    """

    isLeaf = True
    _log = Logger()

    def __init__(
        self,
        content_type: bytes,
        make: Callable[[Request], _Answer],
        token: str = "",
        for_operators: bool = False,
        acts: bool = False,
    ) -> None:
        super().__init__()
        self._content_type = content_type
        self._make = make
        self._token = token
        self._for_operators = for_operators
        self._acts = acts

    def render(self, request: Request) -> bytes | int:
        """Answer, or begin to."""
        if not _begin(request, *((b"POST",) if self._acts else (b"GET", b"HEAD"))):
            return b""
        given = request.getHeader(b"authorization") or b""
        if self._token and not compare_digest(given, b"Bearer " + self._token.encode()):
            request.setResponseCode(UNAUTHORIZED)
            request.setHeader(b"www-authenticate", b'Bearer realm="gnetway"')
            request.setHeader(b"content-type", _TEXT)
            return b"Authorization: Bearer, with Admin.Token, is asked for\n"
        if self._for_operators and (why_not := _refusal(request, self._token, self._acts)):
            request.setResponseCode(FORBIDDEN)
            request.setHeader(b"content-type", _TEXT)
            return f"{why_not}\n".encode()
        request.setHeader(b"content-type", self._content_type)
        Deferred.fromCoroutine(self._respond(request))
        return NOT_DONE_YET

    async def _respond(self, request: Request) -> None:
        gone = request.notifyFinish()
        # A client that leaves before its answer is no fault.
        gone.addErrback(lambda _: None)
        try:
            body = await self._make(request)
        except (QueryFault, NotFound) as fault:
            request.setResponseCode(NOT_FOUND if isinstance(fault, NotFound) else BAD_REQUEST)
            body = _packed({"error": str(fault)})
        except Exception:  # noqa: BLE001 - the page fails, and the gateway goes on
            self._log.failure("a page of the admin site failed")
            request.setResponseCode(INTERNAL_SERVER_ERROR)
            request.setHeader(b"content-type", _TEXT)
            body = b"failed: the gateway's log says why\n"
        if not gone.called:
            request.setHeader(b"content-length", b"%d" % len(body))
            if request.method != b"HEAD":
                request.write(body)
            request.finish()


#: What may name this machine in a request, beside addresses.
_LOCAL_NAMES: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})

#: With this header a page of another origin would need a permission that is never given.
ACT_HEADER: Final = b"x-gnetway-request"


def _refusal(request: Request, token: str, acts: bool) -> str:
    """Return why a request may not have what is for operators only; empty where it may."""
    if acts and not request.getHeader(ACT_HEADER):
        return "a header X-Gnetway-Request, of any value, is asked for"
    if token:
        return ""
    peer = request.getClientAddress()
    if isinstance(peer, UNIXAddress):
        return ""
    host = (request.getHeader(b"host") or b"").decode("latin-1")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    named = _is_address(name) or name in _LOCAL_NAMES
    if not (named and _is_loopback(getattr(peer, "host", ""))):
        return "Admin.Token is needed for this from elsewhere than this machine"
    return ""


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return _is_address(host) and ip_address(host).is_loopback


class _Connections(_Folder):
    """The list of connections, and below it each of them by its id."""

    def __init__(self, make: Callable[..., Resource]) -> None:
        super().__init__()
        self._make = make
        self._list = make("connections")

    def getChild(self, path: bytes, request: Request) -> IResource:
        """Return what answers for one connection, or for what is done to it."""
        number = path.decode("latin-1")
        if not number:
            return self._list
        following = list(request.postpath or ())
        if not following:
            return self._make("connection", number)
        if len(following) == 1 and following[0] in (b"end", b"drain"):
            return self._make(following[0].decode(), number, acts=True)
        return notFound()

    def render(self, request: Request) -> bytes | int:
        """Answer with the list."""
        return cast("bytes | int", self._list.render(request))


def admin_site(source: StatusSource, token: str, clock: IReactorTime) -> WrappingFactory:
    """Return the factory of the admin site."""

    async def healthz(_: Request) -> bytes:
        return b"ok\n"

    async def readyz(request: Request) -> bytes:
        reasons = (await source.status()).unready
        if not reasons:
            return b"ready\n"
        request.setResponseCode(SERVICE_UNAVAILABLE)
        return "".join(f"{reason}\n" for reason in reasons).encode()

    async def status(_: Request) -> bytes:
        return _packed((await source.status()).as_json())

    root = _folder_of(_FILES)
    api = _folder_of(_API_FILES)
    root.putChild(b"healthz", _Page(_TEXT, healthz))
    root.putChild(b"readyz", _Page(_TEXT, readyz))
    root.putChild(b"metrics", _metrics(source, token))
    root.putChild(b"api", api)
    api.putChild(b"status", _Page(_JSON, status, token))

    def question(what: str, number: str = "", acts: bool = False) -> Resource:
        async def answer(request: Request) -> bytes:
            given = _parameters(request)
            if number:
                given["id"] = number
            return _packed(await source.ask(what, given))

        return _Page(_JSON, answer, token, for_operators=True, acts=acts)

    async def drain(request: Request) -> bytes:
        if not source.drain():
            raise QueryFault("drain: the application that this gateway is a part of ends it")
        request.setResponseCode(ACCEPTED)
        return _packed({"done": "drain"})

    api.putChild(b"connections", _Connections(question))
    api.putChild(b"summary", question("summary"))
    api.putChild(b"failures", question("failures"))
    api.putChild(b"reload", question("reload", acts=True))
    api.putChild(b"reloads", question("reloads"))
    api.putChild(b"drain", _Page(_JSON, drain, token, for_operators=True, acts=True))
    return _factory(root, clock)


def metrics_site(source: StatusSource, path: str, clock: IReactorTime) -> WrappingFactory:
    """Return the factory of a site with the metrics at one path, as go-zero's Prometheus has it."""
    root = _Folder()
    *folders, name = path.strip("/").encode().split(b"/")
    parent: Resource = root
    for folder in folders:
        child = _Folder()
        parent.putChild(folder, child)
        parent = child
    parent.putChild(name, _metrics(source, ""))
    return _factory(root, clock)


def _packed(shown: Mapping[str, Any]) -> bytes:
    return json.dumps(shown, indent=1).encode() + b"\n"


def _parameters(request: Request) -> dict[str, str]:
    """Return the parameters of the address; of one that stands twice the last counts."""
    return {
        name.decode("utf-8", "replace"): values[-1].decode("utf-8", "replace")
        for name, values in request.args.items()
    }


def _metrics(source: StatusSource, token: str) -> Resource:
    async def metrics(_: Request) -> bytes:
        return render(await source.status())

    return _Page(CONTENT_TYPE.encode(), metrics, token)


def _factory(root: Resource, clock: IReactorTime) -> WrappingFactory:
    site = _Site(root, requestFactory=_Request, timeout=IDLE_SECONDS, reactor=clock)
    bounded = _Bounded(site)
    bounded.noisy = site.noisy = False
    return bounded
