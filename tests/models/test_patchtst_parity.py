"""PatchTST against Hugging Face's, an implementation of the authors' own institute.

Both get the same weights. They differ in three ways that the comparison has to bear:

- Ours repeats the last value `stride` times at the end, as in the paper; theirs does not pad. So
  theirs gets series that are padded already, with the padding marked as not observed: it then has
  no part in loc and scale.
- Theirs adds `minimum_scale` to each variance; here it is 0.
- Theirs has weights of its own for queries, keys and values; ours has them in one matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from tsformer.models.patchtst import PatchTSTConfig, patchtst
from tsformer.models.scaled import ScaledModel
from tsformer.types import Batch

transformers = pytest.importorskip("transformers")

CONFIG = PatchTSTConfig(
    context_length=24,
    horizon=5,
    patch_length=8,
    stride=4,
    d_model=16,
    n_heads=4,
    n_layers=2,
    d_ff=24,
    dropout=0.0,
    head="mse",
)
N_VARIATES = 3
CLOSE = {"atol": 1e-4, "rtol": 1e-4}
Pairs = list[tuple[str, Tensor, Tensor]]


def make_theirs(**changes: Any) -> Any:
    """Return Hugging Face's model with weights that all matter."""
    settings = {
        "num_input_channels": N_VARIATES,
        "context_length": CONFIG.context_length + CONFIG.stride,
        "prediction_length": CONFIG.horizon,
        "patch_length": CONFIG.patch_length,
        "patch_stride": CONFIG.stride,
        "d_model": CONFIG.d_model,
        "num_attention_heads": CONFIG.n_heads,
        "num_hidden_layers": CONFIG.n_layers,
        "ffn_dim": CONFIG.d_ff,
        "activation_function": "gelu",
        "norm_type": "batchnorm",
        "pre_norm": False,
        "share_embedding": True,
        "channel_attention": False,
        "positional_encoding_type": "random",
        "use_cls_token": False,
        "pooling_type": None,
        "share_projection": True,
        "loss": "mse",
        "scaling": "std",
        "minimum_scale": 0.0,
        **dict.fromkeys(["attention_dropout", "positional_dropout", "path_dropout"], 0.0),
        **dict.fromkeys(["ff_dropout", "head_dropout"], 0.0),
    }
    theirs = transformers.PatchTSTForPrediction(transformers.PatchTSTConfig(**settings | changes))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in theirs.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(0.3 * torch.randn(tensor.shape, generator=generator))
                if name.endswith(("running_var", "batchnorm.weight", "norm.weight")):
                    tensor.copy_(0.5 + tensor.abs())
    return theirs


def make_pair(norm: str = "batch") -> tuple[ScaledModel, Any]:
    """Return our model and theirs, in evaluation mode, with the same weights and statistics."""
    ours = patchtst(PatchTSTConfig(**{**vars(CONFIG), "norm": norm}))
    theirs = make_theirs(norm_type=f"{norm}norm")
    with torch.no_grad():
        for _, our_part, their_part in tensor_pairs(ours, theirs):
            our_part.copy_(their_part)
    return ours.eval(), theirs.eval()


def tensor_pairs(ours: ScaledModel, theirs: Any, *, gradients: bool = False) -> Pairs:
    """Return name, our tensor (or part of one), and their tensor: weights, or their gradients."""

    def of(module: Any, name: str) -> Tensor:
        tensor = getattr(module, name)
        return tensor.grad if gradients else tensor

    pairs = []
    position = theirs.model.encoder.positional_encoder
    pairs.append(("position", of(ours.network.embedding, "position"), of(position, "position_enc")))
    for name, our_module, their_modules in module_pairs(ours, theirs):
        attributes = ["weight", "bias"]
        if hasattr(our_module, "running_mean") and not gradients:
            attributes += ["running_mean", "running_var"]
        for attribute in attributes:
            parts = of(our_module, attribute).chunk(len(their_modules))
            for part, (their_name, module) in zip(parts, their_modules.items(), strict=True):
                pairs.append((f"{name}.{their_name}.{attribute}", part, of(module, attribute)))
    return pairs


