"""The attacks by key: what each is called, what it needs of a gateway, and what is looked at."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from benchmarks.hostile import (
    attacks_grpc,
    attacks_http,
    attacks_packets,
    attacks_tcp,
    attacks_websocket,
)
from benchmarks.hostile.target import Target


class Setting(NamedTuple):
    """What kind of gateway is attacked.

    ``remote`` has a session node behind it and ListenOn; with ``few_files`` it
    may open 512 files.
    """

    remote: bool = False
    few_files: bool = False

    def __str__(self) -> str:
        backend = "remote" if self.remote else "embedded"
        return f"{backend}, 512 files" if self.few_files else backend


class Row(NamedTuple):
    """One line of the table.

    ``slow_reader`` has a victim more, who reads large answers slowly. In an ``outage`` the session
    node is away while the attack goes on: messages wait for it, and only an end of the victim's
    connection counts. ``most_times`` is how much longer than alone a stranger's key exchange may
    take; 0 where that is not judged. ``to_refuse``: the attack is one of too much of something that
    costs others nothing here, and has to be cut short.
    """

    key: str
    name: str
    attack: Callable[[Target], None]
    setting: Setting = Setting()
    slow_reader: bool = False
    outage: bool = False
    most_times: float = 0.0
    to_refuse: bool = False


_REMOTE = Setting(remote=True)

ROWS: tuple[Row, ...] = (
    Row("resend", "one answer asked for 2 million times", attacks_packets.resend_bomb),
    Row("json", "4 million JSON nulls, unbound key", attacks_packets.json_bomb),
    Row("state", "the state of 2 million messages", attacks_packets.state_request),
    Row("salts", "1,000 get_future_salts", attacks_packets.future_salts),
    Row("zeros", "16 MiB of zeros in 16 KB", attacks_packets.gzip_zeros),
    Row("bombs", "gzip bombs on ten links", attacks_packets.gzip_bombs),
    Row("binds", "1,000 binds with a proof of one block", attacks_packets.bad_binds),
    Row("ws-head", "a WebSocket head of 16 MiB", attacks_websocket.long_head),
    Row("ws-heads", "16 heads of 8 MiB, 1,000 slow ones", attacks_websocket.long_heads),
    Row("ws-fragments", "fragments of a byte, six links", attacks_websocket.fragments),
    Row("unfinished", "30 unfinished packets of 15 MiB", attacks_tcp.unfinished_packets),
    Row("exchanges", "4,096 unfinished key exchanges", attacks_tcp.exchange_table),
    Row(
        "connections",
        "all connections that can be had",
        attacks_tcp.all_connections,
        Setting(few_files=True),
    ),
    Row("rsa", "96 key exchanges at a time", attacks_tcp.rsa_work, most_times=2.0),
    Row("unknown", "unknown keys", attacks_tcp.unknown_keys, _REMOTE, to_refuse=True),
    Row("unread", "12 links full of answers", attacks_tcp.unread_answers, slow_reader=True),
    Row("gigabyte", "12 links that ask for 1 GB", attacks_tcp.gigabyte_unread),
    Row("pipelined", "10,000 HTTP requests in a row", attacks_http.pipelined),
    Row("chunks", "an HTTP body in chunks of 2 bytes", attacks_http.tiny_chunks),
    Row("outage", "a full buffer in an outage", attacks_tcp.outage_buffer, _REMOTE, outage=True),
    Row("grpc-paths", "1,000 gRPC paths of 4,000 bytes", attacks_grpc.long_paths, _REMOTE),
    Row("grpc-messages", "20 unfinished gRPC messages", attacks_grpc.unfinished_messages, _REMOTE),
    Row("grpc-streams", "64 push streams of a stranger", attacks_grpc.push_streams, _REMOTE),
    Row("grpc-settings", "10,922 entries of SETTINGS", attacks_grpc.many_settings, _REMOTE),
)


def chosen(offered: Iterable[Row], beginnings: Iterable[str]) -> list[Row]:
    """Return the rows whose key begins with one of ``beginnings``; all if there are none.

    :raises ValueError: a beginning fits no row.
    """
    rows, wanted = list(offered), tuple(beginnings)
    for beginning in wanted:
        if not any(row.key.startswith(beginning) for row in rows):
            raise ValueError(f"no row {beginning}; there are: {' '.join(row.key for row in rows)}")
    return [row for row in rows if not wanted or row.key.startswith(wanted)]
