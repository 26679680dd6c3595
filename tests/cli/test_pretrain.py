"""`tsformer pretrain`: weights that forecast, from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from tsformer import TSFormerForecaster
from tsformer.training import synthetic_windows

RECIPE = """
network: {d_model: 8, n_heads: 2, n_layers: 1, d_ff: 8}
training:
  steps: 4
  decay: 2
  warmup: 1
  tokens_per_batch: 48
  precision: 32-true
  compile: false
  judge_every: 2
  shapes:
    - {context: 2, horizon: 1, share: 1.0}
"""


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="pre-training needs torch 2.9")
def test_weights_and_curve_are_made_and_the_weights_forecast(
    call: Any, tmp_path: Path, sales: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic_windows, "_JUDGED", 8)
    (tmp_path / "r.yaml").write_text(RECIPE)
    code, out, err = call("pretrain", tmp_path / "r.yaml", "--output", tmp_path / "out")
    assert (code, out) == (0, "")
    assert "parameters\n" in err.splitlines(keepends=True)[0]
    assert (tmp_path / "out" / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert pd.read_csv(tmp_path / "out" / "curve.csv")["step"].tolist() == [2, 4]
    weights = tmp_path / "out" / "weights.safetensors"
    forecast = TSFormerForecaster(horizon=3, weights=weights).predict(sales)
    assert len(forecast) == 6


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("network: {", "network: [", "is no YAML: line 2, column "),
        ("d_model: 8", "d_modell: 8", "network has no setting 'd_modell'; it takes patch_length, "),
        ("d_model: 8", "d_model: x", "network.d_model is 'x'; it must be a whole number"),
        ("  decay: 2", "", "training lacks decay; it takes steps, decay, "),
        ("steps: 4", "steps: [4]", "training.steps is [4]; it must be a whole number"),
        ("warmup: 1", "learning_rate: 2e-3", "training.learning_rate is '2e-3'; it must be a num"),
        ("context: 2", "contex: 2", "training.shapes[0] has no setting 'contex'; it takes "),
        ("    - {context: 2, horizon: 1, share: 1.0}", "    3", "training.shapes is 3; it must be"),
        ("network: {d_model: 8, n_heads: 2, n_layers: 1, d_ff: 8}", "network: 3", "network is 3; "),
    ],
)
def test_a_recipe_that_cannot_be_is_one_clear_line(
    call: Any, tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in RECIPE
    (tmp_path / "r.yaml").write_text(RECIPE.replace(old, new))
    code, _, err = call("pretrain", tmp_path / "r.yaml", "--output", tmp_path / "out")
    assert code == 1
    assert f"r.yaml: {message}" in err or f"r.yaml {message}" in err
    assert err.count("\n") == 1
    assert "--debug" not in err
    assert not (tmp_path / "out").exists()


def test_help_advises_no_deletion(call: Any) -> None:
    assert "delete" not in call("pretrain", "--help").out


@pytest.mark.parametrize("text", ["", "network: {}\n", "a: 1\n"])
def test_a_recipe_that_lacks_a_part_is_an_error(call: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    code, _, err = call("pretrain", tmp_path / "r.yaml", "--output", tmp_path / "out")
    assert code == 1
    assert "has no 'training'; it needs training and network" in err
    assert not (tmp_path / "out").exists()
