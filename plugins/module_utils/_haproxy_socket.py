# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Give commands to haproxy's runtime socket. Runs beside haproxy, on the controller or on a host of the inventory."""

import socket
from typing import Any, Dict, Tuple, Union

SECONDS = 10.0


def answer(request: Dict[str, Any]) -> Dict[str, Any]:
    """Give commands, one after the other, and return what haproxy answers to each.

    :param request: C(socket), a path or C(HOST:PORT), and C(commands).
    :returns: C(answers), texts.
    """
    return {"answers": [_ask(request["socket"], command) for command in request["commands"]]}


def _ask(place: str, command: str) -> str:
    family, address = _address(place)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(SECONDS)
            connection.connect(address)
            connection.sendall(command.encode("utf-8") + b"\n")
            parts = b""
            while True:
                part = connection.recv(65536)
                if not part:
                    return parts.decode("utf-8", "replace")
                parts += part
    except OSError as error:
        raise OSError(f"the socket {place} of haproxy cannot be reached: {error.strerror or error}") from error


def _address(place: str) -> Tuple[socket.AddressFamily, Union[str, Tuple[str, int]]]:
    host, colon, port = place.rpartition(":")
    if "/" in place or not colon or not port.isdigit():
        return socket.AF_UNIX, place
    host = host.strip("[]")
    return (socket.AF_INET6 if ":" in host else socket.AF_INET), (host, int(port))
