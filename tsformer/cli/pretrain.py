"""`tsformer pretrain`: weights of TSFormer from synthetic series."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tsformer.cli.command import Command, argument, say
from tsformer.files import write_whole

if TYPE_CHECKING:
    from tsformer.models.zero_shot import TSFormer


@dataclass(frozen=True, kw_only=True)
class Pretrain(Command):
    """Pre-train TSFormer on synthetic series.

    Interrupt it when you like: the same command goes on where it stopped, and ends in the same
    weights. To train for longer, raise `steps` in the configuration, delete latest.pt and run it
    again: it goes on from plateau.pt, where the learning rate had not yet begun to fall.

    Args:
        recipe: YAML file, such as configs/pretrain_small.yaml.
        output: folder of checkpoints, learning curve and, at the end, weights.safetensors.

    Examples:
        tsformer pretrain configs/pretrain_small.yaml --output results/pretrain_small
    """

    group: ClassVar[str] = "what to keep"

    recipe: str = argument("CONFIG")
    output: Path

    def run(self) -> int:
        """Train, draw the learning curve, and write the weights in 16 bits."""
        import yaml

        config = yaml.safe_load(Path(self.recipe).read_text(encoding="utf-8"))
        lacking = [key for key in ("training", "network") if key not in (config or {})]
        if lacking:
            raise ValueError(f"{self.recipe} has no {lacking[0]!r}; it needs training and network")
        model, sizes = self._trained(config)
        _draw(self.output / "curve.csv", self.output / "curve.png")
        from tsformer.models.weights import write_weights

        tensors = {name: tensor.half() for name, tensor in model.state_dict().items()}
        write_weights(self.output / "weights.safetensors", tensors, "tsformer", sizes)
        return 0

    def _trained(self, config: dict[str, Any]) -> tuple[TSFormer, dict[str, Any]]:
        """Return the network after all steps, and its sizes."""
        import torch

        from tsformer.evaluation.zero_shot import RealSeries
        from tsformer.models.tsformer import TSFormerConfig
        from tsformer.models.zero_shot import TSFormer
        from tsformer.training.prior_fitting import PriorFitting, read_settings

        settings = read_settings(config["training"])
        sizes = TSFormerConfig(**config["network"])
        torch.manual_seed(settings.seed)
        model = TSFormer(sizes)
        say(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters")
        judge = RealSeries(config.get("judged", {})).scores
        PriorFitting(model, settings, self.output, judge=judge, notify=say).run()
        return model, asdict(sizes)


def _draw(table: Path, picture: Path) -> None:
    """Draw errors on held out synthetic series, and scores on real ones, against steps."""
    import pandas as pd
    from matplotlib.figure import Figure

    curve = pd.read_csv(table)
    figure = Figure(figsize=(10, 4), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2)
    for name in curve.filter(like="held out"):
        patches = str(name).removeprefix("held out ")
        left.plot(curve["step"], curve[name], "o-", ms=3, lw=1, label=patches)
    left.set_ylabel("error on synthetic series, in errors of the best echo")
    above: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "frameon": False}
    left.legend(title="patches of context + horizon", fontsize=7, ncols=6, **above)
    for name in curve.filter(regex=r"^(quick|competition) "):
        right.plot(curve["step"], curve[name], "o-", ms=3, lw=1, label=name)
    right.set_ylabel("score on real series, relative to seasonal naive")
    right.legend(fontsize=8, ncols=2, **above)
    for axis in (left, right):
        axis.set_xlabel("step")
        axis.spines[["top", "right"]].set_visible(False)
    write_whole(picture, figure.savefig)
