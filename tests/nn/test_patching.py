from __future__ import annotations

import pytest
import torch

from tsformer.nn.patching import PatchEmbedding, patch, patch_count


@pytest.mark.parametrize(
    ("context_length", "patch_length", "stride"),
    [(336, 16, 8), (512, 16, 8), (10, 4, 3), (16, 16, 16), (7, 3, 1), (5, 5, 2), (8, 3, 3)],
)
def test_patches_are_those_of_a_loop_over_the_padded_series(
    context_length: int, patch_length: int, stride: int
) -> None:
    values = torch.randn(2, 3, context_length)
    padded = torch.cat([values, values[..., -1:].repeat(1, 1, stride)], dim=-1)
    starts = range(0, context_length + stride - patch_length + 1, stride)
    expected = torch.stack([padded[..., s : s + patch_length] for s in starts], dim=-2)
    patches = patch(values, patch_length, stride)
    assert torch.equal(patches, expected)
    assert patches.shape[2] == patch_count(context_length, patch_length, stride)


def test_every_step_is_in_a_patch() -> None:
    for context_length in range(4, 40):
        for stride in range(1, 5):
            steps = torch.arange(context_length).expand(1, 1, -1)
            assert set(patch(steps, 4, stride).flatten().tolist()) == set(range(context_length))


def test_the_published_number_of_patches() -> None:
    assert patch_count(336, 16, 8) == 42
    assert patch_count(512, 16, 8) == 64


def make_embedding() -> PatchEmbedding:
    torch.manual_seed(0)
    return PatchEmbedding(12, 4, 2, 8, dropout=0.0)


def test_when_all_is_observed_then_missing_steps_have_no_part() -> None:
    embedding = make_embedding()
    z, observed = torch.randn(2, 1, 12), torch.ones(2, 1, 12, dtype=torch.bool)
    tokens, known = embedding(z, observed)
    assert known is None
    expected = embedding.value_projection(patch(z, 4, 2)) + embedding.position
    torch.testing.assert_close(tokens, expected)


def test_a_patch_is_known_when_any_of_its_steps_is() -> None:
    embedding = make_embedding()
    observed = torch.ones(1, 1, 12, dtype=torch.bool)
    observed[..., :5] = False
    _, known = embedding(torch.zeros(1, 1, 12), observed)
    assert known is not None
    assert known[0, 0].tolist() == [False, True, True, True, True, True]


def test_which_steps_are_missing_means_nothing_at_first_and_can_be_learned() -> None:
    embedding = make_embedding()
    complete = torch.ones(1, 1, 12, dtype=torch.bool)
    holed = complete.clone()
    holed[..., 6] = False
    z = torch.zeros(1, 1, 12)  # a scaled series is 0 where it is missing, and may be 0 elsewhere
    torch.testing.assert_close(embedding(z, complete)[0], embedding(z, holed)[0])
    embedding(z, holed)[0].sum().backward()
    assert embedding.missing_projection.weight.grad.abs().sum() > 0
    torch.nn.init.normal_(embedding.missing_projection.weight)
    assert not torch.allclose(embedding(z, complete)[0], embedding(z, holed)[0])
