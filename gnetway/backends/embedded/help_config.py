"""What help.getConfig and help.getNearestDc are answered: one data centre, this gateway.

dc_options are what a client dials from then on, so each entry has to be one that it can use:

- every address stands there twice, plain and then `static`: MadelineProto drops static entries,
  grammers takes only those, and whoever takes the first one gets the plain one;
- IPv6 comes after IPv4, and what is for media only after what is for everything, since Telethon and
  GramJS take the first entry of a data centre, whatever it is for;
- a listener on all addresses is at the one that this client came to;
- a loopback address is for clients on this machine.

Emergency addresses (dc_txt_domain_name) are none: clients would look for Telegram's. webfile_dc_id
is this data centre, since a client makes a key with whatever it names. Production builds throw a
config with test_mode away.

Source: core.telegram.org/constructor/config, /constructor/dcOption, /constructor/nearestDc
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import pack
from typing import Final, NamedTuple

from gnetway.tl.primitives import Constructor, pack_int32, pack_string, pack_uint32

#: The data centre this gateway says it is, if the configuration names none: the one that stock
#: clients begin with (Desktop, Android, iOS, both web clients, most libraries).
DEFAULT_DC: Final = 2

#: How long a client may use a config before it asks again, in seconds.
CONFIG_SECONDS: Final = 3600

_DC_OPTION: Final = 0x18B7A10D
_NEAREST_DC: Final = 0x8E1A1775

_IPV6: Final = 1
_MEDIA_ONLY: Final = 2
_STATIC: Final = 16

#: A code for "no country": clients choose a phone prefix by it.
_COUNTRY: Final = b"XX"

#: caption_length_max and message_length_max, in characters.
_LENGTHS: Final = pack_int32(1024) + pack_int32(4096)


_Ip = IPv4Address | IPv6Address


class DcAddress(NamedTuple):
    """An address for clients; ``host`` is an IP address, 0.0.0.0 and :: mean any of the machine."""

    host: str
    port: int
    media_only: bool = False


class _DcOption(NamedTuple):
    """An address as clients are told; sorts as they are told in."""

    is_ipv6: bool
    media_only: bool
    host: str
    port: int

    def pack(self, this_dc: int) -> bytes:
        """Return its two dcOptions."""
        flags = (_IPV6 if self.is_ipv6 else 0) | (_MEDIA_ONLY if self.media_only else 0)
        where = pack_int32(this_dc) + pack_string(self.host.encode()) + pack_int32(self.port)
        kind = pack_uint32(_DC_OPTION)
        return kind + pack_uint32(flags) + where + kind + pack_uint32(flags | _STATIC) + where


class HelpConfig:
    """The two answers.

    ``addresses`` are those of the listeners that clients can dial, in their order; ``this_dc`` is
    the number of the data centre.

    :raises ValueError: an address is no IP address.
    """

    def __init__(
        self, addresses: Iterable[tuple[str, int] | DcAddress], this_dc: int = DEFAULT_DC
    ) -> None:
        self._addresses: list[tuple[_Ip, DcAddress]] = []
        for address in addresses:
            self.add(DcAddress(*address))
        self._this_dc = this_dc
        self._dc = pack_int32(this_dc)
        self.nearest_dc = pack_uint32(_NEAREST_DC) + pack_string(_COUNTRY) + self._dc + self._dc

    def add(self, address: DcAddress) -> None:
        """Tell clients of another address, after the others.

        :raises ValueError: it is no IP address.
        """
        self._addresses.append((ip_address(address.host), address))

    def config(self, now: float, layer: int, client_ip: str, local_ip: str) -> bytes:
        """Return the config object for a client; ``now`` is in Unix seconds.

        ``client_ip`` is where the client comes from, ``local_ip`` the address it came to; what is
        no IP address, such as that of a client behind a socket in the file system, says nothing.
        """
        date = int(now)
        form = next((form for last, form in _OLDER if layer <= last), _NEWEST)
        places = self._places(_read(client_ip), _read(local_ip))
        return b"".join(
            (
                pack_uint32(form.constructor),
                pack_uint32(0),  # flags: no blocked_mode, which hurries the emergency addresses
                pack_int32(date),
                pack_int32(date + CONFIG_SECONDS),
                pack_uint32(Constructor.BOOL_FALSE),  # test_mode
                self._dc,
                pack_uint32(Constructor.VECTOR),
                pack_int32(2 * len(places)),
                *[place.pack(self._this_dc) for place in places],
                pack_string(b""),  # dc_txt_domain_name
                form.numbers,
                pack_string(b""),  # me_url_prefix
                _LENGTHS,
                self._dc,  # webfile_dc_id
            )
        )

    def _places(self, client: _Ip | None, local: _Ip | None) -> list[_DcOption]:
        """Return what a client is told, each place once."""
        is_near = client is not None and client.is_loopback
        places: dict[_DcOption, None] = {}
        for address, written in self._addresses:
            ip: _Ip | None = address
            if address.is_unspecified:
                ip = local if local is not None and local.version == address.version else None
            # A link-local IPv6 address leads nowhere without the name of an interface.
            is_ipv6 = ip is not None and ip.version == 6
            if ip is None or ip.is_unspecified or (is_ipv6 and ip.is_link_local):
                continue
            if ip.is_loopback and not is_near:
                continue
            places[_DcOption(is_ipv6, written.media_only, str(ip), written.port)] = None
        return sorted(places, key=lambda place: place[:2])


def _read(text: str) -> _Ip | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


# The numbers of help.getConfig, and in which constructor a client of which layer has them.
#
#     up to 144    config#330b4067
#     145 to 154   config#232566ac   has room for a default reaction, which is not said here
#     from 155     config#cc1a241e   without the limits that only users have
#
# A client whose layer has another constructor cannot read the answer, and asks again for ever.
# The numbers are Telegram's usual ones.
#
# See core.telegram.org/constructor/config?layer=144, ?layer=152, ?layer=155


class ConfigForm(NamedTuple):
    """A constructor of config: its id, and its numbers from chat_size_max to the last of calls."""

    constructor: int
    numbers: bytes


#: The last layer whose config has the limits that only users have.
_LAST_WITH_USER_LIMITS: Final = 154

#: The numbers in their order: the value, and whether only layers up to 154 have it.
_NUMBERS: Final[tuple[tuple[int, bool], ...]] = (
    (200, False),  # chat_size_max
    (200_000, False),  # megagroup_size_max
    (100, False),  # forwarded_count_max
    (210_000, False),  # online_update_period_ms
    (5_000, False),  # offline_blur_timeout_ms
    (30_000, False),  # offline_idle_timeout_ms
    (300_000, False),  # online_cloud_timeout_ms
    (30_000, False),  # notify_cloud_delay_ms
    (1_500, False),  # notify_default_delay_ms
    (60_000, False),  # push_chat_period_ms
    (2, False),  # push_chat_limit
    (200, True),  # saved_gifs_limit
    (172_800, False),  # edit_time_limit, seconds
    (2_147_483_647, False),  # revoke_time_limit, seconds
    (2_147_483_647, False),  # revoke_pm_time_limit, seconds
    (2_419_200, False),  # rating_e_decay, seconds
    (200, False),  # stickers_recent_limit
    (5, True),  # stickers_faved_limit
    (604_800, False),  # channels_read_media_period, seconds
    (5, True),  # pinned_dialogs_count_max
    (100, True),  # pinned_infolder_count_max
    (20_000, False),  # call_receive_timeout_ms
    (90_000, False),  # call_ring_timeout_ms
    (30_000, False),  # call_connect_timeout_ms
    (10_000, False),  # call_packet_timeout_ms
)


def _pack_numbers(with_user_limits: bool) -> bytes:
    values = [value for value, only_old in _NUMBERS if with_user_limits or not only_old]
    return pack(f"<{len(values)}i", *values)


#: The last layer of each form, in their order; layers after them, also those that are to come, are
#: taken to have the newest.
_OLDER: Final = (
    (144, ConfigForm(0x330B4067, _pack_numbers(with_user_limits=True))),
    (_LAST_WITH_USER_LIMITS, ConfigForm(0x232566AC, _pack_numbers(with_user_limits=True))),
)
_NEWEST: Final = ConfigForm(0xCC1A241E, _pack_numbers(with_user_limits=False))
