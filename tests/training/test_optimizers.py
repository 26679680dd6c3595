"""AdamW without torch's compiler steps as torch's own does."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tsformer.training.optimizers import UncompiledAdamW


def steps(optimizer: type[torch.optim.AdamW]) -> list[Tensor]:
    """Return weights after a few steps, on a schedule, with two groups."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    groups = [{"params": [model.weight], "weight_decay": 0.1}, {"params": [model.bias]}]
    adamw = optimizer(groups, lr=0.1, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(adamw, lambda step: 1 / (step + 1))

    def closure() -> Tensor:
        adamw.zero_grad()
        loss = model(torch.ones(4, 3)).square().sum()
        loss.backward()
        return loss

    losses = []
    for _ in range(5):
        losses.append(adamw.step(closure).detach())
        schedule.step()
    assert losses[-1] < losses[0]
    return [*losses, model.weight.detach(), model.bias.detach()]


def test_its_steps_are_those_of_adamw() -> None:
    torch.testing.assert_close(steps(UncompiledAdamW), steps(torch.optim.AdamW), rtol=0.0, atol=0.0)
