"""Lightning, imported without what its own imports bring in vain.

That is torch's compiler, and all of `scipy.signal`, which torchmetrics wants for names that SciPy
has given up and nothing in it uses: two thirds of the time and 90 MB.
"""

from tsformer.imports import StandIn, compiler_stand_in, quick_imports

with quick_imports(compiler_stand_in(), StandIn("scipy.signal", hamming=None)):
    import lightning.pytorch as pl
    from lightning.fabric import Fabric
    from lightning.pytorch.callbacks import EarlyStopping

__all__ = ["EarlyStopping", "Fabric", "pl"]
