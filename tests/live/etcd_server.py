"""A real etcd on free loopback ports, started and ended by a test."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from tests.needs import need_program
from tests.ports import free_port


def require_etcd() -> None:
    """Skip where etcd is not installed; in CI it must be."""
    need_program("etcd")
    need_program("etcdctl")


class EtcdServer:
    """One member; ``tls`` is a folder with ca.pem, server.pem, server.key, or None.

    ``options`` are added to etcd's command line.
    """

    def __init__(self, tls: Path | None = None, options: tuple[str, ...] = ()) -> None:
        require_etcd()
        self._tls = tls
        self._options = options
        self._scheme = "http" if tls is None else "https"
        self._folder = tempfile.mkdtemp(prefix="gnetway-etcd-")
        self._port = free_port()
        self._peer_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.host = f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Begin, on the same ports and data each time."""
        client, peer = f"{self._scheme}://{self.host}", f"http://127.0.0.1:{self._peer_port}"
        command = ["etcd", "--name=test", f"--data-dir={self._folder}/data"]
        command += [f"--listen-client-urls={client}", f"--advertise-client-urls={client}"]
        command += [f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"]
        # At its usual cost etcd takes seconds to check a password where processors are busy.
        command += [f"--initial-cluster=test={peer}", "--unsafe-no-fsync", "--bcrypt-cost=4"]
        if self._tls is not None:
            command += [f"--cert-file={self._tls}/server.pem", f"--key-file={self._tls}/server.key"]
            command += [f"--trusted-ca-file={self._tls}/ca.pem", "--client-cert-auth"]
        command += self._options
        with (Path(self._folder) / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def kill(self) -> None:
        """End at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Answer nothing any more, with every connection open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Lose all data."""
        shutil.rmtree(f"{self._folder}/data")

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def ctl(self, *arguments: str, text: str | None = None, patience: int = 2) -> str:
        """Run etcdctl, which waits for a server that is just starting. Not for the reactor.

        ``text`` is what it reads; it is tried again ``patience`` times.
        """
        endpoints = f"--endpoints={self._scheme}://{self.host}"
        command = ["etcdctl", "--command-timeout=20s", endpoints, *arguments]
        if self._tls is not None:
            command += [f"--cacert={self._tls}/ca.pem", f"--cert={self._tls}/client.pem"]
            command += [f"--key={self._tls}/client.key"]
        environment = {"PATH": os.environ["PATH"], "ETCDCTL_API": "3"}
        done = subprocess.run(
            command,
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        not_yet = ("all SubConns are in TransientFailure", "context deadline exceeded")
        if patience > 0 and any(text in done.stderr for text in not_yet):
            # It has asked while the server was starting, and waits longer than its own timeout
            # before it asks again.
            return self.ctl(*arguments, text=text, patience=patience - 1)
        if done.returncode:
            raise AssertionError(f"etcdctl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def read(self, prefix: str) -> dict[str, str]:
        """Return the keys under a prefix and their values."""
        lines = self.ctl("get", "--prefix", prefix).splitlines()
        return dict(zip(lines[::2], lines[1::2], strict=True))
