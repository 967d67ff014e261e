"""The JSON objects of CONTRACT, made from the nouns. Page, notices and command line print the same."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from watcher.model.answer import Answer, Flip
from watcher.model.facts import Event, Look, LookError
from watcher.model.trial import Acceptance, Candidate, Score, ServiceReport, Trial
from watcher.model.verdict import LogReading, StaticReading

Document = dict[str, Any]


def time_text(when: datetime | None) -> str | None:
    """Return RFC 3339 in UTC with seconds, or None."""
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if when else None


def answer_document(answer: Answer) -> Document:
    candidate = answer.candidate
    named = {"engine": candidate.engine, "image": candidate.image, "digest": candidate.digest} if candidate else None
    return {
        "device": answer.device,
        "bug": {"id": answer.bug_id, "state": answer.bug.value},
        "bring_up": answer.bring_up.value,
        "candidate": named,
        "headline": answer.headline,
        "basis": [rung.value for rung in answer.basis],
        "since": time_text(answer.since),
        "trial_id": answer.trial_id,
        "fixed_in": answer.fixed_in,
        "waits_for": [
            {"question": waiting.question, "what": waiting.what, "since": time_text(waiting.since)}
            for waiting in answer.waits_for
        ],
        "next_step": answer.next_step,
        "flip": _flip(answer.flip) if answer.flip else None,
    }


def _flip(flip: Flip) -> Document:
    return {
        "before": flip.before,
        "after": flip.after,
        "moved": list(flip.moved),
        "perhaps": list(flip.perhaps),
        "regression": flip.is_regression,
    }


def trial_document(trial: Trial) -> Document:
    state = trial.device_state
    return {
        "id": trial.id,
        "engine": trial.candidate.engine,
        "image": trial.candidate.image,
        "digest": trial.candidate.digest,
        "overlay": _overlay(trial.candidate),
        "device_state": {"l4t": state.l4t, "driver": state.driver, "boot_id": state.boot_id},
        "started_at": time_text(trial.started_at),
        "finished_at": time_text(trial.finished_at),
        "stage": trial.stage.value,
        "outcome": trial.outcome.value if trial.outcome else None,
        "retry_at": time_text(trial.retry_at),
        "failed_stage": trial.failed_stage.value if trial.failed_stage else None,
        "bug": {"id": trial.bug_id, "state": trial.bug.value},
        "bring_up": trial.bring_up.value,
        "failure_class": trial.failure_class.value if trial.failure_class else None,
        "reason": trial.reason,
        "starts": [
            {
                "profile": start.profile,
                "stage": start.stage.value,
                "bring_up": start.bring_up.value,
                "failure_class": start.failure_class.value if start.failure_class else None,
                "exit_code": start.exit_code,
                "log": start.log,
            }
            for start in trial.starts
        ],
        "deciding_start": trial.deciding_start,
        "evidence": [
            {"rung": row.rung.value, "signature": row.signature, "line": row.line, "text": row.text}
            for row in trial.evidence
        ],
        "acceptance": acceptance_document(trial.acceptance) if trial.acceptance else None,
        "displaced": list(trial.displaced),
        "away_seconds": trial.away_seconds,
        "owed": [service_document(report) for report in trial.owed],
    }


def acceptance_document(seen: Acceptance) -> Document:
    phrases = {"passed": seen.phrases.passed, "total": seen.phrases.total} if seen.phrases else None
    return {
        "completion": seen.completion,
        "tool_call": seen.tool_call,
        "phrases": phrases,
        "tool_accuracy": _share(seen.tool_accuracy) if seen.tool_accuracy else None,
        "p95_seconds": seen.p95_seconds,
        "answers": seen.answers,
        "streams": seen.streams,
        "metrics": seen.metrics,
        "stable_seconds": seen.stable_seconds,
        "restarts": seen.restarts,
        "memory_per_hour": seen.memory_per_hour,
        "memory_lasts_seconds": seen.memory_lasts_seconds,
        "multi_model": seen.multi_model,
        "models_loaded": seen.models_loaded,
        "noticed_seconds": seen.noticed_seconds,
        "ready_again_seconds": seen.ready_again_seconds,
        "level": seen.level,
    }


def _share(score: Score) -> Document:
    bounds = {"value": score.value, "low": score.low, "high": score.high}
    return {"n": score.total, **{name: round(figure, 4) for name, figure in bounds.items()}}


def service_document(report: ServiceReport) -> Document:
    return {
        "service": report.service,
        "state": report.state.value,
        "message": report.message,
        "makes_room": report.makes_room,
    }


def event_document(event: Event) -> Document:
    fact = event.fact
    return {
        "id": event.id,
        "source": event.source,
        "kind": event.kind.value,
        "name": fact.name,
        "version": fact.version,
        "digest": fact.digest,
        "url": fact.url,
        "published_at": time_text(fact.published_at),
        "seen_at": time_text(event.seen_at),
        "helps": event.helps,
    }


def candidate_document(candidate: Candidate, experimental: Collection[str]) -> Document:
    """Return the document of a candidate; `experimental` are ids of engines."""
    return {
        "id": candidate.id,
        "engine": candidate.engine,
        "image": candidate.image,
        "digest": candidate.digest,
        "overlay": _overlay(candidate),
        "compatible": candidate.compatible,
        "reasons": list(candidate.reasons),
        "due": candidate.due,
        "waiting_for": candidate.waiting_for,
        "experimental": candidate.engine in experimental,
    }


def _overlay(candidate: Candidate) -> Document | None:
    laid = candidate.overlay
    return {"wheel": laid.name, "version": laid.version, "digest": laid.digest, "source": laid.source} if laid else None


def error_document(error: LookError | None) -> Document | None:
    if error is None:
        return None
    return {"type": error.type, "message": error.message, "retry_after": error.retry_after}


def look_document(look: Look) -> Document:
    return {
        "name": look.source,
        "kind": look.kind,
        "outcome": look.outcome.value,
        "facts": look.facts,
        "requests": look.traffic.requests,
        "not_modified": look.traffic.not_modified,
        "bytes": look.traffic.bytes,
        "error": error_document(look.error),
    }


def static_document(reading: StaticReading, bug_id: str) -> Document:
    return {
        "schema": "watcher/inspect/1",
        "target": reading.target,
        "kind": reading.kind,
        "torch": reading.torch,
        "bug": {"id": bug_id, "state": reading.state.value},
        "bytes_read": reading.bytes_read,
        "evidence": [{"member": row.member, "text": row.text} for row in reading.evidence],
        "reason": reading.reason,
    }


def log_document(reading: LogReading, bug_id: str, next_step: str) -> Document:
    return {
        "schema": "watcher/classify/1",
        "failure_class": reading.failure_class.value,
        "bug": {"id": bug_id, "state": reading.bug.value},
        "truncated": reading.truncated,
        "findings": [
            {
                "signature": finding.signature,
                "class": finding.failure_class.value,
                "line": finding.line,
                "text": finding.text,
                "decides": finding.decides,
            }
            for finding in reading.findings
        ],
        "next_step": next_step,
    }
