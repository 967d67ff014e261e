"""A network bridge of a test's own, made with the kernel's calls so that no further package is needed."""

import fcntl
import random
import socket
import struct
from pathlib import Path

_ADD_BRIDGE, _DELETE_BRIDGE = 0x89A0, 0x89A1
_GET_FLAGS, _SET_FLAGS, _SET_ADDRESS, _SET_NETMASK = 0x8913, 0x8914, 0x8916, 0x891C
_UP = 1
_FIRST, _LAST = 64, 191


def free_network() -> str:
    """Return the first two numbers of a private /16 that no route of this machine touches, as in `10.97`."""
    taken = {_octets(line.split()[1])[:2] for line in Path("/proc/net/route").read_text().splitlines()[1:]}
    choices = [number for number in range(_FIRST, _LAST + 1) if (10, number) not in taken]
    return f"10.{random.choice(choices)}"


def add_bridge(name: str, address: str, netmask: str = "255.255.255.0") -> None:
    """Make a bridge with an address and bring it up."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as control:
        fcntl.ioctl(control, _ADD_BRIDGE, name.encode() + b"\0")
        fcntl.ioctl(control, _SET_ADDRESS, _with_address(name, address))
        fcntl.ioctl(control, _SET_NETMASK, _with_address(name, netmask))
        _set_up(control, name, up=True)


def delete_bridge(name: str) -> None:
    """Remove the bridge; one that is gone is fine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as control:
        try:
            _set_up(control, name, up=False)
            fcntl.ioctl(control, _DELETE_BRIDGE, name.encode() + b"\0")
        except OSError:
            return


def bring_up(name: str) -> None:
    """Bring an interface up, as a new network namespace wants it for its loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as control:
        _set_up(control, name, up=True)


def interfaces() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def _set_up(control: socket.socket, name: str, up: bool) -> None:
    answer = fcntl.ioctl(control, _GET_FLAGS, struct.pack("16sH14x", name.encode(), 0))
    flags = struct.unpack("16sH14x", answer)[1]
    flags = flags | _UP if up else flags & ~_UP
    fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sH14x", name.encode(), flags))


def _with_address(name: str, address: str) -> bytes:
    return struct.pack("16sHH4s8x", name.encode(), socket.AF_INET, 0, socket.inet_aton(address))


def _octets(route: str) -> tuple[int, ...]:
    """Return the numbers of an address as the kernel's route table writes it (little endian hex)."""
    return tuple(reversed(bytes.fromhex(route)))
