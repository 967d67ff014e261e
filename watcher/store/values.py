"""How the values of `model` are kept: UTC stamps that sort as text, words, JSON of typed values."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, lru_cache
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, TypeAdapter
from pydantic_core import PydanticSerializationError

from watcher.model.trial import Acceptance

_SHORT = 400
"""What is not longer is mostly the same in many rows; the values are frozen, so that rows can share one."""
Word = TypeVar("Word", bound=StrEnum)


def stored(value: Any) -> Any:
    """Return what SQLite keeps of a moment, a word, a text, a number or None; what has a shape is `json_text` before.

    Raises ValueError for a stamp without a time zone.
    """
    if isinstance(value, str):
        return storable(value)
    return moment_text(value) if isinstance(value, datetime) else value


def storable(text: str) -> str:
    """Return what SQLite can keep of `text`: half a surrogate pair, which JSON can smuggle in, becomes a `?`."""
    return str(text) if text.isascii() else text.encode("utf-8", "replace").decode()


def moment_text(when: datetime) -> str:
    """Return a point in time as text of one width in UTC: it sorts as it stands, and a person can read it.

    Raises ValueError for a stamp without a time zone.
    """
    if when.tzinfo is None:
        raise ValueError("a stored time needs a time zone")
    return when.astimezone(UTC).isoformat(timespec="microseconds")


@lru_cache(maxsize=1024)
def moment(text: str) -> datetime:
    """Return the stamp of a stored form; what one look brought has one and the same."""
    return datetime.fromisoformat(text)


def moment_if_any(text: str | None) -> datetime | None:
    return None if text is None else moment(text)


def words(enumeration: type[Word]) -> dict[str, Word]:
    """Return the members of an enumeration by what is stored of them."""
    return {word.value: word for word in enumeration}


def words_if_any(enumeration: type[Word]) -> dict[str | None, Word | None]:
    return {None: None, **{word.value: word for word in enumeration}}


def listed(values: Iterable[Any]) -> str:
    """Return values for `json_each(?)`: a table of as many as there are, where bound ones come to an end.

    SQLite cuts a text in it at a NUL: it is for names, ids, words and digests.
    """
    return json.dumps([stored(value) for value in values])


def details_text(details: Mapping[str, str]) -> str:
    """Return a small mapping of texts as JSON, alike for equal ones."""
    if not details:
        return "{}"
    clean = {storable(key): storable(text) for key, text in details.items()}
    return json.dumps(clean, ensure_ascii=False, sort_keys=True)


def details(text: str) -> Mapping[str, str]:
    """Return the mapping of a stored form; there are ten thousand at a time, mostly empty, and those are not parsed."""
    return {} if text == "{}" else json.loads(text)


def json_text(shape: Any, value: Any) -> str | None:
    """Return a typed value (dataclasses, tuples, mappings) as JSON, None for None; `reader` gives an equal one back."""
    if value is None:
        return None
    adapter = _adapter(shape)
    try:
        return adapter.dump_json(value).decode()
    except (PydanticSerializationError, UnicodeEncodeError):  # half a surrogate pair somewhere inside
        return json.dumps(_storable_inside(adapter.dump_python(value, mode="json")), ensure_ascii=False)


@cache
def reader(shape: Any) -> Callable[[str | None], Any]:
    """Return what reads the stored form of a typed value; None is read as None."""
    adapter = _adapter(shape)
    read_often = lru_cache(maxsize=1024)(adapter.validate_json)

    def read(text: str | None) -> Any:
        if text is None:
            return None
        return read_often(text) if len(text) <= _SHORT else adapter.validate_json(text)

    return read


def _with_counted_figures(value: Any) -> Any:
    """Leave out an accuracy that is a bare number, as early releases kept it: without its n it says nothing."""
    if isinstance(value, dict) and not isinstance(value.get("tool_accuracy"), dict):
        return value | {"tool_accuracy": None}
    return value


STORED_ACCEPTANCE = Annotated[Acceptance, BeforeValidator(_with_counted_figures)]
"""The shape of what was measured, as every release kept it."""


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def _storable_inside(value: Any) -> Any:
    match value:
        case str():
            return storable(value)
        case dict():
            return {storable(key): _storable_inside(inner) for key, inner in value.items()}
        case list():
            return [_storable_inside(inner) for inner in value]
    return value
