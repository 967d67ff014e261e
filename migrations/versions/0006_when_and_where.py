"""When a fact appeared, when and where a trial ended: columns that follow from others, so that they can be indexed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    _derive("facts", "appeared_at", "coalesce(published_at, CASE WHEN baseline = 0 THEN first_seen END)")
    _derive("trials", "ended_at", "coalesce(finished_at, started_at)")
    _derive("trials", "l4t", "json_extract(device_state, '$.l4t')")
    _derive("trials", "driver", "json_extract(device_state, '$.driver')")
    _derive("trials", "boot_id", "json_extract(device_state, '$.boot_id')")
    op.drop_index("ix_facts_digest", "facts")
    op.create_index("ix_facts_digest", "facts", ["digest", "kind", "withdrawn"])
    op.create_index("ix_facts_appeared_at", "facts", ["source", "appeared_at", "kind", "prerelease", "withdrawn"])
    op.create_index(
        "ix_facts_published_at", "facts", ["published_at"], sqlite_where=sa.text("baseline IS 1 AND withdrawn IS 0")
    )
    op.create_index(
        "ix_trials_ended_at",
        "trials",
        ["bug_id", "outcome", "ended_at", "candidate_id", "l4t", "driver", "bug", "bring_up"],
    )
    op.create_index("ix_trials_boot_id", "trials", ["boot_id", "started_at"])
    op.create_index("ix_trials_outcome", "trials", ["outcome", "away_seconds"])


def _derive(table: str, name: str, expression: str) -> None:
    op.add_column(table, sa.Column(name, sa.Text(), sa.Computed(expression, persisted=False)))
