"""Keep what hosts still grant of their rate limits, which source answers from another host, and its newest."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("limit", sa.Integer(), nullable=True),
        sa.Column("remaining", sa.Integer(), nullable=False),
        sa.Column("resets_at", sa.Text(), nullable=True),
        sa.Column("seen_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("host", name="pk_budgets"),
    )
    op.add_column("sources", sa.Column("moved_to_host", sa.Text(), nullable=True))
    op.add_column("sources", sa.Column("newest", sa.Text(), nullable=True))
    op.add_column("sources", sa.Column("newest_at", sa.Text(), nullable=True))
