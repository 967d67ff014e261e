"""Keep which wheel is laid over a candidate's image."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("candidates", sa.Column("overlay", sa.Text(), nullable=True))
