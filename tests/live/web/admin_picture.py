"""Make the picture of the status page that is in docs/, of a gateway with a few clients.

    python -m tests.live.web.admin_picture docs/admin.png

It takes a minute, for charts want something to show, and is said in docs/admin.md.
"""

import socket
import sys
import threading
from contextlib import ExitStack
from itertools import cycle
from typing import Final

from gnetway.testing import plain_packet
from gnetway.tl.key_exchange import ReqPq
from tests.live.client import LiveClient
from tests.live.gateway import Gateway
from tests.live.test_admin import TOKEN, AdminPage
from tests.live.web.test_admin import say
from tests.live.web.tools import require_browser, run_client

SECONDS: Final = 36

#: Pixels of the page, from its top, that are in the picture.
HEIGHT: Final = 1056

#: Device, version and language pack, as often as they stand here.
CLIENTS: Final = (
    *[("Pixel 7", "11.2", "android")] * 9,
    *[("iPhone 15", "11.3", "ios")] * 5,
    *[("Desktop", "5.8", "tdesktop")] * 4,
    *[("Chrome 130", "2.1", "webk")] * 2,
    ("Telethon", "1.45", ""),
)


def give_up(gateway: Gateway) -> None:
    """Begin a key exchange as a client does that has another server's key."""
    with LiveClient(gateway) as client:
        client.send(plain_packet(ReqPq(bytes(16), multi=True).pack(), 1))
        client.receive()


def greet_by_tls(gateway: Gateway) -> None:
    """Send the beginning of TLS where it is not spoken."""
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        client.sendall(b"\x16\x03\x01\x02\x00\x01" + bytes(100))
        client.recv(1)


def say_hello(gateway: Gateway) -> None:
    """Ask for HTTP where it is not spoken."""
    with socket.create_connection(("127.0.0.1", gateway.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
        client.recv(1)


def come_and_go(gateway: Gateway, done: threading.Event) -> None:
    """Be a client after the other, and leave together now and then, until it is done."""
    others = cycle((give_up, say_hello, greet_by_tls, say_hello, give_up))
    with ExitStack() as stack:
        for number, client in enumerate(cycle(CLIENTS[::-1])):
            if done.wait(0.1 + 0.1 * (number * number % 7)):
                break
            say(stack.enter_context(LiveClient(gateway)), *client)
            if number % 9 == 8:
                stack.close()
                next(others)(gateway)


def main(picture: str) -> None:
    gateway, admin = Gateway(), AdminPage()
    done = threading.Event()
    try:
        gateway.config["Admin"] = admin.config
        # No path of this machine is in the picture.
        gateway.config["Session"] = {"Embedded": {"Store": "memory"}}
        gateway.write_config()
        gateway.start()
        with ExitStack() as stack:
            for client in CLIENTS:
                say(stack.enter_context(LiveClient(gateway)), *client)
            others = threading.Thread(target=come_and_go, args=(gateway, done))
            others.start()
            page = f"http://127.0.0.1:{admin.port}/"
            wish = {"page": page, "chromium": require_browser(), "token": TOKEN}
            run_client(
                "admin.mjs", {**wish, "picture": picture, "seconds": SECONDS, "height": HEIGHT}
            )
            done.set()
            others.join()
    finally:
        done.set()
        gateway.remove()


if __name__ == "__main__":
    main(*sys.argv[1:])
