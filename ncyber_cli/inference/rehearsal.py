"""Rollouts that are played again and again with the same noise, so that only the model makes the difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ncyber_cli.inference.elbo import NeuroModel, Noise
from ncyber_cli.inference.rollout import Happening, Scene, play
from ncyber_cli.inference.trial_noise import PathNoise


@dataclass(frozen=True)
class Rehearsal:
    """Scenes from the prior, and the noise that is theirs."""

    scene: Scene
    noise: PathNoise

    def play(self, model: NeuroModel) -> Happening:
        """What happens in them, differentiable in the parameters of `model`."""
        return play(model, self.scene, self.noise)


def together(parts: Sequence[Rehearsal]) -> Rehearsal:
    """One batch of rehearsals of equal length that begin in the prior."""

    def joined(read: Callable[[Rehearsal], Tensor], axis: int) -> Tensor:
        return torch.cat([read(part) for part in parts], axis)

    scene = Scene(
        animal=joined(lambda part: part.scene.animal, 0),
        session=joined(lambda part: part.scene.session, 0),
        input=joined(lambda part: part.scene.input, 0),
        force=joined(lambda part: part.scene.force, 0),
        objective=joined(lambda part: part.scene.objective, 0),
        body=joined(lambda part: part.scene.body, 0),
    )
    noise = Noise(
        latent=joined(lambda part: part.noise.noise.latent, 1),
        objective=joined(lambda part: part.noise.noise.objective, 1),
        actuator=joined(lambda part: part.noise.noise.actuator, 0),
        body=joined(lambda part: part.noise.noise.body, 1),
        embedding=joined(lambda part: part.noise.noise.embedding, 0),
    )
    return Rehearsal(scene, PathNoise(noise, joined(lambda part: part.noise.jump, 1)))
