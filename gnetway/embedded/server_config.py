"""What help.getConfig and help.getNearestDc are answered: one data centre, this gateway.

The numbers that clients act upon are Telegram's usual ones. The constructors are those of layer
164 and later; Telethon 1.45 and Kurigram 2.2 (both layer 229) read them.

Source: core.telegram.org/constructor/config, /constructor/dcOption, /constructor/nearestDc
"""

from collections.abc import Iterable
from ipaddress import ip_address
from struct import Struct
from typing import Final

from gnetway.tl.constructors import Constructor
from gnetway.tl.primitives import pack_int32, pack_string, pack_uint32

#: The data centre this gateway says it is.
THIS_DC: Final = 2

#: How long a client may use a config before it asks again, in seconds.
CONFIG_SECONDS: Final = 3600

_CONFIG: Final = 0xCC1A241E
_DC_OPTION: Final = 0x18B7A10D
_NEAREST_DC: Final = 0x8E1A1775

_DC_OPTION_IPV6: Final = 1

#: A code for "no country": clients choose a phone prefix by it.
_COUNTRY: Final = b"XX"

_NUMBERS: Final = Struct("<17i").pack(
    200,  # chat_size_max
    200_000,  # megagroup_size_max
    100,  # forwarded_count_max
    210_000,  # online_update_period_ms
    5_000,  # offline_blur_timeout_ms
    30_000,  # offline_idle_timeout_ms
    300_000,  # online_cloud_timeout_ms
    30_000,  # notify_cloud_delay_ms
    1_500,  # notify_default_delay_ms
    60_000,  # push_chat_period_ms
    2,  # push_chat_limit
    172_800,  # edit_time_limit, seconds
    2_147_483_647,  # revoke_time_limit, seconds
    2_147_483_647,  # revoke_pm_time_limit, seconds
    2_419_200,  # rating_e_decay, seconds
    200,  # stickers_recent_limit
    604_800,  # channels_read_media_period, seconds
)
_CALLS: Final = Struct("<4i").pack(
    20_000,  # call_receive_timeout_ms
    90_000,  # call_ring_timeout_ms
    30_000,  # call_connect_timeout_ms
    10_000,  # call_packet_timeout_ms
)
_LENGTHS: Final = Struct("<3i").pack(
    1024,  # caption_length_max
    4096,  # message_length_max
    THIS_DC,  # webfile_dc_id
)


def _reachable(host: str) -> str:
    """Return an address for ``host``: a wildcard names no place, so the machine's own is told."""
    address = ip_address(host)
    if not address.is_unspecified:
        return str(address)
    return "::1" if address.version == 6 else "127.0.0.1"


def _pack_dc_option(host: str, port: int) -> bytes:
    flags = _DC_OPTION_IPV6 if ":" in host else 0
    return (
        pack_uint32(_DC_OPTION)
        + pack_uint32(flags)
        + pack_int32(THIS_DC)
        + pack_string(host.encode("ascii"))
        + pack_int32(port)
    )


class ServerConfig:
    """The two answers.

    ``addresses`` are the IP addresses and ports that clients reach; 0.0.0.0 and :: stand for
    this machine.

    :raises ValueError: an address is no IP address.
    """

    def __init__(self, addresses: Iterable[tuple[str, int]]) -> None:
        reachable = dict.fromkeys((_reachable(host), port) for host, port in addresses)
        options = [_pack_dc_option(host, port) for host, port in reachable]
        self._rest = b"".join(
            (
                pack_uint32(Constructor.BOOL_FALSE),  # test_mode
                pack_int32(THIS_DC),
                pack_uint32(Constructor.VECTOR),
                pack_int32(len(options)),
                *options,
                pack_string(b""),  # dc_txt_domain_name
                _NUMBERS,
                _CALLS,
                pack_string(b""),  # me_url_prefix
                _LENGTHS,
            )
        )
        self.nearest_dc = (
            pack_uint32(_NEAREST_DC)
            + pack_string(_COUNTRY)
            + pack_int32(THIS_DC)
            + pack_int32(THIS_DC)
        )

    def config(self, now: float) -> bytes:
        """Return the config object; ``now`` is in Unix seconds."""
        date = int(now)
        no_flags = pack_uint32(0)
        times = pack_int32(date) + pack_int32(date + CONFIG_SECONDS)
        return pack_uint32(_CONFIG) + no_flags + times + self._rest
