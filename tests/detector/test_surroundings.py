"""What lies around patches: as the slow twins count it, whatever the strips, shapes and edges of the raster."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from detector.features import RING_FEATURES, patch_features
from detector.params import PatchParams
from detector.patches import Patch, find_patches
from detector.surroundings import edges_of, look_around
from tests.detector.fakes import LAEA, UTM, blob, changed
from tests.oracles.rings import count_ring, edge_of
from tiles.change import ChangedPixels, PixelState
from tiles.grid import Grid

ANY_SIZE = PatchParams(min_area_ha=0)


def state_map(path: Path, state: NDArray[np.uint8], grid: Grid = UTM) -> Path:
    rows, cols = state.shape
    with rasterio.open(
        path, "w", "GTiff", cols, rows, 1, grid.crs, grid.transform, "uint8", tiled=True, blockxsize=512, blockysize=512
    ) as raster:
        raster.write(state, 1)
    return path


def drawn(mask: NDArray[np.bool_], seed: int) -> tuple[ChangedPixels, NDArray[np.uint8]]:
    """Changed pixels on a whole raster, and its state map."""
    rng = np.random.default_rng(seed)
    around = [PixelState.NOT_FOREST, PixelState.INTACT, PixelState.UNOBSERVED]
    state = np.where(mask, PixelState.CONFIRMED, rng.choice(around, mask.shape)).astype(np.uint8)
    state[mask & (rng.random(mask.shape) < 0.3)] = PixelState.PROVISIONAL
    return changed(mask, drop=rng.uniform(0.2, 0.9, mask.shape), state=state), state


def labels_of(patches: list[Patch], shape: tuple[int, int]) -> NDArray[np.int32]:
    labels = np.full(shape, -1, np.int32)
    for i, patch in enumerate(patches):
        rows, cols = patch.mask.shape
        labels[patch.row : patch.row + rows, patch.col : patch.col + cols][patch.mask] = i
    return labels


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("reach_m", [10, 35, 100])
def test_rings_are_those_of_the_slow_twin(seed: int, reach_m: float, tmp_path: Path) -> None:
    # Blobs cut by the raster's edges, so that rings leave it on all sides.
    mask = blob(seed, 60)[8:52, 9:50]
    mask[0, 0] = mask[-1, -1] = mask[0, -1] = True
    pixels, state = drawn(mask, seed)
    patches = find_patches(pixels, UTM, ANY_SIZE)
    rings = look_around(patches, UTM, state_map(tmp_path / "state.tif", state), reach_m)
    labels, area_ha = labels_of(patches, state.shape), np.array([patch.area_ha for patch in patches])
    for i in range(len(patches)):
        counts, n_others, others_ha = count_ring(state, labels, i, area_ha, round(reach_m / 10))
        assert rings.counts[i].tolist() == counts
        assert rings.n_others[i] == n_others
        assert rings.others_ha[i] == pytest.approx(others_ha, abs=1e-12)


def test_rings_do_not_end_at_the_strips(tmp_path: Path) -> None:
    mask = np.zeros((1100, 30), bool)
    mask[500:510, 3:9] = mask[514:516, 12:14] = mask[1022:1030, 4:8] = mask[5, 5] = True
    mask[530:1015, 20] = True  # from the second strip into the third
    pixels, state = drawn(mask, 1)
    patches = find_patches(pixels, UTM, ANY_SIZE)
    labels, area_ha = labels_of(patches, state.shape), np.array([patch.area_ha for patch in patches])
    rings = look_around(patches, UTM, state_map(tmp_path / "state.tif", state))
    for i in range(len(patches)):
        counts, n_others, others_ha = count_ring(state, labels, i, area_ha, 10)
        assert (rings.counts[i].tolist(), rings.n_others[i]) == (counts, n_others)
        assert rings.others_ha[i] == pytest.approx(others_ha)
    assert rings.n_others.max() >= 1


@pytest.mark.parametrize("seed", range(6))
def test_edges_are_those_of_the_slow_twin(seed: int) -> None:
    pixels, state = drawn(blob(seed), seed)
    patches = find_patches(pixels, UTM, ANY_SIZE)
    labels = labels_of(patches, state.shape)
    edge = np.zeros(pixels.row.size, bool)
    for i, patch in enumerate(patches):
        at = edge_of(labels == i)
        edge[patch.pixels] = at[pixels.row[patch.pixels], pixels.col[patch.pixels]]
    np.testing.assert_array_equal(edges_of(patches, pixels), edge)
    assert edge.any()


def test_known_ring(tmp_path: Path) -> None:
    state = np.full((200, 200), PixelState.INTACT, np.uint8)
    state[:, :100] = PixelState.NOT_FOREST
    state[:100, 100:] = PixelState.UNOBSERVED
    mask = np.zeros(state.shape, bool)
    mask[98:102, 98:102] = mask[110, 100] = True
    state[mask] = PixelState.CONFIRMED
    pixels = changed(mask)
    patches = find_patches(pixels, LAEA, ANY_SIZE)
    table = patch_features(patches, pixels, LAEA, state_map(tmp_path / "state.tif", state, LAEA))
    row = table.iloc[0]
    n_ring = 160  # of the sides alone; quarter discs come on top
    assert row["ring_not_forest_share"] == pytest.approx(0.5)
    assert row["ring_unobserved_share"] == pytest.approx(0.25)
    assert 0.25 - 1 / n_ring < row["ring_intact_share"] < 0.25
    assert row["ring_changed_share"] == pytest.approx(0.25 - row["ring_intact_share"])
    assert row["n_neighbours"] == 1
    assert row["neighbours_ha"] == pytest.approx(0.01, rel=1e-3)
    assert np.isnan(row["edge_core_drop"]) or row["edge_core_drop"] == pytest.approx(0, abs=1e-6)


def test_without_patches_or_without_a_state_map(tmp_path: Path) -> None:
    pixels, state = drawn(np.zeros((5, 5), bool), 0)
    path = state_map(tmp_path / "state.tif", state)
    assert look_around([], UTM, path).counts.shape == (0, len(PixelState))
    assert len(patch_features([], pixels, UTM, path)) == 0
    assert edges_of([], pixels).size == 0
    pixels, _ = drawn(blob(3), 0)
    table = patch_features(find_patches(pixels, UTM, ANY_SIZE), pixels, UTM)
    assert table[list(RING_FEATURES)].isna().all(axis=None)


def test_a_ring_beyond_the_raster_is_unknown(tmp_path: Path) -> None:
    pixels, state = drawn(np.ones((4, 4), bool), 0)
    state[:] = PixelState.CONFIRMED
    pixels = changed(np.ones((4, 4), bool))
    table = patch_features(find_patches(pixels, UTM, ANY_SIZE), pixels, UTM, state_map(tmp_path / "state.tif", state))
    assert table[[name for name in RING_FEATURES if name.endswith("share")]].isna().all(axis=None)
    assert table["n_neighbours"][0] == 0
