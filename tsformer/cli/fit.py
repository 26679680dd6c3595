"""`tsformer fit`: a forecaster that has learned from a file, in a folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tsformer.cli.command import FOLDER, UsageError, say
from tsformer.cli.outputs import check_folder
from tsformer.cli.series import ForecasterCommand

if TYPE_CHECKING:
    from tsformer.forecasters import Forecaster


@dataclass(frozen=True, kw_only=True)
class Fit(ForecasterCommand):
    """Fit a forecaster to the series of a file, and save it.

    The folder, JSON and safetensors, is what `tsformer predict --forecaster FOLDER` and
    `tsformer.load` read.

    Args:
        output: folder to write; an earlier save in it is replaced.
        val_size: steps at the end of each series that are held out from training; 0 for none, a
            tail of a tenth, but at least one horizon, where not given.
        forecaster: name of the class that learns.

    Examples:
        tsformer fit sales.csv --output fitted --horizon 14
        tsformer fit sales.csv --output fitted --parameters.max_steps 1000
        tsformer predict recent.csv --forecaster fitted
    """

    group: ClassVar[str] = "what to learn, and where to keep it"

    output: Path = field(metadata=FOLDER)
    val_size: int | None = None
    forecaster: str = "PatchTSTForecaster"

    def run(self) -> int:
        """Fit, save, and say what was learned."""
        if self.is_saved:
            raise UsageError(
                f"--forecaster={self.forecaster} is fitted already; name a class to fit a new one"
            )
        self.check_inputs()
        check_folder(self.output, "output", may_hold=("config.json", "model.safetensors"))
        frame, static = self.frame, self.static_frame
        fitted = self.unfitted().fit(frame, static_df=static, val_size=self.val_size)
        fitted.save(self.output)
        say(f"{_learned(fitted)}; saved in {self.output}")
        return 0


def _learned(fitted: Forecaster) -> str:
    """Return what `fit` did, in one line."""
    report = fitted.fit_report_
    line = f"fitted {type(fitted).__name__} to {report.n_series} series, {report.n_values} values"
    training = report.training
    if training is None:
        return line
    line += f", in {training.steps} steps and {training.seconds:.1f} s"
    if training.best_loss is None:
        return line
    return f"{line}, validation loss {training.best_loss:.4g} at step {training.best_step}"
