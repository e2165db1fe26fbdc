"""Requests at a server of this machine, some at once, as a client with open connections makes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What came of requests.

    Parameters
    ----------
    milliseconds
        Until the last byte of each answer.
    statuses
        Of each answer.
    seconds
        All together.
    bytes_read
        Of the answers' bodies.
    """

    milliseconds: Sequence[float]
    statuses: Sequence[int]
    seconds: float
    bytes_read: int

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share of the answers was there."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def load(port: int, targets: Sequence[str], at_once: int) -> Load:
    """Ask for each target once, `at_once` at a time, over as many connections to 127.0.0.1."""
    return asyncio.run(_load(port, targets, at_once))


async def _load(port: int, targets: Sequence[str], at_once: int) -> Load:
    waiting = iter(targets)
    times: list[float] = []
    statuses: list[int] = []
    sizes: list[int] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        for target in waiting:
            started = time.perf_counter()
            writer.write(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
            times.append((time.perf_counter() - started) * 1000)
            statuses.append(int(head[9:12]))
            sizes.append(length)
        writer.close()
        await writer.wait_closed()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(at_once)))
    return Load(times, statuses, time.perf_counter() - started, sum(sizes))
