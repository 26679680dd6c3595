"""Parts of networks: scaling, patching, attention, encoder, heads."""
