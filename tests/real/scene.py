"""A whole scene for the program as a person runs it: configuration, engine, a displaced service, real processes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from tests.places import CHECKOUT
from tests.real.docker import PrivateDaemon
from tests.real.stub_engine import service_image

ASSISTANT = "assistant"
OWN_POLICY: Any = {"Name": "unless-stopped", "MaximumRetryCount": 0}


@dataclass
class Scene:
    """Where the program runs: `table` becomes config.toml at each call."""

    folder: Path
    engine: PrivateDaemon | None
    table: dict[str, Any] = field(default_factory=dict)

    def docker(self) -> PrivateDaemon:
        assert self.engine is not None, "this scene only watches"
        return self.engine

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def data_dir(self) -> Path:
        return self.folder / str(self.table["store"]["data_dir"])

    def command(self, *arguments: str) -> list[str]:
        self.config.write_text(tomli_w.dumps(self.table))
        return [sys.executable, "-m", "watcher", "--config", str(self.config), *arguments]

    def watcher(self, *arguments: str, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
        """Run the program to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=240,
            env=_env(env),
            check=False,
        )

    def answer(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run a command with `--json`, expect its exit code, return its object."""
        done = self.watcher(*arguments, "--json")
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def started(self, *arguments: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """Start the program and return at once."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=_env(env),
        )

    def start_assistant(self, **env: str) -> None:
        """Start the service that trials displace, with SERVICE_… variables, and wait until it is healthy."""
        client = self.docker().client()
        image = service_image(client, "local/assistant:1", True, **env)
        client.containers.run(image, name=ASSISTANT, detach=True, restart_policy=OWN_POLICY)
        self.wait_until(self.assistant_is_healthy)

    def assistant(self) -> dict[str, Any]:
        attrs: dict[str, Any] = self.docker().client().containers.get(ASSISTANT).attrs
        return attrs

    def assistant_is_healthy(self) -> bool:
        state = self.assistant()["State"]
        return bool(state["Running"]) and state.get("Health", {}).get("Status") == "healthy"

    def assert_all_is_as_before(self, beside: Collection[str] = ()) -> None:
        """Hold that the displaced service runs, healthy, with its own policy, and that nothing of a trial is left.

        `beside` are containers that run as well.
        On a busy machine Docker's health check may miss a second; a service that is ill stays so.
        """
        self.wait_until(self.assistant_is_healthy, seconds=20)
        state = self.assistant()
        assert state["State"]["Running"], "it does not run"
        assert state["HostConfig"]["RestartPolicy"] == OWN_POLICY, state["HostConfig"]["RestartPolicy"]
        self.assert_nothing_is_left((ASSISTANT, *beside))

    def assert_nothing_is_left(self, services: Collection[str] = (ASSISTANT,)) -> None:
        client = self.docker().client()
        names = [str(container.name) for container in client.containers.list(all=True)]
        assert sorted(names) == sorted(services), f"left over: {names}"
        networks = [network.name for network in client.networks.list() if "watcher" in str(network.name)]
        tags = [tag for image in client.images.list() for tag in image.tags if "watcher-keep" in tag]
        left = [*networks, *tags, *(self.data_dir / "owed").glob("*")]
        assert not left, f"left over: {left}"

    @staticmethod
    def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
        ends = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < ends, f"not within {seconds} seconds: {holds}"
            time.sleep(0.1)


def device_table(engine: PrivateDaemon, folder: Path) -> dict[str, Any]:
    """Return `[device]` of a plain machine that is taken for an Orin on JetPack 6."""
    return {
        "name": "bench",
        "docker": engine.url,
        "root": str(folder / "no-jetson"),
        "architecture": "amd64",
        "l4t": "36.4.4",
        "driver": "540.4.0",
        "runtime": "nvidia",
    }


def scene_with(
    engine: PrivateDaemon, folder: Path, repositories: Sequence[str], sources: Sequence[Mapping[str, Any]], **more: Any
) -> Scene:
    """Return a scene in which vLLM may come from `repositories`, with short times and the assistant to be displaced."""
    (folder / "models").mkdir(exist_ok=True)
    table: dict[str, Any] = {
        "store": {"data_dir": "data"},
        "device": device_table(engine, folder),
        "schedule": {"window": "any", "every": "1h"},
        "trial": {
            "displace": [f"container:{ASSISTANT}"],
            "total": "5m",
            "timeouts": {"ready": "60s", "restore": "60s"},
        },
        "engines": {
            "vllm": {
                "images": list(repositories),
                "model": "/models/m",
                "mounts": [f"{folder / 'models'}:/models"],
                "profiles": [{"name": "plain"}],
            }
        },
        "sources": [dict(source) for source in sources],
        **more,
    }
    return Scene(folder, engine, table)


def _env(more: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WATCHER_")}
    return {**kept, **(more or {})}
