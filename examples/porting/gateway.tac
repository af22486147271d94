"""twistd -n --pidfile= --reactor=asyncio -y examples/porting/gateway.tac"""

import os
import sys

from twisted.application.service import Application
from twisted.internet import reactor

# twistd reads this file from wherever it is; what stands beside it is not on the path.
sys.path.insert(0, os.environ.get("PORTING", "examples/porting"))

from adapter import make_ported
from server import Server

application = Application("ported")
make_ported(
    Server(),
    reactor,
    os.environ.get("MTPROTO_ADDRESS", "127.0.0.1:10443"),
    os.environ.get("KEY_FILE", "etc/server_pkcs1.key"),
).setServiceParent(application)
