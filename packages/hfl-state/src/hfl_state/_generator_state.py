"""The state of one random generator as text and numbers, and back.

Bytes are written as text because torch 2.4 refuses bytes with ``weights_only=True``.
"""

from __future__ import annotations

import base64
import random
from typing import Any, Dict, List, Mapping

import numpy as np
import torch

from hfl_core import ConfigError
from hfl_state._component import is_count

_WORD = np.dtype("<u4")
_MARK = "base64:"


def to_text(data: bytes) -> str:
    """Write bytes as text.

    Args:
        data: Any bytes.

    Returns:
        A mark and their base64 form.
    """
    return _MARK + base64.b64encode(data).decode("ascii")


def from_text(text: str) -> bytes:
    """Read what `to_text` returned.

    Args:
        text: The marked text.

    Returns:
        The bytes.

    Raises:
        ValueError: It is not such text.
    """
    return base64.b64decode(text[len(_MARK) :], validate=True)


def tensor_to_text(state: torch.Tensor) -> str:
    """Copy a torch generator's state out of its tensor.

    Args:
        state: A tensor of bytes.

    Returns:
        The same bytes as text.
    """
    return to_text(state.cpu().numpy().tobytes())


def text_to_tensor(state: str) -> torch.Tensor:
    """Make the tensor that torch's generators want.

    Args:
        state: What `tensor_to_text` returned.

    Returns:
        A tensor of bytes.
    """
    return torch.frombuffer(bytearray(from_text(state)), dtype=torch.uint8)


def encode_python(state: Any) -> Dict[str, Any]:
    """Encode what ``random.getstate()`` returns.

    Args:
        state: The version, the words and the left-over Gaussian.

    Returns:
        Plain values.
    """
    version, words, gauss = state
    return {
        "version": version,
        "words": to_text(np.asarray(words, _WORD).tobytes()),
        "gauss": gauss,
    }


def decode_python(saved: Mapping[str, Any]) -> Any:
    """Decode what `encode_python` returned.

    Args:
        saved: Plain values.

    Returns:
        What ``random.setstate()`` takes.
    """
    words = tuple(np.frombuffer(from_text(saved["words"]), _WORD).tolist())
    return (saved["version"], words, saved["gauss"])


def encode_numpy(state: Mapping[str, Any]) -> Dict[str, Any]:
    """Encode the state dict of a NumPy bit generator, whichever it is.

    Args:
        state: Nested mappings of numbers, strings and arrays.

    Returns:
        The same with every array as text and a dtype.
    """
    return {str(key): _encode_numpy_value(value) for key, value in state.items()}


def _encode_numpy_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return encode_numpy(value)
    if isinstance(value, np.ndarray):
        little = value.astype(value.dtype.newbyteorder("<"))
        return {"dtype": little.dtype.str, "array": to_text(little.tobytes())}
    return value.item() if isinstance(value, np.generic) else value


def decode_numpy(saved: Mapping[str, Any]) -> Dict[str, Any]:
    """Decode what `encode_numpy` returned.

    Args:
        saved: Plain values.

    Returns:
        What a NumPy bit generator takes as its state.
    """
    return {key: _decode_numpy_value(value) for key, value in saved.items()}


def _decode_numpy_value(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"dtype", "array"}:
        dtype = np.dtype(value["dtype"])
        return np.frombuffer(from_text(value["array"]), dtype).astype(dtype.newbyteorder("="))
    return decode_numpy(value)


