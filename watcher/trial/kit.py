"""What a person needs after a trial, as files: a compose file of what works, a report of what does not. Pure."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from watcher.model.text import printable

_SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|CREDENTIAL|_KEY$", re.IGNORECASE)
_ADDRESS = re.compile(r"\b(?:10|127|169\.254|172\.(?:1[6-9]|2\d|3[01])|192\.168)(?:\.\d{1,3}){2,3}\b")
_HOME = re.compile(r"/(?:home|Users)/[^/\s:'\"]+")
_LOGIN = re.compile(r"(\w+://)[^/\s@]+@")
_PAIR = re.compile(r"(?i)\b(\w*(?:token|secret|password|passwd|api_?key)['\"]?\s*[=:]\s*['\"]?)[^\s'\",}]+")
_KNOWN = re.compile(r"\b(?:hf_[A-Za-z0-9]{8,}|gh[pousr]_[A-Za-z0-9]{16,}|xox[a-z]-[A-Za-z0-9-]+|nvapi-[\w-]+)")
_LINE = 400


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report; `code` is shown word for word."""

    title: str
    lines: tuple[str, ...] = ()
    code: str = ""


def without_secrets(text: str, names: Collection[str]) -> str:
    """Return the text without logins, tokens, private addresses, home folders and `names` (of hosts and accounts)."""
    text = _LOGIN.sub(r"\1", text)
    text = _KNOWN.sub("<secret>", _PAIR.sub(r"\1<secret>", text))
    text = _HOME.sub("/home/user", _ADDRESS.sub("<address>", text))
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", "<host>", text)
    return text


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with each secret left to whoever starts it."""
    return {
        name: f"${{{name}:?set it before you start this}}" if _SECRET.search(name) else value.replace("$", "$$")
        for name, value in env.items()
    }


def compose_file(name: str, image: str, body: Mapping[str, Any], port: int, remarks: Sequence[str]) -> str:
    """Return a compose file that starts what a trial started; `body` is Docker's create request of the trial.

    It is held to the same isolation but for the network: its port is published on the loopback address.
    """
    host = body["HostConfig"]
    service: dict[str, Any] = {
        "image": image,
        "entrypoint": _literal(body["Entrypoint"]),
        "command": _literal(body["Cmd"]),
        "environment": environment(dict(entry.partition("=")[::2] for entry in body["Env"])),
        "runtime": host["Runtime"],
        "init": True,
        "restart": "unless-stopped",
        "ports": [f"127.0.0.1:{port}:{port}"],
        "volumes": [_volume(mount) for mount in host["Mounts"]],
        "read_only": host["ReadonlyRootfs"],
        "tmpfs": [f"{path}:{options}" for path, options in host["Tmpfs"].items()],
        "cap_drop": host["CapDrop"],
        "cap_add": host["CapAdd"],
        "security_opt": [f"{option}:true" for option in host["SecurityOpt"]],
        "pids_limit": host["PidsLimit"],
        "ipc": None if host["IpcMode"] == "private" else host["IpcMode"],
        "ulimits": {one["Name"]: {"soft": one["Soft"], "hard": one["Hard"]} for one in host["Ulimits"]},
        "shm_size": host.get("ShmSize"),
        "mem_limit": host.get("Memory"),
        "memswap_limit": host.get("MemorySwap"),
    }
    kept = {key: value for key, value in service.items() if value not in (None, [], {})}
    head = [f"# {printable(remark, 300)}" for remark in remarks]
    return "\n".join([*head, "", 'version: "3.9"', "services:", *_yaml({name: kept}, 1)]) + "\n"


def report(title: str, sections: Sequence[Section]) -> str:
    """Return a report in Markdown; nothing in it can end its own block."""
    lines = [f"# {printable(title, 160)}"]
    for section in sections:
        lines += ["", f"## {section.title}", "", *(f"- {printable(line, 600)}" for line in section.lines)]
        if section.code:
            fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", section.code)), default=0))
            lines += [*([""] if section.lines else []), f"{fence}text", section.code.rstrip("\n"), fence]
    return "\n".join(lines) + "\n"


def excerpt(lines: Sequence[str], decisive: Collection[int], around: int = 8, most: int = 80) -> str:
    """Return the lines (numbered from 1) around those that decide, else the last ones, gaps marked."""
    wanted = {near for line in decisive for near in range(line - around, line + around + 1)}
    chosen = sorted(number for number in wanted if 1 <= number <= len(lines))[:most]
    chosen = chosen or list(range(max(1, len(lines) - most + 1), len(lines) + 1))
    shown, before = [], 0
    for number in chosen:
        if number != before + 1:
            shown.append("…")
        shown.append(f"{number:>6}  {printable(lines[number - 1], _LINE)}")
        before = number
    return "\n".join(shown)


def docker_command(image: str, body: Mapping[str, Any]) -> str:
    """Return the shell's words that start the same container by hand, one option a line."""
    host = body["HostConfig"]
    env = dict(entry.partition("=")[::2] for entry in body["Env"])
    options = [
        f"--runtime {_word(host['Runtime'])}",
        *(f"-e {name if _SECRET.search(name) else _word(f'{name}={value}')}" for name, value in env.items()),
        *(f"-v {_word(_bound(mount))}" for mount in host["Mounts"] if mount["Type"] == "bind"),
        *(f"--tmpfs {_word(path)}:exec" for path in host["Tmpfs"]),
        *([f"--shm-size {host['ShmSize']}"] if "ShmSize" in host else []),
        *(f"--ulimit {one['Name']}={one['Soft']}:{one['Hard']}" for one in host["Ulimits"]),
        f"--entrypoint {_word(body['Entrypoint'][0])}",
    ]
    words = " ".join(_word(word) for word in (image, *body["Entrypoint"][1:], *body["Cmd"]))
    return " \\\n  ".join(["docker run --rm -it", *options, words])


def _bound(mount: Mapping[str, Any]) -> str:
    return f"{mount['Source']}:{mount['Target']}{':ro' if mount['ReadOnly'] else ''}"


def _word(word: str) -> str:
    return word if re.fullmatch(r"[\w@%+=:,./-]+", word) else "'" + word.replace("'", "'\\''") + "'"


def _literal(words: Sequence[str]) -> list[str]:
    return [word.replace("$", "$$") for word in words]


def _volume(mount: Mapping[str, Any]) -> dict[str, Any]:
    told = {"type": mount["Type"], "source": mount.get("Source"), "target": mount["Target"]}
    return {key: value for key, value in told.items() if value} | {"read_only": bool(mount.get("ReadOnly"))}


def _yaml(value: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Yield the lines of a table; what is not a table is written as JSON, which YAML contains."""
    for key, one in value.items():
        if isinstance(one, dict) and one:
            yield f"{'  ' * depth}{key}:"
            yield from _yaml(one, depth + 1)
        else:
            yield f"{'  ' * depth}{key}: {json.dumps(one, ensure_ascii=False)}"
