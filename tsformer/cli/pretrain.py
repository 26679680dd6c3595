"""`tsformer pretrain`: weights of TSFormer from synthetic series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_type_hints

from tsformer.cli.command import FOLDER, Command, argument, say
from tsformer.cli.configs import yaml_problem
from tsformer.cli.outputs import check_folder
from tsformer.files import write_whole

if TYPE_CHECKING:
    from tsformer.models.zero_shot import TSFormer


@dataclass(frozen=True, kw_only=True)
class Pretrain(Command):
    """Pre-train TSFormer on synthetic series.

    Interrupt it when you like: the same command goes on where it stopped, and ends in the same
    weights. To train for longer, raise `steps` in the configuration and run it again: it goes on
    from plateau.pt, where the learning rate had not yet begun to fall.

    Args:
        recipe: YAML file, such as configs/pretrain_small.yaml.
        output: folder of checkpoints, learning curve and, at the end, weights.safetensors.

    Examples:
        tsformer pretrain configs/pretrain_small.yaml --output results/pretrain_small
    """

    group: ClassVar[str] = "what to keep"

    recipe: str = argument("CONFIG")
    output: Path = field(metadata=FOLDER)

    def run(self) -> int:
        """Train, draw the learning curve, and write the weights in 16 bits."""
        config = _read_recipe(self.recipe)
        check_folder(self.output, "output")
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
        from tsformer.training.prior_fitting import PretrainingSettings, PriorFitting, read_settings
        from tsformer.training.synthetic_windows import Shape

        _check_part(config["training"], PretrainingSettings, f"{self.recipe}: training")
        shapes = config["training"]["shapes"]
        if not isinstance(shapes, list):
            raise ValueError(f"{self.recipe}: training.shapes is {shapes!r}; it must be a list")
        for number, shape in enumerate(shapes):
            _check_part(shape, Shape, f"{self.recipe}: training.shapes[{number}]")
        _check_part(config["network"], TSFormerConfig, f"{self.recipe}: network")
        settings = read_settings(config["training"])
        sizes = TSFormerConfig(**config["network"])
        torch.manual_seed(settings.seed)
        model = TSFormer(sizes)
        say(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters")
        judge = RealSeries(config.get("judged", {})).scores
        PriorFitting(model, settings, self.output, judge=judge, notify=say).run()
        return model, asdict(sizes)


def _read_recipe(recipe: str) -> dict[str, Any]:
    """Return what a recipe holds.

    Raises:
        ValueError: for a file that is no YAML, and for parts that it lacks.
    """
    import yaml

    try:
        config = yaml.safe_load(Path(recipe).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{recipe} is no YAML: {yaml_problem(error)}") from error
    known = config if isinstance(config, dict) else {}
    lacking = [key for key in ("training", "network") if key not in known]
    if lacking:
        raise ValueError(f"{recipe} has no {lacking[0]!r}; it needs training and network")
    return known


def _check_part(given: Any, kind: Any, called: str) -> None:
    """Raise a ValueError for what does not describe a dataclass, naming it as it is called."""
    if not isinstance(given, Mapping):
        raise ValueError(f"{called} is {given!r}; it needs settings by their names")
    known = {one.name: one for one in fields(kind)}
    takes = f"it takes {', '.join(known)}"
    if unknown := [name for name in given if name not in known]:
        raise ValueError(f"{called} has no setting {unknown[0]!r}; {takes}")
    for name, one in known.items():
        if name not in given and one.default is MISSING and one.default_factory is MISSING:
            raise ValueError(f"{called} lacks {name}; {takes}")
    hints = get_type_hints(kind)
    for name, value in given.items():
        numeric, whole = hints[name] in (int, float), hints[name] is int
        fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if numeric and not fits:
            number = "a whole number" if whole else "a number"
            raise ValueError(f"{called}.{name} is {value!r}; it must be {number}")


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
