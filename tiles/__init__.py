"""Imagery: catalogues, scenes, the tiling engine with its kernels, change maps."""
