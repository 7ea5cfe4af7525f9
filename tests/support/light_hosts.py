# Copyright: agentless.codedeploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts of the tests' own, reached over real ssh: a network namespace, an overlay over a small Debian, and an sshd.

Everything of a host hangs on one process: its namespaces, its file system on a tmpfs, its end of the network cable.
The kernel kills that process when the process that made it ends in whatever way, so that nothing is left behind.
Needs root, and a kernel with overlayfs.
"""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

import yaml
from support.debian_packages import install_packages, installable
from support.root_file_system import LOGIN_USER, LightHostError, root_file_system, run
from support.waiting import LONGEST

# In namespaces of its own, and killed with the process that starts it.
ALONE = ["setpriv", "--pdeathsig", "KILL"]
ALONE += ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child"]

START = """
set -e
mount -t tmpfs -o mode=0755 light-host "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o lowerdir="$2",upperdir="$1/upper",workdir="$1/work" light-host "$1/root"
cd "$1/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=0755 dev dev
mount -t tmpfs -o mode=1777 tmp tmp
mount -t tmpfs -o mode=0755 run run
mkdir dev/pts dev/shm run/sshd
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mknod -m 0666 dev/null c 1 3
mknod -m 0666 dev/zero c 1 5
mknod -m 0666 dev/full c 1 7
mknod -m 0666 dev/random c 1 8
mknod -m 0666 dev/urandom c 1 9
mknod -m 0666 dev/tty c 5 0
hostname "$3"
echo "$3" > etc/hostname
echo "127.0.0.1 localhost $3" > etc/hosts
for home in root home/LOGIN_USER; do
    mkdir -p "$home/.ssh"
    cp "$4" "$home/.ssh/authorized_keys"
    chmod 0700 "$home/.ssh"
    chmod 0600 "$home/.ssh/authorized_keys"
    chown -R --reference="$home" "$home/.ssh"
