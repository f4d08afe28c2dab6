"""Names of checkpoint directories, from a pattern that cannot give two steps one name."""

from __future__ import annotations

import datetime
import itertools
import math
import re
import string
from types import MappingProxyType
from typing import Any, Iterator, List, Mapping, Set

from hfl_core import ConfigError

DEFAULT_PATTERN = "step-{step:08d}"

_HINT = f"The default is {DEFAULT_PATTERN!r}."
_FIELDS = ("step", "epoch", "sequence", "run", "time")
_METRIC = re.compile(r"metric\[([^\[\]{}]+)\]")

# Characters that some file system, shell pattern or command gives a meaning, and names that are hidden.
_FORBIDDEN = re.compile(r'[/\\:*?"<>|\[\]\x00-\x1f\x7f-\x9f]|\.\.|^[.~-]|^$|[. ]$')

# What Windows takes for a device, with whatever extension, and what has a meaning where one is asked for.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|latest|best|all", re.IGNORECASE)

# File systems take 255 bytes; what is being written or deleted has a suffix of its own.
MAX_BYTES = 200

_NO_METRICS: Mapping[str, float] = MappingProxyType({})
_SOME_TIME = datetime.datetime(2001, 1, 1, 1, 1, 1, tzinfo=datetime.timezone.utc)
_OTHER_TIME = datetime.datetime(2011, 11, 11, 11, 11, 11, tzinfo=datetime.timezone.utc)