class GeneratorState:
    """Read and set one generator that the user registered.

    Args:
        generator: A ``numpy.random.Generator`` or ``RandomState``, a ``random.Random`` or a
            ``torch.Generator``.

    Raises:
        ConfigError: It is none of these.
    """

    def __init__(self, generator: Any) -> None:
        known = (np.random.Generator, np.random.RandomState, random.Random, torch.Generator)
        if not isinstance(generator, known) or isinstance(generator, random.SystemRandom):
            raise ConfigError(
                f"A {type(generator).__name__} is not a random generator whose state is known.",
                hint="Register numpy.random.Generator, numpy.random.RandomState, random.Random or "
                "torch.Generator objects.",
            )
        self._generator: Any = generator

    def read(self) -> Dict[str, Any]:
        """Return the state.

        Returns:
            Plain values.
        """
        generator = self._generator
        if isinstance(generator, np.random.Generator):
            return {"kind": "numpy", **encode_numpy(generator.bit_generator.state)}
        if isinstance(generator, np.random.RandomState):
            return {"kind": "numpy legacy", **encode_numpy(legacy_state(generator))}
        if isinstance(generator, random.Random):
            return {"kind": "python", **encode_python(generator.getstate())}
        return {
            "kind": "torch",
            "device": generator.device.type,
            "state": tensor_to_text(generator.get_state()),
        }

    def write(self, saved: Mapping[str, Any]) -> None:
        """Set the state.

        Args:
            saved: What `read` returned for a generator of the same kind.
        """
        generator, state = self._generator, {k: v for k, v in saved.items() if k != "kind"}
        if isinstance(generator, np.random.Generator):
            generator.bit_generator.state = decode_numpy(state)
        elif isinstance(generator, np.random.RandomState):
            generator.set_state(decode_numpy(state))
        elif isinstance(generator, random.Random):
            generator.setstate(decode_python(state))
        else:
            generator.set_state(text_to_tensor(state["state"]))

    def is_of(self, generator: Any) -> bool:
        """Tell whether this is the state of a generator.

        Args:
            generator: Any generator.

        Returns:
            Whether it is.
        """
        return self._generator is generator

    def seed(self, seed: int) -> None:
        """Let the generator begin anew.

        Args:
            seed: From where.
        """
        generator = self._generator
        if isinstance(generator, np.random.Generator):
            bits = generator.bit_generator
            bits.state = type(bits)(seed).state
        elif isinstance(generator, torch.Generator):
            generator.manual_seed(seed)
        else:
            generator.seed(seed % 2**32)  # all that NumPy's legacy generators take

    def scratch(self) -> GeneratorState:
        """Make another generator of the same kind, to try a state on.

        Returns:
            The other generator.
        """
        generator = self._generator
        if isinstance(generator, np.random.Generator):
            return GeneratorState(np.random.Generator(type(generator.bit_generator)(0)))
        if isinstance(generator, np.random.RandomState):
            return GeneratorState(np.random.RandomState(0))
        if isinstance(generator, random.Random):
            return GeneratorState(random.Random(0))  # noqa: S311  # nothing is drawn from it
        return GeneratorState(torch.Generator(device=generator.device))


def legacy_state(source: Any) -> Dict[str, Any]:
    """Read a legacy NumPy generator as a mapping.

    Args:
        source: ``numpy.random`` itself or a ``RandomState``.

    Returns:
        The state with names, the left-over Gaussian included.
    """
    state: Dict[str, Any] = source.get_state(legacy=False)
    return state


def shape_problems(saved: Any, live: Any, path: str) -> List[str]:
    """Compare the structure of a saved state with the live one's.

    Args:
        saved: The saved value.
        live: What the same generator has now.
        path: Where in the state this is, for the message.

    Returns:
        One sentence per difference in names, types or sizes; contents may differ.
    """
    if isinstance(live, Mapping):
        if not isinstance(saved, Mapping) or set(saved) != set(live):
            return [f"The state of {path} is of another kind."]
        return [
            problem
            for key in live
            for problem in shape_problems(saved[key], live[key], f"{path}/{key}")
        ]
    if isinstance(live, str) and live.startswith(_MARK):
        is_like = isinstance(saved, str) and saved.startswith(_MARK) and len(saved) == len(live)
        return [] if is_like else [f"The state of {path} has another size."]
    if isinstance(live, str):
        return [] if saved == live else [f"{path} was {saved!r} and is {live!r} now."]
    if isinstance(live, int):
        return [] if is_count(saved, 0) else [f"The state of {path} is not a count."]
    numbers = (int, float, type(None))  # a left-over Gaussian is there or not
    return [] if isinstance(saved, numbers) else [f"The state of {path} is not a number."]
