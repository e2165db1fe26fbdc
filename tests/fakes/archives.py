"""Items in the shape of each of the world's archives, a product as ESA packs it, and a server that plays them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from tests.fakes.catalogue import BBOX

Document = dict[str, Any]

TILE = "31TDK"
DATATAKE = "GS2A_20230722T105031_042203_N05.09"
PRODUCT = "S2A_MSIL2A_20230722T105031_N0509_R051_T31TDK_20230722T171500"
S3_KEY, S3_SECRET = "the-key", "the-secret"
USERNAME, PASSWORD = "somebody@example.org", "the-password"


def _item(item_id: str, collection: str, properties: Document, assets: Document) -> Document:
    west, south, east, north = BBOX
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": item_id,
        "collection": collection,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": BBOX,
        "properties": properties,
        "links": [],
        "assets": assets,
    }


def earth_search_item(
    folder: str = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/31/T/DK/2023/7/S2A_31TDK_20230722_0_L2A",
    item_id: str = "S2A_31TDK_20230722_0_L2A",
    moment: str = "2023-07-22T10:57:31.563000Z",
    tile: str = TILE,
) -> Document:
    """Of `sentinel-2-l2a`: the offset is applied, and still declared."""
    bands = [{"nodata": 0, "data_type": "uint16", "scale": 0.0001, "offset": -0.1}]
    properties = {
        "datetime": moment,
        "grid:code": f"MGRS-{tile}",
        "s2:processing_baseline": "05.09",
        "s2:datatake_id": DATATAKE,
        "earthsearch:boa_offset_applied": True,
    }
    assets = {
        "red": {"href": f"{folder}/B04.tif", "raster:bands": bands},
        "nir": {"href": f"{folder}/B08.tif", "raster:bands": bands},
        "scl": {"href": f"{folder}/SCL.tif"},
        "visual": {"href": f"{folder}/TCI.tif"},
        "red-jp2": {"href": "s3://sentinel-s2-l2a/tiles/31/T/DK/2023/7/22/0/R10m/B04.jp2"},
    }
    return _item(item_id, "sentinel-2-l2a", properties, assets)


def collection_1_item(
    folder: str = "https://e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com/sentinel-2-c1-l2a/31/T/DK",
) -> Document:
    """Of Earth Search's `sentinel-2-c1-l2a`: as ESA delivers."""
    document = earth_search_item(folder, "S2A_T31TDK_20230722T105731_L2A")
    document["collection"] = "sentinel-2-c1-l2a"
    del document["properties"]["earthsearch:boa_offset_applied"]
    return document


def cdse_item(folder: str = f"s3://eodata/Sentinel-2/MSI/L2A/2023/07/22/{PRODUCT}.SAFE/IMG_DATA") -> Document:
    """Of the Copernicus Data Space: JPEG 2000 under two addresses."""
    files = {"B04_10m": "R10m/B04_10m.jp2", "B08_10m": "R10m/B08_10m.jp2", "SCL_20m": "R20m/SCL_20m.jp2"}
    assets: Document = {}
    for name, file in files.items():
        nodes = "".join(f"/Nodes({part})" for part in file.split("/"))
        https = f"https://zipper.dataspace.copernicus.eu/odata/v1/Products(77d2f450){nodes}/$value"
        assets[name] = {
            "href": f"{folder}/{file}",
            "alternate": {"https": {"href": https, "auth:refs": ["oidc"], "alternate:name": "HTTPS"}},
            "auth:refs": ["s3"],
        }
        if name != "SCL_20m":
            assets[name] |= {"raster:scale": 0.0001, "raster:offset": -0.1, "data_type": "uint16", "nodata": 0}
    properties = {
        "datetime": "2023-07-22T10:50:31.024Z",
        "grid:code": f"MGRS-{TILE}",
        "processing:version": "05.09",
        "eopf:datatake_id": DATATAKE,
    }
    return _item(PRODUCT, "sentinel-2-l2a", properties, assets) | {"stac_version": "1.1.0"}


def planetary_computer_item(
    folder: str = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/31/T/DK/2023/07/22",
) -> Document:
    """Of Planetary Computer: neither scale nor offset is declared, nor a grid code."""
    properties = {
        "datetime": "2023-07-22T10:50:31.024000Z",
        "s2:mgrs_tile": TILE,
        "s2:processing_baseline": "05.09",
        "s2:datatake_id": DATATAKE,
    }
    files = {"B04": "B04_10m.tif", "B08": "B08_10m.tif", "SCL": "SCL_20m.tif"}
    assets = {name: {"href": f"{folder}/{file}"} for name, file in files.items()}
    return _item(PRODUCT, "sentinel-2-l2a", properties, assets)


