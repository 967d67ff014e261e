"""Packet filter rules of a private Docker engine, under names of its own.

Docker's chains have fixed names, and a daemon flushes them at each start: a second one would take the rules of the
machine's own daemon away. So a private daemon is given an `iptables` that writes other names.
"""

import shutil
import subprocess
from pathlib import Path

_PROGRAMS = ("iptables", "ip6tables")
_BUILT_IN = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
_TABLES = ("filter", "nat")
_WRAPPER = """#!/bin/bash
# the policy of the whole machine is not a private daemon's to set
case " $* " in *" -P FORWARD "*) exit 0 ;; esac
exec {program} "${{@//DOCKER/{chains}}}"
"""


def chains_of(name: str) -> str:
    """Return what stands for `DOCKER` in the chains of the daemon called `name`; as long, for names have a limit."""
    return f"WT{sum(ord(letter) * 31**place for place, letter in enumerate(name)) % 16**4:04x}"


def write_wrappers(folder: Path, chains: str) -> None:
    """Put programs into `folder` that a daemon finds first on its PATH."""
    folder.mkdir(exist_ok=True)
    for name in _PROGRAMS:
        program = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin")
        if program is not None:
            (folder / name).write_text(_WRAPPER.format(program=program, chains=chains))
            (folder / name).chmod(0o755)


def remove_rules(chains: str, *others: str) -> None:
    """Remove the chains, and rules that name them or one of `others` (a bridge, the beginning of an address)."""
    for table in _TABLES:
        rules = [line.split() for line in _iptables(table, "-S").splitlines()]
        for rule in rules:
            ours = any(word.startswith((chains, *others)) for word in rule[2:])
            if rule[0] == "-A" and rule[1] in _BUILT_IN and ours:
                _iptables(table, "-D", *rule[1:])
        own = [rule[1] for rule in rules if rule[0] == "-N" and rule[1].startswith(chains)]
        for action in ("-F", "-X"):
            for chain in own:
                _iptables(table, action, chain)


def _iptables(table: str, *arguments: str) -> str:
    program = shutil.which("iptables", path="/usr/sbin:/sbin:/usr/bin") or "iptables"
    return subprocess.run(
        [program, "--wait", "-t", table, *arguments], capture_output=True, text=True, check=False
    ).stdout
