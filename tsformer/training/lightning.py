"""Lightning, imported without what its own imports bring needlessly.

That is torch's compiler; all of `scipy.signal`, for a name that SciPy has given up; and matplotlib,
for pictures of metrics. Alone in their environment they take four fifths of the time, and 100 MB.
Whoever uses them later gets them. One thing remains different: torchmetrics, where it is imported
here first, does not put `hamming` back into `scipy.signal`.
"""

from typing import Any

from tsformer.imports import StandIn, called_later, compiler_stand_in, quick_imports

_PICTURES = "torchmetrics.utilities.plot"
_DRAWING = ("plot_confusion_matrix", "plot_curve", "plot_single_or_multi_val")
_pictures = StandIn(
    _PICTURES,
    _AX_TYPE=Any,
    _CMAP_TYPE=Any,
    _PLOT_OUT_TYPE=Any,
    **{name: called_later(_PICTURES, name) for name in _DRAWING},
)

with quick_imports(
    compiler_stand_in(),
    StandIn("scipy.signal", hamming=called_later("scipy.signal.windows", "hamming")),
    _pictures,
):
    import lightning.pytorch as pl
    import torchmetrics.utilities
    from lightning.fabric import Fabric
    from lightning.pytorch.callbacks import EarlyStopping

vars(torchmetrics.utilities).setdefault("plot", _pictures)  # as its import would have left it

__all__ = ["EarlyStopping", "Fabric", "pl"]
