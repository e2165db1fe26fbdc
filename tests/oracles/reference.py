"""Codes of a reference back to its curves, in plain numpy."""

from __future__ import annotations

import numpy as np

from tiles import kernels
from tiles.reference import CodedReference, Reference


def decode(coded: CodedReference) -> Reference:
    """The curves of codes: what `tiles.reference.encode` wrote, to half a step."""
    coefficients = coded.coefficients * np.float32(kernels.CODE_STEP)
    coefficients[0] += np.float32(kernels.CODE_MIDDLE)
    lowest = coded.lowest * np.float32(kernels.CODE_STEP)
    coefficients[:, ~coded.known], lowest[~coded.known] = np.nan, np.nan
    return Reference(coefficients, lowest, coded.count.astype(np.int16))
