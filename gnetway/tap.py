"""``twistd gnetway``: the command line, and the only place that imports the reactor."""

import sys
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
    the process with status 1, before twistd has become a daemon.
    """
    from twisted.internet import reactor  # noqa: PLC0415, TID251

    try:
        gateway = GatewayService(load_file(options["config"]), cast(IGatewayReactor, reactor))
        gateway.prepare()
    except ConfigError as error:
        for fault in error.faults:
            sys.stderr.write(f"gnetway: {fault}\n")
        raise SystemExit(1) from None
    return gateway
