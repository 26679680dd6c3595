"""Architectures: each file composes the parts of `tsformer.nn` into one published network."""
