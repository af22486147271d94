"""``twistd gnetway``: the command line, and the only place that imports the reactor."""

import atexit
import os
import signal
import sys
from collections.abc import Callable
from typing import ClassVar, NoReturn, cast

from twisted.application.service import IService
from twisted.python import usage

from gnetway._version import __version__
from gnetway.config.load import load_file
from gnetway.errors import ConfigError
from gnetway.interfaces import IGatewayReactor
from gnetway.service.gateway import GatewayService


class Options(usage.Options):
    """The options behind ``twistd [its own options] gnetway``."""

    synopsis = "[options]"
    longdesc = "An MTProto network gateway; its configuration says what it listens on."
    optParameters: ClassVar = [
        ["config", "c", "etc/gnetway.yaml", "The configuration file (YAML)."],
    ]

    def opt_version(self) -> NoReturn:
        """Print the version of gnetway and leave."""
        sys.stdout.write(f"gnetway {__version__}\n")
        raise SystemExit(0)


def makeService(options: usage.Options) -> IService:
    """Build the gateway from its configuration file.

    Faults of the configuration, ports that are taken included, are printed line by line and end
    the process with status 1, before twistd has become a daemon. A start that fails later ends it
    with that status too.
    """
    from twisted.internet import reactor as installed  # noqa: PLC0415, TID251

    reactor = cast(IGatewayReactor, installed)
    try:
        gateway = GatewayService(load_file(options["config"]), reactor, own_process=True)
        gateway.prepare()
    except ConfigError as error:
        for fault in error.faults:
            sys.stderr.write(f"gnetway: {fault}\n")
        raise SystemExit(1) from None
    _on_hangup(lambda: reactor.callFromThread(gateway.reload_certificates))
    atexit.register(_leave, gateway)
    return gateway


def _leave(gateway: GatewayService) -> None:
    """Have the process end with status 1 if the gateway could not start; twistd says 0."""
    if gateway.failure is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def _on_hangup(act: Callable[[], object]) -> None:
    """Call ``act`` at each SIGHUP; Twisted leaves that signal alone, so it would end the process.

    A handler may interrupt the reactor anywhere, hence ``callFromThread``.
    """
    signal.signal(signal.SIGHUP, lambda *_: act())
