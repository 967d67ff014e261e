"""`$NAME` and `${NAME:-default}` in a compose file, and the lines of `.env` files, as Compose reads them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATORS = (":-", "-", ":?", "?", ":+", "+")
_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*(?:=\s*(.*))?$")
_COMMENT = re.compile(r"\s+#.*$")
_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class Text:
    """A value with its variables filled in, and their names: what one of them holds may be a secret."""

    value: str
    names: frozenset[str] = frozenset()


def interpolate(text: str, variables: Mapping[str, str], depth: int = 0) -> Text:
    """Return the text with its variables filled in; one that is not set is empty. Raises ValueError for a bad form."""
    parts: list[str] = []
    names: set[str] = set()
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        parts.append(text[position:dollar])
        found, position = _at(text, dollar, variables, depth)
        parts.append(found.value)
        names |= found.names
    return Text("".join([*parts, text[position:]]), frozenset(names))


def _at(text: str, dollar: int, variables: Mapping[str, str], depth: int) -> tuple[Text, int]:
    """Return what stands at a dollar sign, and where the text goes on."""
    if text.startswith("$$", dollar):
        return Text("$"), dollar + 2
    if text.startswith("${", dollar):
        end = _closing(text, dollar + 2)
        return _braced(text[dollar + 2 : end], variables, depth), end + 1
    if (match := _NAME.match(text, dollar + 1)) is not None:
        return Text(variables.get(match[0], ""), frozenset({match[0]})), match.end()
    raise ValueError(f"{text!r} has a single $; write $$ where it means itself")


def _closing(text: str, start: int) -> int:
    depth = 1
    for index in range(start, len(text)):
        if text.startswith("${", index):
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
    raise ValueError(f"{text!r} has a ${{ without its }}")


def _braced(inside: str, variables: Mapping[str, str], depth: int) -> Text:
    match = _NAME.match(inside)
    if match is None or depth > _DEEPEST:
        raise ValueError(f"${{{inside}}} is not a variable")
    name, rest = match[0], inside[match.end() :]
    operator = next((one for one in _OPERATORS if rest.startswith(one)), None)
    if rest and operator is None:
        raise ValueError(f"${{{inside}}} is not a variable")
    given = variables.get(name)
    has = bool(given) if operator and operator.startswith(":") else given is not None
    if operator is None or (has and operator[-1] in "-?"):
        return Text(given or "", frozenset({name}))
    if operator[-1] == "?":
        raise ValueError(f"{name} is not set: {rest[len(operator) :] or 'the file asks for it'}")
    if operator[-1] == "+" and not has:
        return Text("", frozenset({name}))
    other = interpolate(rest[len(operator) :], variables, depth + 1)
    return Text(other.value, other.names | {name})


def parse_env_file(text: str, variables: Mapping[str, str]) -> dict[str, Text | None]:
    """Return the variables of a `.env` file; None for a name without `=`, which is taken from the environment.

    Raises ValueError for a bad form.
    """
    found: dict[str, Text | None] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None or line.lstrip().startswith("#"):
            continue
        known = {**variables, **{name: told.value for name, told in found.items() if told is not None}}
        found[match[1]] = None if match[2] is None else _env_value(match[2].strip(), known)
    return found


def _env_value(raw: str, variables: Mapping[str, str]) -> Text:
    if raw[:1] == "'" and (end := raw.find("'", 1)) > 0:
        return Text(raw[1:end])
    if raw[:1] == '"' and (end := _closing_quote(raw)) > 0:
        inside = raw[1:end].replace(r"\n", "\n").replace(r"\"", '"')
        return interpolate(inside, variables)
    return interpolate(_COMMENT.sub("", f" {raw}").strip(), variables)


def _closing_quote(raw: str) -> int:
    index = 1
    while index < len(raw) and raw[index] != '"':
        index += 2 if raw[index] == "\\" else 1
    return index if index < len(raw) else -1
