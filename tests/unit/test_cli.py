"""The command line: what it offers, how it answers, and what becomes of errors, signals and closed pipes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from consumers.cli import COMMANDS, run
from stream_seg._version import __version__

ROOT = Path(__file__).parents[2]
CONFIGURATION = """
[model]
name = "retail"
[source]
topic = "orders"
[event]
customer = "customer_id"
time = "at"
[features.orders]
aggregate = "count"
"""
CONTRACT_FLAGS = {
    "demo": ["--embedded"],
    "servers": ["--dir"],
    "load": ["--topic", "--partitions", "--append"],
    "live": ["--until-end", "--wait", "--health"],
    "replay": [
        "--name",
        "--source",
        "--from",
        "--to",
        "--export",
        "--as-recorded",
        "--fresh",
        "--follow",
        "--no-emit",
        "--allow-gap",
    ],
    "lookup": ["--json"],
    "segments": ["--json"],
    "status": ["--json"],
    "explain": [],
    "explore": ["--source", "--html", "--json"],
    "bench": ["--small", "--local", "--only", "--events", "--rounds", "--json", "--markdown"],
    "audit": ["--customer", "--at", "--json"],
    "compare": ["--json", "--html"],
    "snapshot": ["--dir", "--keep"],
    "restore": ["--dir", "--yes", "--copied-topic"],
    "reset": ["--yes"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and nothing of ours in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("STREAM_SEG__")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def configured(folder: Path) -> Path:
    (folder / "stream-seg.toml").write_text(CONFIGURATION, encoding="utf-8")
    return folder


def test_help_lists_every_command_and_imports_none() -> None:
    program = "import sys; from consumers.cli import run; run(['--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for name, meaning in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(meaning)}$", done.stdout, re.MULTILINE)
    heavy = (
        "consumers.commands",
        "pydantic",
        "numpy",
        "numba",
        "kafka",
        "redis",
        "rich",
        "stream_seg.settings",
    )
    assert [name for name in heavy if f"'{name}'" in done.stdout.splitlines()[-1]] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_offers_the_contract_s_flags(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    offered = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert set(CONTRACT_FLAGS[command]) <= offered


def test_help_of_a_command_waits_for_no_engine() -> None:
    program = (
        "import sys; from consumers.cli import COMMANDS, run; "
        "print([run([name, '--help']) for name in COMMANDS]);"
        "print([m for m in ('numba', 'kafka', 'redis', 'pydantic', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == [str([0] * len(COMMANDS)), "[]"]


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


def problems(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run a command that is wrongly used; give its sentences."""
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert all(line.startswith("stream-seg: ") for line in lines)
    return [line.removeprefix("stream-seg: ") for line in lines]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["lokup"], 'No such command "lokup": did you mean lookup?'),
        (["lookup"], "Missing argument 'CUSTOMER...'. Try 'stream-seg lookup --help'."),
        (["lookup", "--jsn", "1"], "No such option"),
        (["live", "--wait", "-1"], "Invalid value for '--wait'"),
        (["live", "--health", "70000"], "Invalid value for '--health'"),
        (["load"], "Missing argument 'FILE'."),
        (["load", "nowhere.csv", "--topic", "t"], "Invalid value for 'FILE'"),
        (["replay", "--source", "x"], "Invalid value for '--source'"),
        (["replay"], "Missing option '--name'."),
        (["replay", "--name", "a b"], "Invalid value for '--name': must be 1 to 100 letters, digits and"),
        (["replay", "--name", "a", "--from", "soon"], "Invalid value for '--from': must be a date"),
    ],
)
def test_wrong_usage_is_one_sentence(
    configured: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert configured.is_dir()
    (found,) = problems(arguments, capsys)
    assert found.startswith(sentence)


@pytest.mark.parametrize(
    "command",
    ["load", "live", "replay", "lookup", "segments", "status", "explain", "snapshot", "restore", "reset"],
)
def test_every_command_that_needs_a_configuration_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (folder / "rows.csv").write_text("a\n", encoding="utf-8")
    needed = {"load": ["rows.csv"], "replay": ["--name", "x"], "lookup": ["1"], "explain": ["1"]}
    found = problems([command, *needed.get(command, [])], capsys)
    assert found[0].startswith("model.name is missing")
    assert found[-1].startswith("There is no stream-seg.toml here")


def test_every_problem_of_a_configuration_is_a_line(
    configured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        CONFIGURATION.replace('"retail"', '"retail"\nsegmens = 3') + "[redis]\nurl = 'http://me:hunter2@h'\n"
    )
    (configured / "stream-seg.toml").write_text(text, encoding="utf-8")
    found = problems(["live", "--hysteresis", "2"], capsys)
    assert {line.split()[0] for line in found} == {"model.segmens", "model.hysteresis", "redis.url"}
    assert len(found) == 3
    assert "hunter2" not in "".join(found)


@pytest.mark.parametrize(
    "arguments", [["--config", "mine.toml", "segments"], ["segments", "--config", "mine.toml"]]
)
def test_the_configuration_is_named_before_or_after_the_command(
    configured: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert configured.is_dir()
    (found,) = problems(arguments, capsys)
    assert found.startswith("mine.toml: cannot be read")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["replay", "--name", "x", "--distance", "manhattan"], "model.algorithm and model.distance"),
        (
            ["replay", "--name", "x", "--source", "rows.csv", "--as-recorded"],
            "--as-recorded is for replay from",
        ),
        (["replay", "--name", "x", "--source", "rows.csv", "--follow"], "--follow is for replay from"),
        (["replay", "--name", "x", "--source", "rows.csv", "--allow-gap"], "--allow-gap is for replay from"),
        (["live", "--algorithm", "river:cluster.DBSTREAM"], 'model.algorithm must be "population" in live'),
        (["live", "--distance", "manhattan"], 'model.distance must be "euclidean" in live'),
    ],
)
def test_what_is_not_there_yet_says_so(
    configured: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    (configured / "rows.csv").write_text("customer_id,at\n", encoding="utf-8")
    (found,) = problems(arguments, capsys)
    assert found.startswith(sentence)


PRINTING = "import sys; from consumers.cli import run; sys.exit(run(['--help']))"
WAITING = """
import sys, click, time
from consumers import cli
@click.command()
def command():
    try:
        print("waiting", flush=True)
        time.sleep(60)
    finally:
        print("taken down", flush=True)
cli.LazyCommands.get_command = lambda self, ctx, name: command
sys.exit(cli.run(["demo"]))
"""
RAISING = """
import sys, click
from consumers import cli
from stream_seg.errors import *
@click.command()
def command():
    raise {error}
cli.LazyCommands.get_command = lambda self, ctx, name: command
sys.exit(cli.run(["demo"]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_takes_everything_down_and_ends_with_0(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        assert process.stdout.read() == "taken down\n"
        assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("NotFoundError('It is not there.')", 1),
        ("UsageError('That cannot be.')", 2),
        ("ServerUnavailable('It does not answer.')", 3),
        ("ServerRefused('It says no.')", 3),
        ("StateError('They disagree.')", 4),
    ],
)
def test_an_error_is_a_sentence_and_its_status(error: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RAISING.format(error=error)], capture_output=True, text=True, check=False
    )
    assert done.returncode == status
    assert done.stdout == ""
    assert re.fullmatch(r"stream-seg: [A-Z][a-z ]+\.\n", done.stderr)


def test_a_closed_pipe_is_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PRINTING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(10) == 0


def test_a_broken_pipe_that_is_not_ours_is_not_hidden() -> None:
    program = RAISING.format(error="BrokenPipeError('some socket')")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "BrokenPipeError: some socket" in done.stderr


def test_the_reference_page_names_every_command_and_flag(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs/reference/command-line.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert f"stream-seg {command}" in page
        run([command, "--help"])
        for flag in set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}:
            assert f"`{flag}" in page, flag
