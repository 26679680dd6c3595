"""Synthetic series: the prior that pre-trained networks learn to invert."""

from tsformer.prior.draws import Draw
from tsformer.prior.mixture import FAMILIES, draw_series

__all__ = ["FAMILIES", "Draw", "draw_series"]
