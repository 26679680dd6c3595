from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tsformer.models.weights import load_matching, read_weights, task_parts, write_weights

SIZES = {"d_model": 4, "dropout": 0.1, "head": "quantile", "levels": [0.1, 0.5], "norm": None}


class Network(nn.Module):
    """A body of one size, a head of another, and something to count."""

    task_parts = ("head",)

    def __init__(self, width: int = 4, horizon: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, width), nn.BatchNorm1d(width))
        self.head = nn.Linear(width, horizon)


def state(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    network = Network()
    network.body(torch.randn(8, 5))  # statistics, and a count, to be kept
    write_weights(tmp_path / "new" / "weights.safetensors", state(network), "Net", SIZES)
    tensors, sizes = read_weights(str(tmp_path / "new" / "weights.safetensors"), "Net")
    assert sizes == SIZES
    assert tensors.keys() == network.state_dict().keys()
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensors[name], tensor)
        assert tensors[name].dtype == tensor.dtype
    assert tensors["body.1.num_batches_tracked"] == 1


def test_views_and_transposed_tensors_are_written_as_they_look(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    write_weights(tmp_path / "w", {"a": whole.T, "b": whole[:, 1:3]}, "Net", {})
    tensors, _ = read_weights(tmp_path / "w", "Net")
    assert torch.equal(tensors["a"], whole.T)
    assert torch.equal(tensors["b"], whole[:, 1:3])


def test_others_may_read_the_file_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors", state(Network()), "Net", SIZES)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("network", "sizes"),
    [
        ({"weight": torch.ones(2)}, {"device": object()}),  # no JSON
        (dict.fromkeys(["one", "other"], torch.ones(2)), {}),  # safetensors refuses shared memory
    ],
)
def test_where_writing_fails_the_earlier_file_stays(
    network: Any, sizes: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "w.safetensors"
    write_weights(file, {"weight": torch.zeros(2)}, "Net", SIZES)
    with pytest.raises((TypeError, RuntimeError)):
        write_weights(file, network, "Net", sizes)
    assert list(tmp_path.iterdir()) == [file]
    assert read_weights(file, "Net")[1] == SIZES


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"weights='{path}': there is no such file"):
            read_weights(path, "Net")


def test_a_network_of_another_kind_is_refused(tmp_path: Path) -> None:
    write_weights(tmp_path / "w", state(Network()), "Other", SIZES)
    with pytest.raises(ValueError, match="is of Other, not of Net"):
        read_weights(tmp_path / "w", "Net")
    save_file(state(Network()), tmp_path / "plain")
    with pytest.raises(ValueError, match="plain' is of something else, not of Net"):
        read_weights(tmp_path / "plain", "Net")


class Harmful:
    """Would do something when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("harm"),)


def test_pickles_are_refused_and_not_opened(tmp_path: Path) -> None:
    (tmp_path / "pickle").write_bytes(pickle.dumps(Harmful()))
    torch.save(state(Network()), tmp_path / "torch")
    (tmp_path / "empty").touch()
    for name in ("pickle", "torch", "empty"):
        with pytest.raises(ValueError, match=f"{name}' cannot be read"):
            read_weights(tmp_path / name, "Net")
    assert not Path("harm").exists()


def test_a_network_of_the_same_sizes_becomes_the_same() -> None:
    given, network = Network(), Network()
    given.body(torch.randn(8, 5))
    load_matching(network, state(given), task_parts(network))
    for name, tensor in given.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)


def test_parts_of_a_task_stay_as_they_are_where_they_do_not_fit() -> None:
    given, network = Network(horizon=3), Network(horizon=9)
    before = state(network)
    load_matching(network, {**state(given), "more": torch.ones(1)}, task_parts(network))
    after = network.state_dict()
    assert torch.equal(after["body.0.weight"], given.body[0].weight)
    assert torch.equal(after["head.weight"], before["head.weight"])
    lacking = {name: t for name, t in state(given).items() if not name.startswith("head")}
    load_matching(network, lacking, task_parts(network))
    assert torch.equal(network.head.bias, before["head.bias"])


def test_other_parts_have_to_fit() -> None:
    network = Network(width=6)
    before = state(network)
    message = r"body.0.weight should have the shape \[6, 5\] but has the shape \[4, 5\]; leave"
    with pytest.raises(ValueError, match=message):
        load_matching(network, state(Network()), ("head",))
    lacking = state(Network(width=6))
    del lacking["body.1.running_mean"]
    with pytest.raises(ValueError, match="body.1.running_mean .* but is not among them"):
        load_matching(network, lacking, ("head",))
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in before.items())
