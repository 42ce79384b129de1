"""A TCP proxy in front of the API server, for the faults that networks have."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

import yaml


class Proxy:
    """Passes bytes on, until it is told to stop; TLS goes through it untouched."""

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("https://").rpartition(":")
        self._target = (host, int(port))
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self._open = True
        self._server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self._server.getsockname()[1]}"

    def kubeconfig(self, direct: Path) -> Path:
        """A kubeconfig like `direct`, but through this proxy."""
        config = yaml.safe_load(direct.read_text())
        config["clusters"][0]["cluster"]["server"] = self.url
        path = direct.with_name(f"{direct.stem}.{self._server.getsockname()[1]}.kubeconfig")
        path.write_text(yaml.safe_dump(config))
        return path

    def freeze(self) -> None:
        """Half-open: connections stay, and new ones are taken, but no byte comes through any more."""
        self._flows.clear()

    def thaw(self) -> None:
        """End of `freeze`."""
        self._flows.set()

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        self._open = False
        for found in self._sockets:
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)
            found.close()
        self._sockets.clear()

    def mend(self) -> None:
        """End of `cut`."""
        self._open = True

    def close(self) -> None:
        """The end of the proxy."""
        self.thaw()
        self.cut()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                if not self._open:
                    raise OSError
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            self._sockets += [near, far]
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=pair, name="proxy", daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
