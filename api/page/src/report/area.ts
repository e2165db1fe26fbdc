/** Hectares of an outline that is being drawn. */
import type { Geometry, Position } from "geojson";

const RADIUS_M = 6_371_007.2;
/** Radius of the sphere with the surface of the GRS 80 ellipsoid. */

/**
 * Area of a polygon in degrees on a sphere of the Earth's surface, in hectares.
 *
 * Chamberlain and Duquette, Some algorithms for polygons on a sphere, JPL 07-03 (2007). Within 0.5 % of the ellipsoid's
 * over France: the service measures again, on the ellipsoid.
 */
export function hectares(geometry: Geometry): number {
  if (geometry.type === "Polygon") return polygonM2(geometry.coordinates) / 10_000;
  if (geometry.type === "MultiPolygon")
    return geometry.coordinates.reduce((sum, rings) => sum + polygonM2(rings), 0) / 10_000;
  return 0;
}

function polygonM2(rings: Position[][]): number {
  return rings.reduce((sum, ring, i) => (i === 0 ? ringM2(ring) : sum - ringM2(ring)), 0);
}

function ringM2(ring: Position[]): number {
  let twice = 0;
  for (let i = 0; i + 1 < ring.length; i++) {
    const [lon1 = 0, lat1 = 0] = ring[i] ?? [];
    const [lon2 = 0, lat2 = 0] = ring[i + 1] ?? [];
    twice += radians(lon2 - lon1) * (2 + Math.sin(radians(lat1)) + Math.sin(radians(lat2)));
  }
  return Math.abs((twice * RADIUS_M * RADIUS_M) / 2);
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
