"""What the messages of a session begin with, kept while it stays the same."""

from gnetway.dispatch.client import Client
from gnetway.dispatch.encoding import client_head, data_lead
from gnetway.dispatch.request import DataRequest


class DataLead:
    """The bytes that all messages of one perm_auth_key_id, address and salt begin with.

    ``SessionQueue.straight`` reads the attributes itself: one call more would cost it a twentieth.
    """

    __slots__ = ("client_ip", "data", "ring_key", "salt")

    def __init__(self) -> None:
        self.data = b""
        self.ring_key = 0
        self.client_ip = ""
        self.salt = 0

    def update(self, server_id: str, client: Client, request: DataRequest) -> bytes:
        """Return the bytes for a request, made anew if something in them has changed."""
        # By the key that it was handed over under: a bind that is refused meanwhile takes it away.
        key, address, salt = request.ring_key, client.client_ip, request.salt
        if not self.data or (key, address, salt) != (self.ring_key, self.client_ip, self.salt):
            self.ring_key, self.client_ip, self.salt = key, address, salt
            self.data = data_lead(client_head(server_id, client, key), salt)
        return self.data
