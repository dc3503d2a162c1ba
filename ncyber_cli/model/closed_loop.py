"""The brain in its loop: objective -> controller -> muscle -> body -> environment -> brain, bin by bin.

`unroll` is the one recursion of the program. With corrections it samples the filter posterior,
without them the prior: inference, forecasts and simulation are the same code. All animals and
sessions of a batch go through it together; time is the first axis here, so that a bin is a view.

Bin 0 holds the initial state: its latent is corrected from p(x_1), its control and actuator are
the muscle's initial value. In bin t the command is computed from x_{t-1}, o_t and the brain's
estimate of b_{t-1}; the body moves; the brain steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ncyber_cli.model.body import Body
from ncyber_cli.model.brain import Brain
from ncyber_cli.model.controller import Belief, Controller
from ncyber_cli.model.emission import Emission
from ncyber_cli.model.environment import DelayLine
from ncyber_cli.model.gauss_markov import Correction, correct
from ncyber_cli.model.mean_rate_prior import MeanRatePrior
from ncyber_cli.model.objective import Objective
from ncyber_cli.model.readout_prior import ReadoutPrior
from ncyber_cli.model.silencing import Silencing, held, kept_share
from ncyber_cli.model.window_start import WindowStart

LOG_VARIANCE_FLOOR = -14.0  # latents start at unit variance; below this the brain would have no noise at all

# A body outside the model: given the command of a bin and the actuator between the centres of the last bin and this
# one, both (trial, n_control), it answers with the body at this bin's centre, (trial, n_body). Called once a bin.
# The brain learns after its delay of what differs from its own body's answer, as far as Body.residual_of can tell: a
# point mass that is put elsewhere without a velocity is seen at once.
Plant = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Given:
    """What a rollout does not infer. Time first; entries that the model has no use for are None."""

    animal: Int[Tensor, " trial"]
    input: Float[Tensor, "time trial n_input"]
    embedding: Float[Tensor, "trial size"] | None = None  # of animal and session; None: nobody deviates
    force: Float[Tensor, "time trial n_force"] | None = None
    objective: Float[Tensor, "time trial n_objective"] | None = None
    actuator: Float[Tensor, "trial n_control"] | None = None  # in the first bin
    body: Float[Tensor, "time trial n_body"] | None = None
    body_known: Bool[Tensor, "time trial n_body"] | None = None  # elsewhere the model's own body takes over
    body_noise: Float[Tensor, "time trial n_residual"] | None = None
    line: Float[Tensor, "trial past n"] | None = None  # body and surprises before the first bin; None: it was at rest
    sensed: bool = True  # False: the brain is told nothing after the first bin (open loop)
    before: Float[Tensor, "trial past n_latent"] | None = None  # latents before the first bin, newest first
    silent: Bool[Tensor, "time trial n_latent"] | None = None  # latents that are held at zero
    midway: Bool[Tensor, " trial"] | None = None  # True where bin 0 is none of a trial's start; None: nowhere
    plant: Plant | None = None  # moves the body in place of the model's own; where it differs the brain is surprised


@dataclass(frozen=True)
class Trajectory:
    """What happened, time first. `prior_latent` and `predicted_body` are the one-step means."""

    latent: Float[Tensor, "time trial n_latent"]
    prior_latent: Float[Tensor, "time trial n_latent"]
    control: Float[Tensor, "time trial n_control"] | None
    actuator: Float[Tensor, "time trial n_control"] | None
    gate: Float[Tensor, "time trial 1"] | None
    body: Float[Tensor, "time trial n_body"] | None
    predicted_body: Float[Tensor, "time trial n_body"] | None


class ClosedLoop(nn.Module):
    """The parts of the generative model, wired. A part that the spec leaves out is None."""

    def __init__(
        self,
        brain: Brain,
        emission: Emission,
        controller: Controller | None,
        objective: Objective | None,
        body: Body | None,
        environment: DelayLine | None,
        bin_s: float,
        silencing: Silencing | None = None,
    ) -> None:
        super().__init__()
        self.silencing = silencing
        self.brain, self.emission, self.controller = brain, emission, controller
        self.objective, self.body, self.environment, self.bin_s = objective, body, environment, bin_s
        n = brain.areas.size
        self.initial_mean = nn.Parameter(torch.zeros(n))
        self.log_initial_variance = nn.Parameter(torch.zeros(n))
        self.log_process_variance = nn.Parameter(torch.full((n,), -3.0))
        self.window_start: WindowStart | None = None  # where training is done on windows
        self.readout_prior: ReadoutPrior | None = None  # where neurons of other animals say what to expect
        self.mean_rate_prior: MeanRatePrior | None = None
        # Without a body the goal lives in a learned readout of the brain.
        self.latent_position = None
        if body is None and controller is not None and objective is not None:
            self.latent_position = nn.Linear(n, objective.size, bias=False)

    def latent_variance(
        self, n_time: int, midway: Bool[Tensor, " trial"] | None = None
    ) -> Float[Tensor, "time one_or_trial n_latent"]:
        """Prior variance of x_1 (see `Given.midway`), then of each step."""
        first = self.log_initial_variance[None]
        if midway is not None and self.window_start is not None:
            first = torch.where(midway[:, None], self.window_start.log_variance, first)
        rest = self.log_process_variance.expand(n_time - 1, len(first), -1)
        return torch.cat([first[None], rest]).clamp(min=LOG_VARIANCE_FLOOR).exp()

    def first_mean(self, midway: Bool[Tensor, " trial"] | None) -> Float[Tensor, "#trial n_latent"]:
        """Prior mean of x_1."""
        if midway is None or self.window_start is None:
            return self.initial_mean[None]
        return torch.where(midway[:, None], self.window_start.mean, self.initial_mean)

    def unroll(self, given: Given, correction: Correction) -> Trajectory:
        """Run the loop over every bin of `correction`; a sample of all that happens."""
        correction = held(given.silent, correction)
        weights = self.brain.at(given.embedding, given.input[0])
        goal = None if self.objective is None or given.objective is None else self.objective.normalise(given.objective)
        drive = self.brain.drive(weights, given.input, goal).unbind(0)
        target, gain, noise = correction.target.unbind(0), correction.gain.unbind(0), correction.noise.unbind(0)
        prior = self.first_mean(given.midway).expand_as(target[0])
        latent = correct(prior, target[0], gain[0], noise[0])
        loop = _BodyLoop(self, given) if self.controller is not None else None
        axons = self.brain.axons(latent, given.before)
        latents, priors = [latent], [prior]
        for t in range(1, len(drive)):
            control, feedback = (None, None) if loop is None else loop.step(t, latent)
            heard = None if axons is None else axons.carry(latent)
            prior = self.brain.step(weights, latent, control, feedback, drive[t], heard)
            latent = correct(prior, target[t], gain[t], noise[t])
            priors.append(prior)
            latents.append(latent)
        outcome = {} if loop is None else loop.outcome()
        return Trajectory(
            torch.stack(latents),
            torch.stack(priors),
            *(outcome.get(name) for name in ("control", "actuator", "gate", "body", "predicted_body")),
        )

    def history(
        self, given: Given, happened: Trajectory, last: Int[Tensor, " trial"]
    ) -> Float[Tensor, "trial bin n"] | None:
        """Body and surprises from bin `last` of each trial back to its first: the `Given.line` of what goes on."""
        if self.environment is None:
            return None
        assert self.body is not None
        assert happened.body is not None
        assert happened.predicted_body is not None
        surprise = self.body.residual_of(happened.body, happened.predicted_body)
        if given.force is not None:
            surprise = surprise + self.body.force_effect(self.body.at(given.animal), _between(given.force))
        bins = torch.arange(len(surprise), device=surprise.device)
        surprise = torch.where(bins[:, None, None] > 0, surprise, 0.0)
        both = torch.cat([happened.body, surprise], -1).transpose(0, 1)
        back = (last[:, None] - bins).clamp(min=0)
        return both.gather(1, back[:, :, None].expand(-1, -1, both.shape[2]))

    def silent(self, given: Float[Tensor, "trial time n_input"]) -> Bool[Tensor, "time trial n_latent"] | None:
        """Latents that are silenced under these inputs; None where none ever are."""
        return None if self.silencing is None else self.silencing.latents(given).transpose(0, 1)

    def at_floor(
        self,
        rates: Float[Tensor, "trial time unit"],
        session: Int[Tensor, " trial"],
        given: Float[Tensor, "trial time n_input"],
    ) -> Float[Tensor, "trial time unit"]:
        """The rates under these inputs: those of silenced units are at their floor."""
        return rates if self.silencing is None else self.silencing.rates(rates, given, session)

    def message_cost(
        self, latent: Float[Tensor, "time trial n_latent"], inside: Bool[Tensor, "time trial"]
    ) -> Float[Tensor, ""] | None:
        """What the spec has messages cost over these bins, in nats; None where they are free."""
        messages = self.brain.messages
        if messages is None or messages.price is None:
            return None
        return messages.cost(self.message_nats(latent), inside)

    def message_nats(
        self, latent: Float[Tensor, "time trial n_latent"], *, around_mean: bool = False
    ) -> Float[Tensor, "time trial edge"]:
        """What passes along each edge in each bin; see Messages.nats. Raising the noise makes no message cheaper."""
        variance = self.log_process_variance.detach().clamp(min=LOG_VARIANCE_FLOOR).exp()
        assert self.brain.messages is not None
        return self.brain.messages.nats(latent, self.brain.response(), variance, around_mean=around_mean)

    def orient(self) -> None:
        """Let messages with a sign know which way activity goes with each latent; once a step, the weights move."""
        messages = self.brain.messages
        if messages is not None and messages.signs is not None:
            loading = (self.emission.readout * self.emission.latent_mask).sum((0, 1))
            messages.signs.orient(loading, self.brain.response())

    def log_prior(self) -> Float[Tensor, ""]:
        """Hierarchical priors of every part, up to a constant."""
        total = self.brain.log_prior()
        total = total + self.readout_log_prior()
        for part in (self.controller, self.objective, self.body, self.environment, self.emission.drift):
            if part is not None:
                total = total + part.log_prior()
        return total

    def readout_log_prior(self) -> Float[Tensor, ""]:
        """What neurons of other animals say of readouts and offsets."""
        readout, offset = self.emission.readout * self.emission.latent_mask, self.emission.offset
        total = readout.new_zeros(())
        if self.readout_prior is not None:
            total = total + self.readout_prior(readout)
        if self.mean_rate_prior is not None:
            total = total + self.mean_rate_prior(readout, offset)
        return total


class _BodyLoop:
    """State and history of controller, muscle, body and environment while the recursion runs."""

    def __init__(self, model: ClosedLoop, given: Given) -> None:
        assert model.controller is not None
        assert given.objective is not None
        assert given.actuator is not None
        self.model, self.given, self.controller = model, given, model.controller
        self.here = model.controller.at(given.animal)
        self.goal = given.objective.unbind(0)
        self.actuator = given.actuator
        self.kept = None if given.silent is None else kept_share(model.controller, given.silent).unbind(0)
        self.history: dict[str, list[Tensor]] = {"control": [self.actuator], "actuator": [self.actuator], "gate": []}
        if model.body is not None:
            self._start_body(model.body)

    def _start_body(self, body: Body) -> None:
        given = self.given
        assert given.body is not None
        assert given.body_known is not None
        assert given.body_noise is not None
        self.terms, self.mistaken = body.at(given.animal), body.believed(given.animal)
        self.recorded, self.known = given.body.unbind(0), given.body_known.unbind(0)
        self.noise = given.body_noise.unbind(0)
        self.pushes = None if given.force is None else body.force_effect(self.terms, _between(given.force)).unbind(0)
        self.follow = None if body.lag is None else 1 - torch.exp(-self.model.bin_s / body.lag(given.animal))[:, None]
        self.body = self.recorded[0]
        self.believed = self.body
        self.history |= {"body": [self.body], "predicted_body": [self.body]}
        if self.model.environment is not None:
            line = self.model.environment
            self.line_weights = line.at(given.animal, body.echoes(line.n_bin))
            self.line = line.start(self.body) if given.line is None else line.resume(given.line)

    def step(self, t: int, latent: Tensor) -> tuple[Tensor, Tensor | None]:
        """The command of bin t and the feedback that reaches the brain in it; moves the body."""
        body, line, feedback = self.model.body, self.model.environment, None
        if body is None:
            assert self.model.latent_position is not None
            belief = Belief(self.model.latent_position(latent), self.actuator)
        else:
            if line is not None:
                feedback, told = line.read(self.line, self.line_weights, self.body)
                self.believed = told if self.given.sensed else self.believed
            elif self.given.sensed:
                self.believed = self.body
            belief = Belief(self.believed, self.actuator)
        control, gate = self.controller.command(self.here, latent, self.goal[t], belief)
        if self.kept is not None:
            control, gate = self.kept[t - 1] * control, self.kept[t - 1] * gate
        before = self.actuator
        if body is None or self.follow is None:
            self.actuator = control
        else:
            self.actuator = torch.lerp(self.actuator, control, self.follow)
        for name, value in (("control", control), ("actuator", self.actuator), ("gate", gate)):
            self.history[name].append(value)
        if body is not None:
            self._move(t, body, control, 0.5 * (before + self.actuator))
        return control, feedback

    def _move(self, t: int, body: Body, control: Tensor, push: Tensor) -> None:
        """`push` is the actuator between the centres of the last bin and this one."""
        commanded = body.predict(self.terms, self.body, push)
        expected = commanded if self.mistaken is None else body.predict(self.mistaken, self.body, push)
        predicted = commanded if self.pushes is None else body.add_residual(commanded, self.pushes[t])
        if self.given.plant is None:
            own = body.add_residual(predicted, self.noise[t])
        else:
            own = self.given.plant(control, push)
        self.body = torch.where(self.known[t], self.recorded[t], own)
        self.history["predicted_body"].append(predicted)
        self.history["body"].append(self.body)
        if not self.given.sensed:  # only its own commands tell the brain where the body is
            self.believed = body.predict(self.mistaken or self.terms, self.believed, push)
        elif self.model.environment is not None:
            # An external force is a surprise to the animal, though it is recorded.
            self.line = self.model.environment.push(self.line, self.body, body.residual_of(self.body, expected))

    def outcome(self) -> dict[str, Tensor]:
        self.history["gate"].insert(0, self.history["gate"][0])
        return {name: torch.stack(values) for name, values in self.history.items()}


def _between(values: Float[Tensor, "time trial n"]) -> Float[Tensor, "time trial n"]:
    """Averages of each bin and the one before: what acts from bin centre to bin centre."""
    return torch.cat([values[:1], 0.5 * (values[:-1] + values[1:])])
