"""An unmodified Telethon connects to a gateway, pings it and prints the config it got.

    python examples/telethon_ping.py [--address 127.0.0.1:10443] [--key etc/server_pkcs1.key.pub]

Leaves with 0 if everything was answered.
"""

import argparse
import asyncio
import secrets

from telethon import TelegramClient, functions, types
from telethon.crypto import rsa
from telethon.sessions import MemorySession


async def talk(host: str, port: int, public_pem: str) -> None:
    # Telethon knows Telegram's own keys; a self-hosted server's key is added to them.
    rsa.add_key(public_pem, old=False)
    session = MemorySession()
    session.set_dc(2, host, port)
    # A server without accounts needs no real application: any api_id and api_hash will do.
    # One key in 256 begins with a zero, which Telethon drops; so it may try again.
    client = TelegramClient(session, 1, "0" * 32, timeout=10, connection_retries=2)
    await client.connect()
    ping_id = secrets.randbits(63)
    pong = await client(functions.PingRequest(ping_id))
    assert isinstance(pong, types.Pong) and pong.ping_id == ping_id
    print(f"ping {ping_id} was answered")
    config = await client(functions.help.GetConfigRequest())
    print(config.stringify())
    await client.disconnect()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="127.0.0.1:10443", help="host:port of the gateway")
    parser.add_argument("--key", default="etc/server_pkcs1.key.pub", help="its public key (PEM)")
    options = parser.parse_args()
    host, _, port = options.address.rpartition(":")
    with open(options.key) as file:
        public_pem = file.read()
    asyncio.run(asyncio.wait_for(talk(host, int(port), public_pem), 30))


if __name__ == "__main__":
    main()
