"""``stream-seg servers`` as a person meets it: addresses, sections to paste, and a clean end."""

from __future__ import annotations

import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import psutil
import pytest
from redis import Redis

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("servers")]

COMMAND = """
import sys
from pathlib import Path
from consumers.servers import run_servers
sys.exit(run_servers(Path(sys.argv[1]) if sys.argv[1:] else None))
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    """Run the command as its own process."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def read_sections(process: subprocess.Popen[str]) -> dict[str, dict[str, str]]:
    """Read standard output as far as both sections, and parse them as TOML."""
    assert process.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("url"):
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        lines.append(line)
    return tomllib.loads("".join(lines[next(i for i, line in enumerate(lines) if line.startswith("[")) :]))


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_sections_to_paste_and_takes_both_down(ending: signal.Signals, tmp_path: Path) -> None:
    process = start(str(tmp_path / "kept"))
    try:
        sections = read_sections(process)
        with Redis.from_url(sections["redis"]["url"]) as client:
            assert client.ping()
        assert sections["kafka"]["bootstrap_servers"].startswith("127.0.0.1:")
        children = psutil.Process(process.pid).children(recursive=True)
        assert len(children) == 4  # two servers, each with its supervisor
        process.send_signal(ending)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert "Kafka and Redis are down" in said
    assert not any(child.is_running() for child in children)


def test_it_says_so_when_a_server_ends_by_itself() -> None:
    process = start()
    try:
        read_sections(process)
        redis_server = next(
            child for child in psutil.Process(process.pid).children(recursive=True) if "redis" in child.name()
        )
        redis_server.kill()
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode != 0
    assert "the local Redis ended by itself" in said
