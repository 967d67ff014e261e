"""What a model is asked, and which tool calls are the right answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Tool = Mapping[str, Any]
"""A tool as OpenAI's dialect declares it: `{"type": "function", "function": {"name", "parameters"}}`."""


@dataclass(frozen=True, slots=True)
class WantedCall:
    """A call that is wanted; a list as an argument's value stands for any of its members."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Phrase:
    """What is said; without `calls` none is wanted, and a plain answer is right."""

    say: str
    calls: tuple[WantedCall, ...] = ()


@dataclass(frozen=True, slots=True)
class Suite:
    """The phrases of the ladder, and further requests (`accuracy`) that count for the accuracy of tool calls only."""

    tools: tuple[Tool, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    accuracy: tuple[Phrase, ...] = ()

    def asked_for(self, level: str) -> tuple[Phrase, ...]:
        """Return what is asked for a level of acceptance: what only a higher one needs is left out of `minimum`."""
        return self.phrases if level == "minimum" else (*self.phrases, *self.accuracy)

    @property
    def declared(self) -> Mapping[str, frozenset[str]]:
        """Return the arguments that each tool knows."""
        functions = [tool["function"] for tool in self.tools]
        return {each["name"]: frozenset(each.get("parameters", {}).get("properties", {})) for each in functions}
