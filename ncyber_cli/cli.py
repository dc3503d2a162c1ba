"""The command line: which commands there are, and how an error reaches the person who can mend it."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import Annotated, NoReturn

import typer

from ncyber_cli import __version__
from ncyber_cli.commands.adapt import adapt
from ncyber_cli.commands.compare import compare
from ncyber_cli.commands.design import design
from ncyber_cli.commands.evaluate import evaluate
from ncyber_cli.commands.fit import fit
from ncyber_cli.commands.infer import infer
from ncyber_cli.commands.init import init
from ncyber_cli.commands.inspect import inspect
from ncyber_cli.commands.simulate import simulate
from ncyber_cli.commands.synth import synth
from ncyber_cli.commands.validate import validate
from ncyber_cli.errors import NcyberError

DEBUG_VARIABLE = "NCYBER_DEBUG"
THREADS_VARIABLE = "OMP_NUM_THREADS"  # heeded by torch, BLAS and scikit-learn, which are imported after it is set

app = typer.Typer(
    name="ncyber",
    help="Closed-loop models of brain, objective and body, from neural recordings of several animals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (init, inspect, validate, fit, adapt, infer, evaluate, compare, simulate, design, synth):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"ncyber {__version__}")
        raise typer.Exit


@app.callback(
    epilog="Start with: ncyber init --out spec.yaml, then ncyber validate spec.yaml, then ncyber fit. Recordings on "
    "their bins are kept in .ncyber_cache beside them (NCYBER_CACHE: another folder, or off); it may be deleted."
)
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an unexpected error.")] = False,
) -> None:
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


def main() -> None:
    """Run the command line and exit: 0 ok, 2 usage, the error's own code, 1 for what nobody foresaw.

    One CPU thread is used unless OMP_NUM_THREADS says otherwise. A training step is many small operations, and
    threads wait for each other at every one of them: on a machine with other work an epoch took thirty times as long.
    """
    os.environ.setdefault(THREADS_VARIABLE, "1")
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # here, where a closed pipe can still be caught
    except NcyberError as error:
        _end(str(error), error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone (ncyber inspect ... | head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE, "") not in ("", "0"):
            traceback.print_exc()
        if _is_shortage(error):
            _end(f"{str(error) or 'out of memory'}; free some, or choose another --out or a smaller training.batch", 7)
        _end(f"unexpected {type(error).__name__}: {error}; `ncyber --debug ...` shows where", 1)


def _end(message: str, exit_code: int) -> NoReturn:
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr)
    sys.exit(exit_code)


def _is_shortage(error: Exception) -> bool:
    """Tell disk, memory and permission from mistakes of ours; torch's error is known by name, torch is not imported."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
