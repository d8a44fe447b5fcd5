"""The command line ``stream-seg``: which commands there are, and what becomes of errors and signals.

A command's module is imported only when it is run, and what it needs only after its arguments are right, so
help and wrong usage answer at once. Exit status: 0 done, or stopped by a signal; 1 not found, not equal; 2
wrong usage or configuration; 3 a server cannot be reached or refuses us; 4 a person must decide.
"""

from __future__ import annotations

import difflib
import os
import select
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType, MappingProxyType

import click

from stream_seg._version import __version__
from stream_seg.errors import ConfigurationError, StreamSegError

__all__ = ["COMMANDS", "cli", "main", "run"]

PROGRAM = "stream-seg"
WRONG_USAGE = 2
COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "demo": "Watch the main job on a simulated shop.",
        "servers": "Run a Kafka and a Redis to try things on.",
        "load": "Put a file's rows into a topic.",
        "live": "Run the worker: events in, segments out.",
        "replay": "Take history through the model again.",
        "lookup": "Show customers' segments.",
        "segments": "Show the segments.",
        "status": "Show lag, rates, versions and workers.",
        "explain": "Show why a customer is where it is.",
        "explore": "Show how many segments a file suggests.",
        "audit": "Derive a label again, and compare.",
        "compare": "Compare two runs: live, replays, exports.",
        "snapshot": "Write a model to a folder.",
        "restore": "Bring a model back from a folder.",
        "reset": "Delete a model's keys, offsets and topics.",
        "bench": "Measure the speed on your servers.",
    }
)


class LazyCommands(click.Group):
    """A group whose commands are the modules of ``consumers.commands``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command's module and give its ``command``."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"consumers.commands.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101 - for the type checker; every module has one
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or name the nearest one."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}."
            raise click.UsageError(f'No such command "{args[0]}": {hint}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The configuration file; by default stream-seg.toml, if it is there.",
)
@click.version_option(__version__, prog_name=PROGRAM)
@click.pass_context
def cli(ctx: click.Context, config: Path | None) -> None:
    """Keep the segments of all customers current, event by event, from Kafka into Redis."""
    ctx.obj = config


def main() -> None:
    """Run the command line and end the process."""
    if f"_{PROGRAM.replace('-', '_').upper()}_COMPLETE" in os.environ:
        cli.main(prog_name=PROGRAM)
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; give its exit status. Problems go to standard error, one sentence a line."""
    try:
        with _signals():
            status = _invoke(arguments)
            sys.stdout.flush()
    except click.UsageError as error:
        help_ = f" Try '{error.ctx.command_path} --help'." if error.ctx else ""
        _complain([f"{error.format_message()}{help_}"])
        return WRONG_USAGE
    except click.ClickException as error:
        _complain([error.format_message()])
        return WRONG_USAGE
    except StreamSegError as error:
        _complain(error.problems if isinstance(error, ConfigurationError) else str(error).splitlines())
        return error.exit_status
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        return 0
    return status


def _invoke(arguments: Sequence[str]) -> int:
    try:
        with cli.make_context(PROGRAM, list(arguments)) as ctx:
            status = cli.invoke(ctx)
    except click.exceptions.NoArgsIsHelpError as wrong:
        wrong.show()
        return WRONG_USAGE
    except click.exceptions.Exit as done:
        return done.exit_code
    return int(status or 0)


def _complain(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        click.echo(f"{PROGRAM}: {sentence}", err=True)


@contextmanager
def _signals() -> Iterator[None]:
    """Make SIGTERM and a closed terminal interruptions like SIGINT, so that everything is taken down."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    # whoever ignores a signal (nohup) means it
    heeded = [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]
    for number in heeded:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, signal.SIG_DFL)


def _reader_is_gone() -> bool:
    """Say whether standard output is the broken pipe; if so make the interpreter's last flush harmless."""
    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, 0)  # POLLERR and POLLHUP are always reported
    if not poll.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return True
