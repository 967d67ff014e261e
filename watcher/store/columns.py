"""How the values of `model` become columns: UTC stamps that sort as text, words, JSON of typed values."""
# ruff: noqa: ARG002  SQLAlchemy gives each conversion the dialect

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError
from sqlalchemy import Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_SHORT = 400
"""What is not longer is mostly the same in many rows; the values are frozen, so that rows can share one."""
Word = TypeVar("Word", bound=StrEnum)


class Moment(TypeDecorator[datetime]):
    """A point in time, as text of one width in UTC: it sorts as it stands, and a person can read it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else moment_text(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], datetime | None]:
        return _moment  # itself, not by way of SQLAlchemy: it is called for each of ten thousand rows


@lru_cache(maxsize=1024)
def _moment(text: str | None) -> datetime | None:
    """Return the stamp of a stored form; what one look brought has one and the same."""
    return None if text is None else datetime.fromisoformat(text)


def moment_text(when: datetime) -> str:
    """Return the stored form. Raises ValueError for a stamp without a time zone."""
    if when.tzinfo is None:
        raise ValueError("a stored time needs a time zone")
    return when.astimezone(UTC).isoformat(timespec="microseconds")


class Written(TypeDecorator[str]):
    """Text that may come from upstream: half a surrogate pair, which JSON can smuggle in, becomes a question mark."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """Return what SQLite can keep of `text`: nearly always itself."""
    return text.encode("utf-8", "replace").decode()


class Named(TypeDecorator[Word]):
    """One of the words of an enumeration, as the word."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[Word]) -> None:
        super().__init__()
        self.words = words
        self._by_value: dict[str | None, Word | None] = {None: None, **{word.value: word for word in words}}

    def process_bind_param(self, value: Word | None, dialect: Dialect) -> str | None:
        return None if value is None else value.value

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Word | None]:
        return self._by_value.__getitem__


class Json(TypeDecorator[Any]):
    """A typed value (dataclasses, tuples, mappings) as JSON; read back, it is equal to what was written."""

    impl = Text
    cache_ok = True

    def __init__(self, shape: Any) -> None:
        super().__init__()
        self.shape = shape
        self._read_often = lru_cache(maxsize=1024)(self._read)

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else _written_json(self.shape, value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Any]:
        return self._result

    def _result(self, value: str | None) -> Any:
        if value is None:
            return None
        return self._read_often(value) if len(value) <= _SHORT else self._read(value)

    def _read(self, value: str) -> Any:
        return _adapter(self.shape).validate_json(value)


class Details(TypeDecorator[Mapping[str, str]]):
    """A small mapping of texts, read ten thousand at a time: mostly empty, and then nothing is parsed."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, str] | None, dialect: Dialect) -> str:
        if not value:
            return "{}"
        clean = {storable(key): storable(text) for key, text in value.items()}
        return json.dumps(clean, ensure_ascii=False, sort_keys=True)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Mapping[str, str]]:
        return _details


def _details(value: str | None) -> Mapping[str, str]:
    return {} if value in (None, "{}") else json.loads(str(value))


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def _written_json(shape: Any, value: Any) -> str:
    adapter = _adapter(shape)
    try:
        return adapter.dump_json(value).decode()
    except (PydanticSerializationError, UnicodeEncodeError):  # half a surrogate pair somewhere inside
        return json.dumps(_storable_inside(adapter.dump_python(value, mode="json")), ensure_ascii=False)


def _storable_inside(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case dict():
            return {storable(key): _storable_inside(inner) for key, inner in value.items()}
        case list():
            return [_storable_inside(inner) for inner in value]
    return value
