from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tsformer.models.inspection import (
    attention_layers,
    attention_maps,
    head_importance,
    mean_loss,
    patch_importance,
    patch_spans,
    prune_heads,
    silenced,
)
from tsformer.models.patchtst import PatchTSTConfig, patchtst
from tsformer.models.scaled import ScaledModel
from tsformer.nn.attention import SelfAttention
from tsformer.nn.patching import patch
from tsformer.nn.scaling import instance_norm
from tsformer.types import Batch

CONFIG = PatchTSTConfig(
    context_length=20, horizon=4, patch_length=4, stride=2, d_model=16, d_ff=16, n_layers=2
)


def make_model(seed: int = 0, **changes: object) -> ScaledModel:
    """Return a model whose every weight matters: the output layer of a new one is zero."""
    torch.manual_seed(seed)
    model = patchtst(replace(CONFIG, **changes)).eval()  # type: ignore[arg-type]
    torch.nn.init.normal_(model.network.flatten_head.weight, std=0.1)
    return model


def make_batch(n_batch: int = 6, seed: int = 1, missing: float = 0.0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    observed = torch.rand(n_batch, 2, 20, generator=generator) >= missing
    target = torch.randn(n_batch, 2, 20, generator=generator)
    return Batch(
        target=torch.where(observed, target, 0.0),
        observed=observed,
        future=torch.randn(n_batch, 2, 4, generator=generator),
        future_observed=torch.ones(n_batch, 2, 4, dtype=torch.bool),
    )


def layers_of(model: ScaledModel) -> list[SelfAttention]:
    return list(attention_layers(model).values())


def weights_of(model: ScaledModel) -> list[Tensor]:
    return [tensor.clone() for tensor in model.state_dict().values()]


def same_weights(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(first, second) for first, second in zip(one, other, strict=True))


def test_maps_of_the_first_layer_are_those_of_its_tokens() -> None:
    model, batch = make_model(), make_batch(missing=0.2)
    maps = attention_maps(model, batch)
    assert {n: m.shape for n, m in maps.items()} == dict.fromkeys((0, 1), (12, 4, 10, 10))
    z, _ = instance_norm(batch.target, batch.observed)
    tokens, known = model.network.embedding(z, batch.observed)
    first = layers_of(model)[0]
    expected = first.attention_weights(tokens.flatten(0, 1), known.flatten(0, 1))
    torch.testing.assert_close(maps[0], expected)
    for weights in maps.values():
        torch.testing.assert_close(weights.sum(dim=-1), torch.ones(12, 4, 10))


def test_a_layer_that_is_not_asked_is_left_out_and_its_heads_do_not_matter() -> None:
    model = make_model()
    unused = SelfAttention(16, 4)
    model.network.register_module("a_spare", unused)
    assert list(attention_layers(model))[-1] == "network.a_spare"
    assert sorted(attention_maps(model, make_batch())) == [0, 1]
    assert (head_importance(model, [make_batch()])[2] == 0).all()


def test_looking_leaves_no_trace() -> None:
    model, batch = make_model().train(), make_batch()
    before = weights_of(model)
    attention_maps(model, batch)
    head_importance(model, [batch])
    patch_importance(model, [batch], patch_length=4, stride=2)
    assert model.training
    assert same_weights(before, weights_of(model))  # running statistics among them
    hooks = [m._forward_pre_hooks for m in model.modules()]
    assert not any(hooks)


def test_hooks_are_gone_after_an_error_too() -> None:
    model, batch = make_model().train(), make_batch()
    with pytest.raises(ValueError, match="no future"):
        head_importance(model, [Batch(target=batch.target, observed=batch.observed)])
    target, observed = batch.target.repeat(1, 1, 2), batch.observed.repeat(1, 1, 2)
    with pytest.raises(RuntimeError):
        attention_maps(model, Batch(target=target, observed=observed))
    assert model.training
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_a_silenced_head_is_a_pruned_head() -> None:
    model, batch = make_model(), make_batch(missing=0.2)
    for number, head in [(0, 2), (1, 0)]:
        pruned = copy.deepcopy(model)
        prune_heads(pruned, [(number, head)])
        with silenced(layers_of(model)[number], head):
            torch.testing.assert_close(model(batch), pruned(batch))


def test_importance_is_the_rise_of_the_loss_without_a_head() -> None:
    model = make_model()
    batches = [make_batch(6, seed=1), make_batch(2, seed=2)]
    together = Batch(
        target=torch.cat([b.target for b in batches]),
        observed=torch.cat([b.observed for b in batches]),
        future=torch.cat([b.future for b in batches if b.future is not None]),
        future_observed=torch.ones(8, 2, 4, dtype=torch.bool),
    )
    complete = model.loss(together).item()
    for number, rises in enumerate(head_importance(model, batches)):
        assert len(rises) == 4
        for head, rise in enumerate(rises.tolist()):
            pruned = copy.deepcopy(model)
            prune_heads(pruned, [(number, head)])
            assert rise == pytest.approx(pruned.loss(together).item() - complete, abs=1e-5)
            assert abs(rise) > 1e-5


def test_a_head_whose_output_is_not_used_has_no_importance() -> None:
    model = make_model()
    with torch.no_grad():
        layers_of(model)[1].output.weight[:, 4:8] = 0.0
    rises = head_importance(model, [make_batch()])
    assert rises[1][1] == 0
    assert (rises[0] != 0).all()


def test_layers_without_heads_are_looked_into_as_well() -> None:
    model, batch = make_model(), make_batch()
    prune_heads(model, [(0, head) for head in range(4)] + [(1, 3)])
    shapes = [weights.shape for weights in attention_maps(model, batch).values()]
    assert shapes == [(12, 0, 10, 10), (12, 3, 10, 10)]
    assert [len(rises) for rises in head_importance(model, [batch])] == [0, 3]
    assert model(batch).isfinite().all()


@pytest.mark.parametrize("head", [(2, 0), (0, 4), (-1, 0)])
def test_when_there_is_no_such_head_then_those_that_are_there_are_named(
    head: tuple[int, int],
) -> None:
    model = make_model()
    with pytest.raises(ValueError, match=r"heads holds \(.*have \[4, 4\] heads") as caught:
        prune_heads(model, [(0, 0), head])
    assert str(head) in str(caught.value)
    assert layers_of(model)[0].n_heads == 4


def test_patches_that_are_not_read_have_no_importance() -> None:
    model = make_model(n_layers=0, norm="layer", patch_length=4, stride=4)
    model.network.flatten_head.weight.data.view(-1, 6, 16)[:, [0, 1, 3]] = 0.0
    # with a symmetric series, a missing patch leaves the scale as it is
    sign = torch.tensor([1.0, -1.0]).repeat(10)
    target = torch.randn(6, 2, 1, generator=torch.Generator().manual_seed(0)) * sign
    batch = replace(make_batch(), target=target)
    rises = patch_importance(model, [batch], patch_length=4, stride=4)
    assert len(rises) == 5
    torch.testing.assert_close(rises[[0, 1, 3]], torch.zeros(3), atol=1e-6, rtol=0)
    assert (rises[[2, 4]].abs() > 1e-4).all()


def test_a_missing_patch_is_one_whose_steps_are_not_observed() -> None:
    model, batch = make_model(), make_batch()
    rises = patch_importance(model, [batch], patch_length=4, stride=2)
    observed = batch.observed.clone()
    observed[..., 6:10] = False
    expected = (model.loss(replace(batch, observed=observed)) - model.loss(batch)).item()
    assert rises[3].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("sizes", [(20, 4, 2), (16, 3, 1), (21, 4, 4), (20, 5, 5), (7, 7, 3)])
def test_spans_are_the_steps_that_patches_are_cut_from(sizes: tuple[int, int, int]) -> None:
    context_length, patch_length, stride = sizes
    steps = torch.arange(context_length)[None, None].float()
    patches = patch(steps, patch_length, stride)[0, 0]
    spans = patch_spans(*sizes)
    assert len(spans) <= len(patches)
    assert spans[-1][1] == context_length
    for (begin, end), cut in zip(spans, patches, strict=False):
        assert torch.equal(cut[: end - begin], torch.arange(begin, end).float())
    for cut in patches[len(spans) :]:  # nothing but padding
        assert (cut == context_length - 1).all()


def test_without_windows_there_is_no_loss() -> None:
    with pytest.raises(ValueError, match="no window"):
        mean_loss(make_model(), [])
