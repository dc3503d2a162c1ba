"""The command line: which commands there are, and how an error reaches the person who can mend it."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer

from ncyber_cli import __version__
from ncyber_cli.atomic import FULL
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
from ncyber_cli.errors import DiskFull, NcyberError, Stopped
from ncyber_cli.memory import is_out_of_memory
from ncyber_cli.stop_signals import signals_raise

DEBUG_VARIABLE = "NCYBER_DEBUG"
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
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
    _silence_hdf5()


def main() -> None:
    """Run the command line and exit: 0 ok, 2 usage, the error's own code, 1 for what nobody foresaw.

    One CPU thread is used unless OMP_NUM_THREADS says otherwise. A training step is many small operations, and
    threads wait for each other at every one of them: on a machine with other work an epoch took thirty times as long.
    """
    os.environ.setdefault(THREADS_VARIABLE, "1")
    with _hooks_restored():
        _run()


def _run() -> None:
    try:
        try:
            with signals_raise():
                app()
        finally:
            sys.stdout.flush()  # here, where a closed pipe can still be caught
    except DiskFull as error:
        _say(str(error))
        if "h5py" not in sys.modules:
            sys.exit(error.exit_code)
        os._exit(error.exit_code)  # HDF5 would write once more as the process ends, and crash it
    except NcyberError as error:
        _end(str(error), error.exit_code)
    except (Stopped, KeyboardInterrupt) as stop:
        number = stop.signal_number if isinstance(stop, Stopped) else signal.SIGINT
        what = f"stopped by {signal.Signals(number).name}, no unfinished file is kept"
        _end(f"{what}; type the same command again", 128 + number)
    except BrokenPipeError:  # the reader of our output has gone (ncyber inspect ... | head)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE, "") not in ("", "0"):
            traceback.print_exc()
        if isinstance(error, OSError) and error.errno is not None:
            _end(f"{error}; {_remedy(error.errno)}", 7)
        if is_out_of_memory(error):
            said = next(iter(str(error).splitlines()), "") or "out of memory"
            _end(f"{said}; write a smaller training.batch or --batch, or a larger data.bin_s", 7)
        _end(f"unexpected {type(error).__name__}: {error}; `ncyber --debug ...` shows where", 1)


def _remedy(number: int) -> str:
    """What may help where the system refused to read or write."""
    if number in FULL:
        return "free some space, raise the quota, or choose another --out"
    if number in _FORBIDDEN:
        return "choose another --out, or ask for the right to write there"
    return "see that the path is right and its disk is there; `ncyber --debug ...` shows where"


@contextmanager
def _hooks_restored() -> Iterator[None]:
    usual, ignored = sys.excepthook, sys.unraisablehook
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook = usual, ignored


def _silence_hdf5() -> None:
    """Do without a page of HDF5's own for every object that a full disk leaves unwritten.

    Cython tells of errors that it ignores through both hooks; typer has put its own in place by now.
    """
    usual, ignored = sys.excepthook, sys.unraisablehook

    def is_echo(error: BaseException | None) -> bool:
        return "file write failed" in str(error)

    sys.excepthook = lambda kind, error, trace: None if is_echo(error) else usual(kind, error, trace)
    sys.unraisablehook = lambda found: None if is_echo(found.exc_value) else ignored(found)


def _end(message: str, exit_code: int) -> NoReturn:
    _say(message)
    sys.exit(exit_code)


def _say(message: str) -> None:
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr, flush=True)
