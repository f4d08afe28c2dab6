"""A shuffle buffer whose state is where its rows are from, so that it can be filled again exactly."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, NamedTuple

import numpy as np

__all__ = ["Address", "Buffer", "rng_for"]

Row = Dict[str, Any]


class Address(NamedTuple):
    """Where a row is: file, row group, row in it."""

    file: int
    group: int
    row: int


def rng_for(seed: int, epoch: int) -> Any:
    """Make the random numbers of an epoch."""
    return np.random.Generator(np.random.PCG64([seed, epoch]))


class Buffer:
    """Rows of which a random one is given away for each that comes in.

    Args:
        size: How many rows it holds.
        rng: The random numbers.
    """

    def __init__(self, size: int, rng: Any) -> None:
        self.size = size
        self.addresses: List[Address] = []
        self.rows: List[Row] = []
        self.is_draining = False
        self._rng = rng

    def through(self, rows: Iterator[tuple[Address, Row]]) -> Iterator[Row]:
        """Yield rows in another order.

        At each yield the buffer is as it will be for the next row: its state may be taken then.
        """
        if not self.is_draining:
            for address, row in rows:
                if len(self.rows) < self.size:
                    self.addresses.append(address)
                    self.rows.append(row)
                    continue
                index = int(self._rng.integers(self.size))
                given = self.rows[index]
                self.addresses[index], self.rows[index] = address, row
                yield given
            order = self._rng.permutation(len(self.rows))
            self.addresses = [self.addresses[index] for index in order]
            self.rows = [self.rows[index] for index in order]
            self.is_draining = True
        while self.rows:
            self.addresses.pop()
            yield self.rows.pop()

    def state_dict(self) -> Dict[str, Any]:
        """Return the addresses of its rows and the state of its random numbers."""
        state = self._rng.bit_generator.state
        return {
            "addresses": [list(address) for address in self.addresses],
            "is_draining": self.is_draining,
            # More than 64 bits, which not every format has numbers for.
            "rng": {name: str(value) for name, value in state["state"].items()},
            "rng_half": [int(state["has_uint32"]), int(state["uinteger"])],
        }

    def load_state_dict(self, state: Mapping[str, Any], rows: List[Row]) -> None:
        """Go on from a state.

        Args:
            state: From `state_dict`.
            rows: The rows at its addresses.
        """
        self.addresses = [Address(*address) for address in state["addresses"]]
        self.rows = list(rows)
        self.is_draining = bool(state["is_draining"])
        self._rng.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {name: int(value) for name, value in state["rng"].items()},
            "has_uint32": state["rng_half"][0],
            "uinteger": state["rng_half"][1],
        }
