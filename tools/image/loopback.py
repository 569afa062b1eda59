"""Own the start of a command where there is no network but loopback: called by `unshare --net`, it brings that up."""

import fcntl
import os
import socket
import struct
import sys

SIOCSIFFLAGS = 0x8914
IFF_UP = 1


def main() -> None:
    """Bring loopback up, and become the command that the arguments name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606  # no shell


if __name__ == "__main__":
    main()