def module_pairs(ours: ScaledModel, theirs: Any) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Yield where a module stands, ours, and those of theirs whose weights ours has in one."""
    encoder: Any = ours.network.encoder
    embedding: Any = ours.network.embedding
    yield (
        "embedding",
        embedding.value_projection,
        {"": theirs.model.encoder.embedder.input_embedding},
    )
    yield "head", ours.network.flatten_head, {"": theirs.head.projection}
    for number, layer in enumerate(encoder.layers):
        other = theirs.model.encoder.layers[number]
        names = ("q_proj", "k_proj", "v_proj")
        heads = {name: getattr(other.self_attn, name) for name in names}
        yield f"{number}", layer.attention.query_key_value, heads
        yield f"{number}", layer.attention.output, {"out_proj": other.self_attn.out_proj}
        yield f"{number}", layer.feed_forward[0], {"ff.0": other.ff[0]}
        yield f"{number}", layer.feed_forward[3], {"ff.3": other.ff[3]}
        for norm, name in [
            ("attention_norm", "norm_sublayer1"),
            ("feed_forward_norm", "norm_sublayer3"),
        ]:
            our_norm, their_norm = getattr(layer, norm), getattr(other, name)
            our_norm = getattr(our_norm, "norm", our_norm)  # a batch norm is wrapped in both
            yield f"{number}", our_norm, {name: getattr(their_norm, "batchnorm", their_norm)}


def make_batch(n_batch: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(1)
    shape = (n_batch, N_VARIATES, CONFIG.context_length + CONFIG.horizon)
    level = torch.tensor([0.01, -300.0, 20.0])[:, None]
    values = level + level.abs() * torch.randn(shape, generator=generator)
    target, future = values.split([CONFIG.context_length, CONFIG.horizon], dim=-1)
    return Batch(
        target=target,
        observed=torch.ones_like(target, dtype=torch.bool),
        future=future,
        future_observed=torch.ones_like(future, dtype=torch.bool),
    )


def their_forecast(theirs: Any, batch: Batch) -> Tensor:
    """Return their point forecasts, `[B, C, H]`, raw units, of series padded at their end."""
    padding = batch.target[..., -1:].expand(-1, -1, CONFIG.stride)
    padded = torch.cat([batch.target, padding], dim=-1)
    observed = torch.cat([batch.observed, torch.zeros_like(padding, dtype=torch.bool)], dim=-1)
    answer = theirs(past_values=padded.mT, past_observed_mask=observed.mT.float())
    return answer.prediction_outputs.mT


def our_forecast(ours: ScaledModel, batch: Batch) -> Tensor:
    """Return our point forecasts, `[B, C, H]`, raw units."""
    return ours.predict(batch, (0.5,)).quantiles[..., 0]


def relative(values: Tensor, batch: Batch) -> Tensor:
    """Return forecasts in units of their window."""
    return (values - batch.target.mean(-1, keepdim=True)) / batch.target.std(-1, keepdim=True)


def test_every_weight_of_theirs_has_its_place_in_ours() -> None:
    ours, theirs = make_pair()
    pairs = tensor_pairs(ours, theirs)
    copied = sum(part.numel() for _, part, _ in pairs)
    assert copied == sum(t.numel() for t in theirs.state_dict().values() if t.ndim > 0)
    # ours has one matrix more, of what is missing, and the head's spread of errors
    more = ours.network.embedding.missing_projection.weight.numel() + ours.head.errors.numel()
    assert copied + more == sum(t.numel() for t in ours.state_dict().values() if t.ndim > 0)


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("training", [False, True])
def test_forecasts_in_raw_units_agree(norm: str, training: bool) -> None:
    """In training batch normalisation takes the statistics of the batch."""
    ours, theirs = make_pair(norm)
    ours.train(training)
    theirs.train(training)
    batch = make_batch()
    with torch.no_grad():
        expected = relative(their_forecast(theirs, batch), batch)
        got = relative(our_forecast(ours, batch), batch)
    assert expected.std() > 0.5  # forecasts that differ, not the windows' means
    torch.testing.assert_close(got, expected, **CLOSE)


def test_running_statistics_agree_after_training_steps() -> None:
    ours, theirs = make_pair()
    before = {name: part.clone() for name, part, _ in tensor_pairs(ours, theirs)}
    ours.train()
    theirs.train()
    with torch.no_grad():
        for n_batch in (6, 3):
            our_forecast(ours, make_batch(n_batch))
            their_forecast(theirs, make_batch(n_batch))
    for name, part, other in tensor_pairs(ours, theirs):
        torch.testing.assert_close(part, other, **CLOSE)
        assert torch.equal(part, before[name]) == ("running" not in name), name


@pytest.mark.parametrize("training", [False, True])
def test_gradients_of_every_weight_agree(training: bool) -> None:
    """Our loss counts errors in units of the window; here theirs does so too."""
    ours, theirs = make_pair()
    ours.train(training)
    theirs.train(training)
    batch = make_batch()
    assert batch.future is not None
    deviation = batch.target.std(dim=-1, correction=0, keepdim=True)
    loss = ours.loss(batch)
    their_loss = ((their_forecast(theirs, batch) - batch.future) / deviation).square().mean()
    torch.testing.assert_close(loss, their_loss, **CLOSE)
    loss.backward()
    their_loss.backward()
    for name, part, other in tensor_pairs(ours, theirs, gradients=True):
        torch.testing.assert_close(
            part, other, **CLOSE, msg=lambda text, name=name: f"{name}: {text}"
        )
        if not name.endswith("bias"):  # some cancel, in the softmax or in the batch's statistics
            assert other.abs().max() > 1e-3, name
