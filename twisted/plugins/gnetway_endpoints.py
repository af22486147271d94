"""``mtproto:…`` in Twisted's strings for servers; what it needs is loaded on use."""

from twisted.internet.interfaces import (
    IReactorCore,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IPlugin, IStreamServerEndpointStringParser)
class MtprotoParser:
    r"""Parses ``mtproto:tcp\:10443:key=server.key``."""

    prefix = "mtproto"

    def parseStreamServer(  # noqa: N802
        self, reactor: IReactorCore, *args: object, **kwargs: object
    ) -> IStreamServerEndpoint:
        """Return the endpoint; see docs/embedding.md for the options.

        :raises ValueError, gnetway.errors.ConfigError: what is wrong with them.
        """
        from gnetway.service.endpoints import parse_endpoint  # noqa: PLC0415

        inner, options = map(str, args), {name: str(value) for name, value in kwargs.items()}
        return parse_endpoint(reactor, *inner, **options)


mtproto = MtprotoParser()
