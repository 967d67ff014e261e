"""Find facts by content and by version: an answer needs few of a hundred thousand."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index("ix_facts_digest", "facts", ["digest"])
    op.create_index("ix_facts_version", "facts", ["version"])
