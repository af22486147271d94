"""What stands for one client where shares are counted by address."""

from ipaddress import IPv6Address


def client_network(client_ip: str) -> str:
    """Return an IPv4 address as it is, and of an IPv6 one its /64: a client has all of that.

    What is no IP address, such as the name for clients of a socket in the file system, is returned
    as it is.
    """
    if ":" not in client_ip:
        return client_ip
    try:
        address = IPv6Address(client_ip.partition("%")[0])
    except ValueError:
        return client_ip
    # A socket for both families shows IPv4 addresses as ::ffff:192.0.2.7, all in one /64.
    return str(address.ipv4_mapped or address.exploded[:19])
