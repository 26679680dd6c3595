"""Short pre-trainings."""

from __future__ import annotations

import pytest
import torch

from tsformer.models.tsformer import TSFormerConfig
from tsformer.training import trials
from tsformer.training.trials import held_out, try_out

CONFIG = TSFormerConfig(d_model=8, n_heads=2, n_layers=1, d_ff=8)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="pre-training needs torch 2.9")
def test_the_seed_alone_decides() -> None:
    judged = held_out(CONFIG, 0)[:1]
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, same, other = (
        try_out(CONFIG, steps=3, tokens_per_batch=64, seed=seed, judged=judged)
        for seed in (0, 0, 1)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert one.error == same.error != other.error
    assert one.series == same.series > 3
    assert not one.model.training


def test_what_is_held_out_has_every_shape_and_is_not_trained_on() -> None:
    judged = held_out(CONFIG, 0)
    sizes = [(part.values.shape[1], part.future.shape[1]) for part in judged]
    assert sizes == [(32 * shape.context, 32 * shape.horizon) for shape in trials._SHAPES]
    assert not torch.equal(judged[0].values, held_out(CONFIG, 1)[0].values)
