"""The command line: which commands there are, and how an error reaches the person who can mend it."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from ncyber_cli import __version__
from ncyber_cli.commands.fit import fit
from ncyber_cli.commands.infer import infer
from ncyber_cli.commands.init import init
from ncyber_cli.commands.inspect import inspect
from ncyber_cli.commands.simulate import simulate
from ncyber_cli.commands.synth import synth
from ncyber_cli.commands.validate import validate
from ncyber_cli.errors import NcyberError

DEBUG_VARIABLE = "NCYBER_DEBUG"

app = typer.Typer(
    name="ncyber",
    help="Closed-loop models of brain, objective and body, from neural recordings of several animals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (init, inspect, validate, fit, infer, simulate, synth):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ncyber {__version__}")
        raise typer.Exit


@app.callback(epilog="Start with: ncyber init --out spec.yaml, then ncyber validate spec.yaml, then ncyber fit.")
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an unexpected error.")] = False,
) -> None:
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


def main() -> None:
    """Run the command line and exit: 0 ok, 2 usage, the error's own code, 1 for what nobody foresaw."""
    try:
        app()
    except NcyberError as error:
        for line in str(error).splitlines():
            _complain(f"error: {line}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        _leave_quietly()
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE, "") not in ("", "0"):
            traceback.print_exc()
        _complain(f"error: unexpected {type(error).__name__}: {error}; add --debug right after ncyber to see where")
        sys.exit(1)


def _complain(line: str) -> None:
    try:
        print(line, file=sys.stderr, flush=True)
    except BrokenPipeError:
        _leave_quietly()


def _leave_quietly() -> None:
    """The reader of our output has gone (`ncyber inspect ... | head`): end without a word, as other tools do."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(141)
