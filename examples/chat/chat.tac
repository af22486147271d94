"""twistd -n --pidfile= -y chat.tac"""

import os

from chat.service import make_chat
from twisted.application.service import Application
from twisted.internet import reactor

application = Application("chat")
make_chat(
    reactor,
    address=os.environ.get("CHAT_ADDRESS", "0.0.0.0:10443"),
    key_file="server.key",
    key_store="keys.sqlite",
    database="chat.sqlite",
).setServiceParent(application)
