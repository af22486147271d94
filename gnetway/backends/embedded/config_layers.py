"""The numbers of help.getConfig, and in which constructor a client of which layer has them.

    up to 144    config#330b4067
    145 to 154   config#232566ac   has room for a default reaction, which is not said here
    from 155     config#cc1a241e   without the limits that only users have

A client whose layer has another constructor cannot read the answer, and asks again for ever.
The numbers are Telegram's usual ones.

Source: core.telegram.org/constructor/config?layer=144, ?layer=152, ?layer=155
"""

from struct import pack
from typing import Final, NamedTuple


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


#: The last layer of each form, in their order; layers after them have the newest.
_OLDER: Final = (
    (144, ConfigForm(0x330B4067, _pack_numbers(with_user_limits=True))),
    (_LAST_WITH_USER_LIMITS, ConfigForm(0x232566AC, _pack_numbers(with_user_limits=True))),
)
_NEWEST: Final = ConfigForm(0xCC1A241E, _pack_numbers(with_user_limits=False))


def config_form(layer: int) -> ConfigForm:
    """Return the form that clients of a layer read; layers to come are taken to have the newest."""
    for last, form in _OLDER:
        if layer <= last:
            return form
    return _NEWEST
