"""The admin site: what balancers, Prometheus and people ask a gateway, over HTTP.

    GET /healthz      200 while the process works at all; no token
    GET /readyz       200 where clients can be served, else 503 and why, a line each; no token
    GET /metrics      for Prometheus
    GET /api/status   all of it as JSON

It changes nothing and shows no secret: no key, no id of one, no address of a client.
"""

# mypy: disallow-untyped-calls=False
# (twisted.web has few types)

import json
from collections.abc import Callable, Coroutine
from hmac import compare_digest
from typing import Any, Final, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.http import INTERNAL_SERVER_ERROR, NOT_ALLOWED, SERVICE_UNAVAILABLE, UNAUTHORIZED
from twisted.web.http import Request as HttpRequest
from twisted.web.pages import notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from gnetway.admin.metrics import CONTENT_TYPE, render
from gnetway.admin.status import StatusSource

#: Seconds without a request after which a connection is closed; scrapes come every 15 to 60.
IDLE_SECONDS: Final = 90

#: Connections at a time: some Prometheus servers, balancers and people, and no flood.
MAX_CONNECTIONS: Final = 64

_Answer = Coroutine["Deferred[Any]", Any, bytes]

_TEXT: Final = b"text/plain; charset=utf-8"


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


class _Page(Resource):
    """A page made anew for each request; without the ``token`` it answers 401."""

    isLeaf = True
    _log = Logger()

    def __init__(
        self, content_type: bytes, make: Callable[[Request], _Answer], token: str = ""
    ) -> None:
        super().__init__()
        self._content_type = content_type
        self._make = make
        self._token = token.encode()

    def render(self, request: Request) -> bytes | int:
        """Answer GET and HEAD."""
        if request.method not in (b"GET", b"HEAD"):
            request.setResponseCode(NOT_ALLOWED)
            request.setHeader(b"allow", b"GET, HEAD")
            return b""
        request.setHeader(b"cache-control", b"no-store")
        given = request.getHeader(b"authorization") or b""
        if self._token and not compare_digest(given, b"Bearer " + self._token):
            request.setResponseCode(UNAUTHORIZED)
            request.setHeader(b"www-authenticate", b'Bearer realm="gnetway"')
            request.setHeader(b"content-type", _TEXT)
            return b"Authorization: Bearer, with Admin.Token, is asked for\n"
        request.setHeader(b"content-type", self._content_type)
        Deferred.fromCoroutine(self._respond(request))
        return NOT_DONE_YET

    async def _respond(self, request: Request) -> None:
        gone = request.notifyFinish()
        # A client that leaves before its answer is no fault.
        gone.addErrback(lambda _: None)
        try:
            body = await self._make(request)
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
        return json.dumps((await source.status()).as_json(), indent=1).encode() + b"\n"

    root = _Folder()
    api = _Folder()
    root.putChild(b"healthz", _Page(_TEXT, healthz))
    root.putChild(b"readyz", _Page(_TEXT, readyz))
    root.putChild(b"metrics", _metrics(source, token))
    root.putChild(b"api", api)
    api.putChild(b"status", _Page(b"application/json", status, token))
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


def _metrics(source: StatusSource, token: str) -> Resource:
    async def metrics(_: Request) -> bytes:
        return render(await source.status())

    return _Page(CONTENT_TYPE.encode(), metrics, token)


def _factory(root: Resource, clock: IReactorTime) -> WrappingFactory:
    site = _Site(root, requestFactory=_Request, timeout=IDLE_SECONDS, reactor=clock)
    bounded = _Bounded(site)
    bounded.noisy = site.noisy = False
    return bounded
