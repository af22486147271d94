"""Whether Twisted's private parts are still those that were compared."""

import hashlib
import inspect
from collections.abc import Mapping
from types import FunctionType
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase


def assert_compared(case: SynchronousTestCase, compared: Mapping[Any, str]) -> None:
    """Fail where a function's source has another digest than the one beside it."""
    for function, digest in compared.items():
        source = inspect.getsource(cast(FunctionType, function))
        case.assertEqual(
            hashlib.sha256(source.encode()).hexdigest()[:16],
            digest,
            cast(FunctionType, function).__qualname__,
        )
