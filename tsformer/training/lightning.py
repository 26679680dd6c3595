"""Lightning, imported without what its own imports bring in vain.

That is torch's compiler; all of `scipy.signal`, for names that SciPy has given up and nobody uses;
and matplotlib, for pictures of metrics. Together they take four fifths of the time, and 120 MB.
"""

from typing import Any

from tsformer.imports import StandIn, called_later, compiler_stand_in, quick_imports

_PICTURES = "torchmetrics.utilities.plot"
_DRAWING = ("plot_confusion_matrix", "plot_curve", "plot_single_or_multi_val")

with quick_imports(
    compiler_stand_in(),
    StandIn("scipy.signal", hamming=None),
    StandIn(
        _PICTURES,
        _AX_TYPE=Any,
        _CMAP_TYPE=Any,
        _PLOT_OUT_TYPE=Any,
        **{name: called_later(_PICTURES, name) for name in _DRAWING},
    ),
):
    import lightning.pytorch as pl
    from lightning.fabric import Fabric
    from lightning.pytorch.callbacks import EarlyStopping

__all__ = ["EarlyStopping", "Fabric", "pl"]
