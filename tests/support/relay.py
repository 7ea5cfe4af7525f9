# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let hosts of the tests' own reach a server that listens on loopback alone."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def relay(address: str, port: int) -> Iterator[int]:
    """Pass on what arrives at an address of this machine to a port of loopback; gives the port to connect to.

    :param address: to listen on, one that only the tests' hosts can reach.
    :param port: of the server on 127.0.0.1.
    """
    with socket.create_server((address, 0)) as listener:
        threading.Thread(target=_accept, args=(listener, port), daemon=True).start()
        yield listener.getsockname()[1]


def _accept(listener: socket.socket, port: int) -> None:
    while True:
        try:
            here, _from = listener.accept()
        except OSError:
            return
        there = socket.create_connection(("127.0.0.1", port))
        for source, target in ((here, there), (there, here)):
            threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end, how in ((source, socket.SHUT_RD), (target, socket.SHUT_WR)):
        with contextlib.suppress(OSError):
            end.shutdown(how)
