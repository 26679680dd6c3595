"""Pictures: each function returns a Matplotlib figure, whose `savefig` writes it to a file."""

from tsformer.plotting.attention import plot_attention
from tsformer.plotting.backtest import plot_cross_validation
from tsformer.plotting.forecast import plot_forecast
from tsformer.plotting.patches import plot_patch_importance, plot_patches
from tsformer.plotting.scores import plot_calibration, plot_error_by_horizon
from tsformer.plotting.tokens import plot_tokens

__all__ = [
    "plot_attention",
    "plot_calibration",
    "plot_cross_validation",
    "plot_error_by_horizon",
    "plot_forecast",
    "plot_patch_importance",
    "plot_patches",
    "plot_tokens",
]