class Naming:
    """A pattern for the names of checkpoints, with placeholders of your own.

    The fields of the pattern are ``step``, ``epoch``, ``sequence`` (the number of the commit within its
    run), ``run`` (six characters of its id), ``time`` (UTC; takes a format such as ``{time:%Y%m%d}``) and
    ``metric[name]``, each with a format as in Python: ``{metric[loss]:.3f}``. A metric that a
    checkpoint does not have reads ``none``. ``step`` or ``sequence`` must be in it, so that every
    name is another one; should a name be taken all the same, by another run say, a number is appended.

    Args:
        pattern: The pattern.
        **identifiers: Placeholders of your own, and the text or number that each stands for.

    Raises:
        ConfigError: The pattern is malformed, can give two checkpoints the same name, or makes names
            that a file system does not take; or an identifier is a field, or is not used.

    Example:
        >>> naming = Naming("{model}-{step:06d}-loss{metric[loss]:.2f}", model="vit")
        >>> naming.render(step=500, epoch=None, sequence=1, run="b5c2", metrics={"loss": 0.125})
        'vit-000500-loss0.12'
    """

    def __init__(self, pattern: str, **identifiers: str | int) -> None:
        self.pattern = pattern
        self.identifiers = dict(identifiers)
        fields = set(self._parsed())
        self._check_identifiers(fields)
        unknown = sorted(
            field for field in fields - {*_FIELDS, *identifiers} if not _METRIC.fullmatch(field)
        )
        if unknown:
            raise ConfigError(
                f"The naming pattern {pattern!r} uses {', '.join(unknown)}; there are "
                f"{', '.join([*_FIELDS, 'metric[…]', *identifiers])}.",
                hint=_HINT,
            )
        self._refuse_collisions()

    def __repr__(self) -> str:
        more = "".join(f", {name}={value!r}" for name, value in self.identifiers.items())
        return f"Naming({self.pattern!r}{more})"

    def render(
        self,
        *,
        step: int,
        epoch: int | None,
        sequence: int,
        run: str,
        metrics: Mapping[str, float] = _NO_METRICS,
        time: datetime.datetime | None = None,
    ) -> str:
        """Make a name.

        Args:
            step: The step.
            epoch: Completed epochs; None counts as 0.
            sequence: The number of the commit within its run.
            run: The run's id; its first six characters are used.
            metrics: Metric to value.
            time: The moment of the commit; now if None.

        Raises:
            ConfigError: The name would be one that file systems do not all take.
        """
        moment = time or datetime.datetime.now(datetime.timezone.utc)
        name = self.pattern.format(
            step=step,
            epoch=epoch or 0,
            sequence=sequence,
            run=run[:6],
            time=_Moment(moment),
            metric=_Metrics(metrics),
            **self.identifiers,
        )
        if (
            _FORBIDDEN.search(name)
            or _RESERVED.fullmatch(name)
            or len(name.encode(errors="replace")) > MAX_BYTES
        ):
            raise ConfigError(
                f"The naming pattern {self.pattern!r} makes the name {name!r}, "
                "which file systems do not all take.",
                hint=_HINT,
            )
        return name

    def _parsed(self) -> Iterator[str]:
        try:
            for _, field, form, _ in string.Formatter().parse(self.pattern):
                if field is None:
                    continue
                # A placeholder inside a format is none of the fields, and is refused as such.
                yield f"{{{form}}}" if form and "{" in form else field or "{}"
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"The naming pattern {self.pattern!r} is malformed: {error}.", hint=_HINT
            ) from error

    def _check_identifiers(self, fields: Set[str]) -> None:
        for name, value in self.identifiers.items():
            if name in (*_FIELDS, "metric"):
                raise ConfigError(
                    f"{name!r} is a field of naming patterns, and cannot stand for {value!r}.",
                    hint="Call it something else.",
                )
            if name not in fields:
                raise ConfigError(
                    f"{name}={value!r} is not used: the naming pattern {self.pattern!r} has no {{{name}}}.",
                    hint="Put it into the pattern, or leave it out.",
                )
            if isinstance(value, bool) or not isinstance(value, (str, int)):
                raise ConfigError(
                    f"{name}={value!r} is neither a text nor a whole number.", hint=_HINT
                )

    def _refuse_collisions(self) -> None:
        """Try the pattern where formats lose digits, and where two fields run into each other."""
        try:
            edges = sorted(
                {max(0, 10**power + shift) for power in range(13) for shift in (-1, 0, 1)}
            )
            names = [self._try(step, index) for index, step in enumerate(edges)]
            # Without something between them, step 1 with a metric of 11 looks like step 11 with 1.
            ones = (1, 11, 111, 1111)
            mixed = [
                {
                    self._try(step, step, float(value), time).casefold()
                    for value in (*ones, math.nan)
                    for time in (_SOME_TIME, _OTHER_TIME)
                }
                for step in ones
            ]
        except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(
                f"The naming pattern {self.pattern!r} is malformed: {error}.", hint=_HINT
            ) from error
        is_unique = len({name.casefold() for name in names}) == len(names)
        if not is_unique or any(one & other for one, other in itertools.combinations(mixed, 2)):
            raise ConfigError(
                f"The naming pattern {self.pattern!r} can give two checkpoints the same name.",
                hint="Put the whole step or sequence into it, apart from other numbers. " + _HINT,
            )

    def _try(
        self, step: int, sequence: int, value: float = 0.5, time: datetime.datetime = _SOME_TIME
    ) -> str:
        metrics = dict.fromkeys(self._metrics(), value)
        return self.render(
            step=step, epoch=1, sequence=sequence, run="0" * 32, metrics=metrics, time=time
        )

    def _metrics(self) -> List[str]:
        found = (_METRIC.fullmatch(field) for field in self._parsed())
        return [match.group(1) for match in found if match]


class _Moment:
    """A time whose text is one that can be in a name."""

    def __init__(self, moment: datetime.datetime) -> None:
        self._moment = moment.astimezone(datetime.timezone.utc)

    def __format__(self, form: str) -> str:
        return self._moment.strftime(form or "%Y%m%dT%H%M%SZ")


class _Metrics:
    """Metrics of which none is missing."""

    def __init__(self, metrics: Mapping[str, float]) -> None:
        self._metrics = metrics

    def __getitem__(self, name: Any) -> Any:
        return self._metrics.get(str(name), _Missing())

    def __format__(self, form: str) -> str:
        raise ValueError("metric needs a name, as in {metric[loss]:.3f}")


class _Missing:
    def __format__(self, form: str) -> str:
        return "none"