done
exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin /usr/bin/python3 /sbin/light-host-init
""".replace("LOGIN_USER", LOGIN_USER)

# What the shell that starts the host has become when the host is its own.
INIT_COMMAND = b"/usr/bin/python3\0/sbin/light-host-init\0"

# Addresses that are set aside for tests of networks (RFC 2544): a fleet has a number, each host a pair of addresses.
ADDRESS = "198.18.{fleet}.{last}"
LARGEST_FLEET = 60


class LightHost:
    """One host. ``name`` is its name in the inventory, ``address`` its IPv4 address."""

    def __init__(self, name: str, fleet: int, index: int, directory: Path, root: Path, public_key: Path) -> None:
        self.name = name
        self.address = ADDRESS.format(fleet=fleet, last=4 * index + 2)
        #: This machine's own address on the host's cable.
        self.gateway = ADDRESS.format(fleet=fleet, last=4 * index + 1)
        self._interface = f"cdlight{fleet}n{index}"
        directory.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [*ALONE, "sh", "-c", START, "sh", str(directory), str(root), name, str(public_key)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._first_process()
        self._connect(self.gateway)
        self.start_sshd()

    def _first_process(self) -> int:
        """Return the process id of the host's init as seen from here, once it has become that."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline and self._process.poll() is None:
            for child in children.read_text().split():
                if Path(f"/proc/{child}/cmdline").read_bytes() == INIT_COMMAND:
                    return int(child)
            time.sleep(0.02)
        self._process.kill()
        raise LightHostError(f"host {self.name} does not start: {self._process.communicate()[1].strip()}")

    def _connect(self, gateway: str) -> None:
        """Lay a network cable between here and the host."""
        inside = ["nsenter", "--target", str(self.pid), "--net", "ip"]
        self._disconnect()
        run(["ip", "link", "add", self._interface, "type", "veth", "peer", "name", "eth0", "netns", str(self.pid)])
        run(["ip", "address", "add", f"{gateway}/30", "dev", self._interface])
        run(["ip", "link", "set", self._interface, "up"])
        run([*inside, "link", "set", "lo", "up"])
        run([*inside, "address", "add", f"{self.address}/30", "dev", "eth0"])
        run([*inside, "link", "set", "eth0", "up"])
        run([*inside, "route", "add", "default", "via", gateway])

    def _disconnect(self) -> None:
        """Remove the cable. The kernel does it too, but some time after the host has ended."""
        subprocess.run(["ip", "link", "delete", self._interface], stderr=subprocess.DEVNULL, check=False)

    def run(self, *argv: str, user: str = "root", check: bool = True) -> str:
        """Run a command on the host, not over ssh, and return its output."""
        enter = ["nsenter", "--target", str(self.pid), "--all", "--root", "--wd"]
        become = ["setpriv", "--init-groups", f"--reuid={user}", f"--regid={user}"]
        environment = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
        done = subprocess.run([*enter, *become, *environment, *argv], capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise LightHostError(f"{self.name}: {' '.join(argv)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def path(self, absolute: str) -> Path:
        """Return a path of the host's file system as a path that can be read and written here."""
        return Path(f"/proc/{self.pid}/root{absolute}")

    def start_sshd(self) -> None:
        """Start sshd and wait until it answers."""
        self.run("/usr/sbin/sshd")
        deadline = time.monotonic() + LONGEST
        while True:
            try:
                with socket.create_connection((self.address, 22), timeout=2) as connection:
                    if connection.recv(4) == b"SSH-":
                        return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise LightHostError(f"sshd of {self.name} does not answer: {error}") from error
                time.sleep(0.05)

    def stop_sshd(self) -> None:
        """End sshd and every connection of it: new connections are refused at once."""
        self.run("pkill", "-KILL", "-x", "sshd", check=False)

    def unplug(self) -> None:
        """Take the network cable out: packets go nowhere, connections end in a time-out."""
        run(["ip", "link", "set", self._interface, "down"])

    def plug_in(self) -> None:
        """Undo :meth:`unplug`."""
        run(["ip", "link", "set", self._interface, "up"])

    def small_disk(self, path: str, size: str = "1m") -> None:
        """Mount an empty file system of a size (as of tmpfs's ``size=``) on a path of the host."""
        self.run("mkdir", "-p", path)
        self.run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "small-disk", path)

    def stop(self) -> None:
        """End the host with everything that runs on it, and remove its network cable."""
        self._process.kill()
        self._process.communicate()
        self._disconnect()


class LightHosts:
    """A fleet of light hosts, and the key that opens them.

    :param count: how many hosts, named ``web1`` and so on.
    :param cache: directory of the checkout that keeps the shared root file system.
    :param directory: directory of this fleet alone, for its key and the places where its file systems are mounted.
    """

    def __init__(self, count: int, cache: Path, directory: Path) -> None:
        if count > LARGEST_FLEET:
            raise LightHostError(f"{count} hosts asked for, but a fleet has addresses for {LARGEST_FLEET}")
        install_packages({"ip": "iproute2", "ssh": "openssh-client", "ssh-keygen": "openssh-client"})
        cache.mkdir(parents=True, exist_ok=True)
        root = root_file_system(cache)
        self._number = _FleetNumber()
        self.hosts: list[LightHost] = []
        self.private_key = directory / "key"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "light-hosts", "-f", str(self.private_key)])
        public_key = self.private_key.with_suffix(".pub")
        try:
            for index in range(count):
                name = f"web{index + 1}"
                place = directory / name
                self.hosts.append(LightHost(name, self._number.value, index, place, root, public_key))
        except BaseException:
            self.stop()
            raise
        self.known_hosts = directory / "known_hosts"
        host_key = " ".join((root / "etc/ssh/ssh_host_ed25519_key.pub").read_text().split()[:2])
        self.known_hosts.write_text("".join(f"{host.address} {host_key}\n" for host in self.hosts))

    def __getitem__(self, index: int) -> LightHost:
        return self.hosts[index]

    def inventory(self, path: Path, group: str, user: str = LOGIN_USER, **variables: object) -> Path:
        """Write an inventory of the fleet.

        :param path: file to write, ending in .yml.
        :param group: name of the group of all hosts.
        :param user: who logs in: the login user, who may use sudo, or root.
        :param variables: variables of the group.
        :returns: the path.
        """
        hosts = {host.name: {"ansible_host": host.address} for host in self.hosts}
        options = f"-o UserKnownHostsFile={self.known_hosts} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes -F none"
        access = {
            "ansible_user": user,
            "ansible_ssh_private_key_file": str(self.private_key),
            "ansible_ssh_common_args": options,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        document = {"all": {"children": {group: {"hosts": hosts, "vars": {**access, **variables}}}}}
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    def stop(self) -> None:
        """End all hosts."""
        for host in self.hosts:
            host.stop()
        self._number.release()


class _FleetNumber:
    """A number from 0 to 255 that no other fleet on this machine has; the kernel takes it back with the process."""

    def __init__(self) -> None:
        for self.value in range(256):
            self._holder = socket.socket(socket.AF_UNIX)
            try:
                self._holder.bind(f"\0agentless.codedeploy.light-hosts.{self.value}")
                return
            except OSError:
                self._holder.close()
        raise LightHostError("256 fleets of light hosts are running on this machine already")

    def release(self) -> None:
        self._holder.close()


def available() -> bool:
    """Tell whether light hosts can be made by this user on this machine."""
    return installable()
