"""`ncyber synth`: NWB files of simulated animals whose objective, command and brain state are known."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncyber_cli.commands.choices import AsJson, Overwrite

if TYPE_CHECKING:
    from ncyber_cli.worlds.simulated import SimulatedAnimal


class World(StrEnum):
    lorenz = "lorenz"
    reach = "reach"
    lqr = "lqr"
    switching = "switching"
    limit_cycle = "limit_cycle"
    random_walk = "random_walk"
    areas = "areas"
    oscillators = "oscillators"


# Options of some worlds alone.
_OWN = {
    World.lorenz: {"drift"},
    World.reach: {"goals", "jumps", "pulses", "mass_scale"},
    World.lqr: {"goals", "jumps", "pulses"},
    World.switching: {"pulses", "prototypes"},
    World.limit_cycle: {"pulses"},
    World.random_walk: {"pulses"},
    World.areas: {"silenced", "stimulated"},
    World.oscillators: {"family", "activity", "bins", "contexts"},
}
_OF_ALL = {"trials", "units"}


class Goals(StrEnum):
    eight = "eight"
    disc = "disc"


class Family(StrEnum):
    limit_cycle = "limit_cycle"
    duffing = "duffing"
    both = "both"


class Activity(StrEnum):
    continuous = "continuous"
    spikes = "spikes"


class Disturbed(StrEnum):
    m1 = "M1"
    pmd = "PMd"
    ppc = "PPC"
    none = "none"


def synth(
    world: Annotated[
        World,
        typer.Argument(
            help="lorenz: spikes of a chaotic attractor; reach: closed-loop reaching; lqr: reaching that "
            "minimises known costs; switching: one of a few goals, exchanged for another now and then; "
            "limit_cycle, random_walk: a body that moves by itself and pursues nothing; areas: three brain areas "
            "with known edges, some of their trials with one area silenced or stimulated; oscillators: animals that "
            "share a kind of dynamics, each with a frequency and damping of its own."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for one NWB file per animal.")],
    animals: Annotated[int, typer.Option(min=1, help="Animals, each with its own neurons and body.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and options write the same bytes.")] = 0,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1, help="Trials an animal; default 160, switching and areas 240, lorenz 1200, oscillators 40."
        ),
    ] = None,
    goals: Annotated[
        Goals | None, typer.Option(help="reach, lqr: targets on eight points (default) or anywhere on a disc.")
    ] = None,
    jumps: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="reach, lqr: share of trials whose target jumps; default 0.2, lqr 0."),
    ] = None,
    pulses: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share of trials with a force pulse; default 0.3.")
    ] = None,
    prototypes: Annotated[
        int | None, typer.Option(min=2, max=12, help="switching: goals that are chosen from; default 4.")
    ] = None,
    mass_scale: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=10, help="reach: the hand's mass over the one that the animal is used to; default 1."
        ),
    ] = None,
    silenced: Annotated[
        list[Disturbed] | None,
        typer.Option(help="areas: one of those that are silenced in a quarter of the trials; repeat; default all."),
    ] = None,
    stimulated: Annotated[
        list[Disturbed] | None,
        typer.Option(help="areas: one of those that are stimulated in a quarter of the trials; repeat; default all."),
    ] = None,
    family: Annotated[
        Family | None, typer.Option(help="oscillators: their equation; default both, which take turns.")
    ] = None,
    activity: Annotated[
        Activity | None, typer.Option(help="oscillators: what is recorded of them; default continuous.")
    ] = None,
    bins: Annotated[
        int | None, typer.Option(min=2, max=10000, help="oscillators: bins of 20 ms in a trial; default 100.")
    ] = None,
    contexts: Annotated[
        bool,
        typer.Option(
            "--contexts", help="oscillators: trials have a speed; the column split keeps two of five for tests alone."
        ),
    ] = False,
    drift: Annotated[
        float | None,
        typer.Option(
            min=0, max=3, help="lorenz: sd of the random walk of each neuron's log rate over the session; default 0."
        ),
    ] = None,
    units: Annotated[
        int | None,
        typer.Option(
            min=20,
            max=1000,
            help="Neurons; default 43 to 68 by animal, lorenz 64, areas 72, oscillators 30 channels or 300 neurons.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Write NWB files of simulated animals, the truth under /analysis."""
    from ncyber_cli.atomic import refuse_existing
    from ncyber_cli.reporting import table
    from ncyber_cli.worlds.to_nwb import save_animal

    asked: dict[str, Any] = {
        "goals": goals,
        "jumps": jumps,
        "pulses": pulses,
        "prototypes": prototypes,
        "mass_scale": mass_scale,
        "family": family,
        "activity": activity,
        "bins": bins,
        "contexts": contexts or None,
        "drift": drift,
    }
    asked |= {"silenced": _areas(silenced), "stimulated": _areas(stimulated)}
    simulate = _world(world, trials=trials, units=units, **asked)
    targets = [out / f"{world}-{animal + 1}.nwb" for animal in range(animals)]
    for target in targets:
        refuse_existing(target, overwrite=overwrite)
    rows: list[dict[str, Any]] = []
    for animal, target in enumerate(targets):
        simulated = simulate(seed=seed, animal=animal)
        save_animal(simulated, target, overwrite=overwrite)
        rows.append(_row(simulated, target))
    table(rows, ["file", "animal", "trials", "units", "spikes", "MB"], as_json=as_json)


def _world(world: World, **options: Any) -> Callable[..., SimulatedAnimal]:
    """The world's simulate with what was asked for; UsageError where the world has no such option."""
    from functools import partial

    from ncyber_cli.errors import UsageError
    from ncyber_cli.worlds import areas, lorenz, lqr, oscillators, reach, switching, without_goal

    chosen = {name: value for name, value in options.items() if value is not None}
    if foreign := sorted(set(chosen) - _OWN[world] - _OF_ALL):
        raise UsageError(
            f"the world {world} has no {' and no '.join('--' + name.replace('_', '-') for name in foreign)}",
            where=f"ncyber synth {world}",
            remedy=f"leave it out, or write ncyber synth {_home(foreign[0])}",
        )
    words = {"jumps": "jump_probability", "pulses": "pulse_probability", "drift": "drift_sd"}
    chosen = {words.get(name, name): value for name, value in chosen.items()}
    simulate: dict[World, Callable[..., SimulatedAnimal]] = {
        World.lorenz: lorenz.simulate,
        World.reach: reach.simulate,
        World.lqr: lqr.simulate,
        World.switching: switching.simulate,
        World.limit_cycle: partial(without_goal.simulate, "limit_cycle"),
        World.random_walk: partial(without_goal.simulate, "random_walk"),
        World.areas: areas.simulate,
        World.oscillators: oscillators.simulate,
    }
    return partial(simulate[world], **chosen)


def _home(option: str) -> str:
    """A world that has the option."""
    return next(str(world) for world, own in _OWN.items() if option in own)


def _areas(wanted: list[Disturbed] | None) -> list[str] | None:
    """Names of areas, none for `none`; None where nothing was said."""
    return None if not wanted else [str(area) for area in wanted if area is not Disturbed.none]


def _row(simulated: SimulatedAnimal, target: Path) -> dict[str, Any]:
    trials, _, units = simulated.counts.shape
    return {
        "file": str(target),
        "animal": simulated.animal,
        "world": simulated.world,
        "seed": simulated.seed,
        "trials": trials,
        "units": units,
        "spikes": int(simulated.counts.sum()),
        "MB": round(target.stat().st_size / 1e6, 2),
    }
