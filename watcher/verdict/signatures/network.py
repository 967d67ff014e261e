"""Fetching: registries, layers, downloads, and the disk they go to."""

import re

from watcher.model.verdict import FailureClass
from watcher.verdict.signatures.row import Signature, either

PULL = FailureClass.NETWORK_PULL

SIGNATURES = (
    Signature(
        id="manifest",
        failure_class=PULL,
        hints=("manifest", "pull access denied", "repository does not exist", "blob unknown", "failed to solve"),
        pattern=either(
            r"no matching manifest for|no match for platform in manifest",
            r"manifest (?:unknown|invalid)|manifest for \S+ not found|failed to (?:fetch|get) manifest",
            r"pull access denied|repository does not exist|blob unknown|name unknown",
            r"failed to resolve source metadata|failed to resolve reference",
        ),
        unless=re.compile(r"pull model manifest: file does not exist"),
        title="the registry has no such image for this machine, or does not give it",
        weight=72,
        taught_by="docker/no-arm64-manifest",
    ),
    Signature(
        id="disk-full",
        failure_class=PULL,
        hints=(
            "no space left on device",
            "disk quota exceeded",
            "failed to register layer",
            "enospc",
            "not enough disk",
            "enough free space",
        ),
        pattern=re.compile(
            r"no space left on device|disk quota exceeded|failed to register layer|\bENOSPC\b"
            r"|(?:not|n't have) enough (?:free )?(?:disk )?space|[Nn]ot enough (?:free )?disk",
            re.IGNORECASE,
        ),
        title="the disk is full",
        weight=74,
        taught_by="docker/layer-does-not-fit",
        after_ready=True,
    ),
    Signature(
        id="registry-refused",
        failure_class=PULL,
        hints=(
            "toomanyrequests",
            "rate limit",
            "unauthorized",
            "denied:",
            "certificate",
            "tls handshake",
            "httpreadseeker",
            "error pulling image",
            "failed to copy",
            "failed to do request",
            "error response from daemon: get",
            "error response from daemon: head",
            "unexpected http status",
            "short read",
            "filesystem layer",
            "failed to pull",
            "failed to download",
            "unexpected status",
            "context canceled",
            "net/http",
            "/v2/",
        ),
        pattern=either(
            r"toomanyrequests|pull rate limit",
            r"unauthorized: authentication required|denied: (?:requested access|access forbidden|denied)",
            r"Error response from daemon: (?:Get|Head) \"?https?://",
            r"error pulling image|httpReadSeeker|failed to do request: (?:Get|Head)",
            r"filesystem layer verification failed|received unexpected HTTP status|unexpected status (?:code|from)\b",
            r"failed to pull (?:and unpack )?(?:image|model)?",
            r"net/http: (?:TLS handshake timeout|request canceled)|x\d+: certificate",
            r"https?://\S+/v\d/\S*.{0,80}?(?:EOF|timeout|refused|reset|no such host)",
            flags=re.IGNORECASE,
        ),
        title="the registry refused or broke off",
        weight=70,
        taught_by="docker/registry-times-out",
    ),
    Signature(
        id="network",
        failure_class=PULL,
        hints=(
            "name resolution",
            "resolve host",
            "no such host",
            "dial tcp",
            "network is unreachable",
            "i/o timeout",
            "curl: (",
            "max retries exceeded",
            "newconnectionerror",
            "read timed out",
            "failed to connect to",
            "connection timed out",
            "unexpected eof",
            "name or service not known",
        ),
        pattern=either(
            r"Temporary failure in name resolution|Could not resolve host|no such host|Name or service not known",
            r"dial tcp.{0,80}?(?:timeout|refused|unreachable|no route)",
            r"[Nn]etwork is unreachable|curl: \(\d+\)",
            r"^docker: .{0,80}?unexpected EOF",
            r"Max retries exceeded with url|NewConnectionError|Read timed out",
            r"(?:pull|download|fetch|get|layer|copy)\w*\b.{0,80}?(?:i/o timeout|unexpected EOF"
            r"|connection reset|timed out)",
        ),
        unless=re.compile(r"huggingface|hf-mirror|nccl|gloo|rendezvous|127\.0\.0\.1|localhost", re.IGNORECASE),
        title="the network did not work",
        weight=58,
        taught_by="docker/host-not-resolved",
    ),
)
