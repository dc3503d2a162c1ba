"""What of a model belongs to single animals and sessions; all the rest is shared by every animal there will ever be.

This is the only place that says so. `adapt` keeps what is shared and makes what is not anew.
"""

from __future__ import annotations

from torch import nn

from ncyber_cli.inference.elbo import NeuroModel
from ncyber_cli.inference.encoder import Encoder, ReadIn
from ncyber_cli.model.body import StudentScale
from ncyber_cli.model.controller.gate import Gate
from ncyber_cli.model.emission import Emission
from ncyber_cli.model.meta import Embedding, Pooled

# Parts and the names in them; None: the part as a whole, with whatever is inside it.
_OF_ANIMALS: tuple[tuple[type[nn.Module], tuple[str, ...] | None], ...] = (
    (Pooled, ("deviation",)),
    (Embedding, None),
    (StudentScale, None),
    (Gate, ("offset",)),
)
_OF_SESSIONS: tuple[tuple[type[nn.Module], tuple[str, ...] | None], ...] = (
    (Emission, None),
    (ReadIn, ("weight", "offset")),
    (Encoder, ("latent_path", "unit_mean", "unit_scale")),
)


def own_names(model: NeuroModel) -> set[str]:
    """Names in the state of `model` that belong to its own animals and sessions."""
    known = model.state_dict().keys()
    found: set[str] = set()
    for prefix, part in model.named_modules():
        for kind, names in _OF_ANIMALS + _OF_SESSIONS:
            if isinstance(part, kind):
                wanted = [f"{prefix}."] if names is None else [f"{prefix}.{name}" for name in names]
                found.update(name for name in known if name.startswith(tuple(wanted)))
    return found


def train_own_parts_only(model: NeuroModel) -> None:
    """From now on nothing that is shared learns. The deviations of a single animal do, as those of several always."""
    for part in model.modules():
        if isinstance(part, Pooled):
            part.deviation.requires_grad_(part.log_shared.requires_grad)
    own = own_names(model)
    for name, parameter in model.named_parameters():
        if name not in own:
            parameter.requires_grad_(False)
