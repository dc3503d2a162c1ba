"""Does the objective earn its place? One rule and one set of thresholds for all data.

An objective is believed where it foretells the body beyond the next moment, and where nothing simpler does as well.
From a few starts in each test trial the closed loop runs on with the objective frozen at what was inferred by then.
Gains are nats a bin of predictive density; an arm's interval is a paired bootstrap over test trials and seeds.

- Over `none` (a constant goal) and `shuffled` (the goal of another trial): the goal has to be this trial's own.
- Over `motion` (the best linear laws of the body alone): where the body is and how it moves must not be enough. A
  random walk is best foretold by a goal close to where the hand is now, which is no goal.
- Over the middle between `none` and `mlp` (the same model without structure): the objective has to bring more than
  half of what can be foretold. More than `mlp` itself is not asked: its brain carries the plan, and on reaches it
  foretells as well as the true kind of controller does. On a limit cycle, which no goal explains, it does far better.
- Over `behavior` (the same objective without neurons): else the neurons have no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ncyber_cli.outputs.metrics import Interval

# Nats a bin and body channel: errors 5 % smaller. A gain can be sure and yet too small to mean anything: in a limit
# cycle a goal that wanders a little with the phase gains a fortieth of a nat, with an interval above zero.
WORTH = 0.05
MIDWAY = "midway"  # between `none` and `mlp`
WORTHWHILE = ("none", "shuffled")  # the lower bound has to exceed WORTH
BETTER = ("motion", MIDWAY)  # forecasts of their own kind: the lower bound has to exceed zero
NEURAL = "behavior"  # the lower bound has to exceed WORTH, for the neurons' part
ARMS = (*WORTHWHILE, *BETTER, NEURAL)
Word = Literal["yes", "by behavior", "no", "not judged"]
_SAYS = {
    "none": "a constant goal foretells the body as well",
    "shuffled": "the goal of another trial foretells the body as well",
    "motion": "linear laws of the body alone foretell it as well",
    MIDWAY: "a controller without structure foretells more than twice as much",
}


@dataclass(frozen=True)
class Verdict:
    supported: Word
    sentence: str
    failed: list[str]  # arms
    not_judged: list[str]


def judge(gains: Mapping[str, Interval], channels: int) -> Verdict:
    """The verdict from the gains over each arm, in nats a bin; arms that are absent are not judged."""
    worth = WORTH * channels
    failed = [arm for arm in WORTHWHILE if arm in gains and not gains[arm].low > worth]
    failed += [arm for arm in BETTER if arm in gains and not gains[arm].low > 0]
    absent = [arm for arm in ARMS if arm not in gains]
    if failed:
        return Verdict("no", f"No: {' and '.join(_SAYS[arm] for arm in failed)}.", failed, absent)
    if [arm for arm in absent if arm != NEURAL]:
        return Verdict("not judged", _unfinished(absent), failed, absent)
    how = f"frozen at its inferred value it foretells the body by {gains['none'].mean:.2f} nats a bin better than none"
    if NEURAL not in gains:
        sentence = f"By behavior: {how}; what neurons add was not measured, because the run does not see both."
        return Verdict("by behavior", sentence, failed, absent)
    if not gains[NEURAL].low > worth:
        sentence = f"Supported by behaviour, not by this neural activity: {how}, and as well without the neurons."
        return Verdict("by behavior", sentence, [NEURAL], absent)
    return Verdict("yes", f"Yes: {how}, and neurons tell of it before behaviour does.", failed, absent)


def unjudged(why: str) -> Verdict:
    return Verdict("not judged", f"Not judged: {why}.", [], list(ARMS))


def _unfinished(absent: list[str]) -> str:
    return f"Not judged: nothing speaks against the objective so far, but {', '.join(absent)} was left out."
