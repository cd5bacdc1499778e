"""Running the web server: in this process until it is stopped, or as a process of its own."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import MicroCTSRError, ResourceError
from .folder import open_study, read_links
from .security import LOOPBACK, own_hosts

HOST, PORT = "127.0.0.1", 8765


@dataclass(frozen=True)
class Addresses:
    """Where a study is served.

    Args:
        base: address of the server, such as ``http://127.0.0.1:8765``.
        raters: the link of each rater, by name.
        owner: the link of the study's owner.
    """

    base: str
    raters: dict[str, str]
    owner: str


def serve(
    folder: str | os.PathLike[str],
    host: str = HOST,
    port: int = PORT,
    address: str | None = None,
    ready: Callable[[Addresses], None] | None = None,
) -> None:
    """Serve a study until the process is stopped.

    Args:
        folder: of the study.
        host: address to listen at. By default, only this computer can reach the server;
            ``"0.0.0.0"`` opens it to the network.
        port: to listen at; 0 takes one that is free.
        address: how raters call the server, where that is not by this computer's own name, as
            behind a proxy that adds HTTPS: ``"https://study.example.org"``.
        ready: called once, when pages can be opened.

    Raises:
        ReadError: as :func:`~.folder.open_study`, and when the ratings are another study's.
        WriteError: ratings cannot be stored in the folder.
        ResourceError: the port is in use, or the address is not this computer's.
    """
    import uvicorn

    from .server import make_app

    study = open_study(folder)
    links = read_links(study)
    study.ratings.check([criterion.name for criterion in study.criteria])
    listening = _listen(host, port)
    with listening:
        base = (address or _base(host, listening.getsockname()[1])).rstrip("/")
        hosts = [*own_hosts(host), *_host_of(base)]
        network_base = base if address or host not in LOOPBACK else ""
        app = make_app(study, links, hosts, network_base)
        config = uvicorn.Config(
            app, access_log=False, log_level="warning", server_header=False, http="h11",
            loop="asyncio", ws="none", lifespan="off", timeout_graceful_shutdown=2,
        )  # fmt: skip
        if ready is not None:
            ready(Addresses(base, links.addresses(base, study), links.owner_address(base)))
        uvicorn.Server(config).run(sockets=[listening])


@dataclass
class RunningServer:
    """A server that runs as a process of its own.

    Args:
        base: its address.
        raters: the link of each rater, by name.
        owner: the link of the study's owner.
        process: which runs it. It ends with this one.
        complaints: file to which the process writes what goes wrong.
    """

    base: str
    raters: dict[str, str]
    owner: str
    process: subprocess.Popen[str]
    complaints: IO[str]

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def complained(self) -> str:
        """What the server has said went wrong so far, in lines."""
        self.complaints.seek(0)
        return self.complaints.read()

    def stop(self) -> None:
        """End it; ratings are on the disk already."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self.complaints):
            if file is not None:
                file.close()

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_server(
    folder: str | os.PathLike[str],
    host: str = HOST,
    port: int = PORT,
    address: str | None = None,
    python: str = sys.executable,
) -> RunningServer:
    """Start a server in a process of its own, and wait until it answers.

    Args:
        folder, host, port, address: as of :func:`serve`.
        python: interpreter that runs it, where it is not this one.

    Raises:
        MicroCTSRError: it did not start; says why.

    Example:
        >>> with start_server("study", port=0) as server:
        ...     print(server.owner)
    """
    command = [python, "-m", "microctsr_core", "--while-stdin-open", "study", "serve"]
    command += [str(Path(folder).expanduser().absolute()), "--host", host, "--port", str(port)]
    command += ["--json"] if address is None else ["--json", "--address", address]
    library = str(Path(__file__).resolve().parents[2])
    paths = [library, *filter(None, [os.environ.get("PYTHONPATH")])]
    # A file and no pipe, which would stop the server once it is full and nobody reads it.
    complaints = tempfile.TemporaryFile("a+", encoding="utf-8", errors="replace")  # noqa: SIM115
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8"},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    assert process.stdout is not None
    for line in process.stdout:
        try:
            found: dict[str, Any] = json.loads(line)
        except ValueError:  # of a library that has something to say
            continue
        return RunningServer(found["base"], found["raters"], found["owner"], process, complaints)
    failed = RunningServer("", {}, "", process, complaints)
    process.wait()  # what it says last is the reason
    reason = failed.complained().strip().splitlines()[-1:] or ["The server did not start."]
    failed.stop()
    raise MicroCTSRError(reason[0].removeprefix("Error: "))


def _listen(host: str, port: int) -> socket.socket:
    try:
        kind, _, _, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(kind, socket.SOCK_STREAM)
    except OSError:
        raise ResourceError(
            f"{host} is no address of this computer; give 127.0.0.1 for this computer alone, or "
            f"0.0.0.0 for the network."
        ) from None
    try:
        if os.name != "nt":  # on Windows it would let two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise ResourceError(
                f"The port {port} is in use, perhaps by another study; stop that one, or give "
                f"another port with --port."
            ) from None
        raise ResourceError(
            f"The server cannot listen at {host}, port {port} ({error.strerror}); give another "
            f"--host or --port."
        ) from None
    except OverflowError:
        listening.close()
        raise ResourceError(f"{port} is no port; give one between 1024 and 65535.") from None
    return listening


def _base(host: str, port: int) -> str:
    if host in ("0.0.0.0", "::"):
        host = _outward_address() or socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _outward_address() -> str | None:
    """The address by which others in the network reach this computer; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # set aside for documentation (RFC 5737)
            return str(probe.getsockname()[0])
        except OSError:
            return None


def _host_of(base: str) -> list[str]:
    from urllib.parse import urlsplit

    host = urlsplit(base).hostname
    if host is None:
        raise MicroCTSRError(
            f"{base!r} is no address of a server; write one such as https://study.example.org."
        )
    return [host]
