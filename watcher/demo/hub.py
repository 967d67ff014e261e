"""Docker Hub's web interface in the demo: tags with dates, sizes and digests, in one page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from watcher.demo.web import NOT_FOUND, Request, Response


@dataclass(frozen=True, slots=True)
class HubTag:
    """A tag of a repository for arm64 alone; `digest` is what it stands for."""

    name: str
    digest: str
    pushed: datetime
    size: int = 6_000_000_000


@dataclass(slots=True)
class Hub:
    """Repositories below `/hub`."""

    tags: dict[str, list[HubTag]] = field(default_factory=dict)

    def answer(self, request: Request) -> Response:
        parts = request.path.removeprefix("/hub/v2/namespaces/").split("/")
        tags = self.tags.get(f"{parts[0]}/{parts[2]}") if len(parts) == 4 and parts[3] == "tags" else None
        if tags is None:
            return NOT_FOUND
        newest_first = sorted(tags, key=lambda tag: tag.pushed, reverse=True)
        page = {"count": len(tags), "next": None, "previous": None, "results": [_result(tag) for tag in newest_first]}
        limits = {"X-RateLimit-Limit": "180", "X-RateLimit-Remaining": "179", "X-RateLimit-Reset": "4102444800"}
        return Response(json.dumps(page).encode(), "application/json", headers=limits)


def _result(tag: HubTag) -> Mapping[str, Any]:
    pushed = tag.pushed.astimezone(UTC).isoformat().replace("+00:00", "Z")
    image = {
        "architecture": "arm64",
        "variant": "v8",
        "os": "linux",
        "digest": tag.digest,
        "size": tag.size,
        "status": "active",
        "last_pushed": pushed,
        "last_pulled": pushed,
    }
    return {
        "name": tag.name,
        "images": [image],
        "digest": tag.digest,
        "full_size": tag.size,
        "last_updated": pushed,
        "tag_last_pushed": pushed,
        "tag_last_pulled": pushed,
        "tag_status": "active",
        "media_type": "application/vnd.oci.image.manifest.v1+json",
        "content_type": "image",
    }