def write_jp2(path: Path, pixels: NDArray[Any], transform: Affine, epsg: int = 32631) -> None:
    """A lossless JPEG 2000, as ESA's are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"height": pixels.shape[0], "width": pixels.shape[1], "count": 1, "dtype": pixels.dtype}
    with rasterio.open(
        path,
        "w",
        driver="JP2OpenJPEG",
        QUALITY="100",
        REVERSIBLE="YES",
        YCBCR420="NO",
        crs=f"EPSG:{epsg}",
        transform=transform,
        **profile,
    ) as file:
        file.write(pixels, 1)


def safe_metadata(
    name: str = PRODUCT,
    baseline: str = "05.09",
    offset: int | None = -1000,
    image_tag: str = "IMAGE_FILE",
    moment: str = "2023-07-22T10:50:31.024Z",
) -> str:
    """A product's `MTD_MSIL2A.xml`, of what is read of it and a little more."""
    stem = f"GRANULE/L2A_T31TDK_A042203_20230722T105629/IMG_DATA/%s/T31TDK_20230722T105031_{'%s'}"
    images = [("R10m", "B02_10m"), ("R10m", "B04_10m"), ("R10m", "B08_10m"), ("R20m", "B04_20m"), ("R20m", "SCL_20m")]
    listed = "".join(f"<{image_tag}>{stem % image}</{image_tag}>" for image in images)
    offsets = "".join(f'<BOA_ADD_OFFSET band_id="{band}">{offset}</BOA_ADD_OFFSET>' for band in range(13))
    west, south, east, north = BBOX
    corners = [(north, west), (north, east), (south, east), (south, west), (north, west)]
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product_Level-2A.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>{moment}</PRODUCT_START_TIME>
      <PRODUCT_URI>{name}.SAFE</PRODUCT_URI>
      <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
      <Datatake datatakeIdentifier="{DATATAKE}"><SPACECRAFT_NAME>Sentinel-2A</SPACECRAFT_NAME></Datatake>
      <Product_Organisation><Granule_List><Granule>{listed}</Granule></Granule_List></Product_Organisation>
    </Product_Info>
    <Product_Image_Characteristics>
      <QUANTIFICATION_VALUES_LIST>
        <BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>
      </QUANTIFICATION_VALUES_LIST>
      {"" if offset is None else f"<BOA_ADD_OFFSET_VALUES_LIST>{offsets}</BOA_ADD_OFFSET_VALUES_LIST>"}
    </Product_Image_Characteristics>
  </n1:General_Info>
  <n1:Geometric_Info>
    <Product_Footprint><Product_Footprint><Global_Footprint>
      <EXT_POS_LIST>{" ".join(f"{latitude} {longitude}" for latitude, longitude in corners)} </EXT_POS_LIST>
    </Global_Footprint></Product_Footprint></Product_Footprint>
  </n1:Geometric_Info>
</n1:Level-2A_User_Product>
"""


def write_safe(
    folder: Path,
    bands: tuple[NDArray[Any], NDArray[Any], NDArray[Any]] | None = None,
    name: str = PRODUCT,
    metadata: str | None = None,
) -> Path:
    """A product: its metadata, and files of red, near infrared and classification (small and flat by default)."""
    product = folder / f"{name}.SAFE"
    images = product / "GRANULE" / "L2A_T31TDK_A042203_20230722T105629" / "IMG_DATA"
    flat = np.full((64, 64), 1300, np.uint16)
    red, nir, scl = bands or (flat, flat, np.full((32, 32), 4, np.uint8))
    transform = Affine(10, 0, 499_980, 0, -10, 5_000_040)
    coarse = Affine(20, 0, 499_980, 0, -20, 5_000_040)
    stem = "T31TDK_20230722T105031"
    write_jp2(images / "R10m" / f"{stem}_B04_10m.jp2", red, transform)
    write_jp2(images / "R10m" / f"{stem}_B08_10m.jp2", nir, transform)
    write_jp2(images / "R20m" / f"{stem}_SCL_20m.jp2", scl, coarse)
    (product / "MTD_MSIL2A.xml").write_text(metadata or safe_metadata(name), encoding="utf-8")
    return product


@dataclass(frozen=True)
class ServedArchive:
    """The server, while it runs."""

    url: str

    def requests(self, kind: str) -> list[Document]:
        """What was asked so far, of one kind: `landing`, `search`, `token`, `identity`, or the first part of a path."""
        with urllib.request.urlopen(f"{self.url}/log", timeout=10) as answer:
            log: list[Document] = json.load(answer)
        return [entry for entry in log if entry["kind"] == kind]


@contextmanager
def served_archive(
    items: Iterable[Document] = (),
    *,
    faults: Mapping[str, list[Document]] | None = None,
    extensions: Iterable[str] = ("query", "filter", "fields"),
    page_items: int = 100,
    promised_too_many: int = 0,
    empty_last_page: bool = False,
    endless: bool = False,
    files: Mapping[str, Path] | None = None,
    sas_expiry: str = "2999-01-01T00:00:00Z",
    bearer_life_s: float = 600,
) -> Iterator[ServedArchive]:
    """A STAC API of `items`, with token services and files by their paths, as `archive_server` says."""
    config = {
        "items": list(items),
        "faults": dict(faults or {}),
        "extensions": list(extensions),
        "page_items": page_items,
        "promised_too_many": promised_too_many,
        "empty_last_page": empty_last_page,
        "endless": endless,
        "files": {path: str(file) for path, file in (files or {}).items()},
        "sas_expiry": sas_expiry,
        "bearer_life_s": bearer_life_s,
        "s3_key": S3_KEY,
        "password": PASSWORD,
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config))
        # Without what is installed: it starts twice as fast.
        command = [
            sys.executable,
            "-I",
            "-S",
            str(Path(__file__).with_name("archive_server.py")),
            f"{folder}/config.json",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            try:
                assert process.stdout is not None
                yield ServedArchive(f"http://127.0.0.1:{process.stdout.readline().strip()}")
            finally:
                process.terminate()
