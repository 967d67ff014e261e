"""Keep by which signatures a trial was judged, and what its probe said: its logs can be judged again."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("trials", sa.Column("signatures", sa.Text(), nullable=True))
    op.add_column("trials", sa.Column("probe", sa.Text(), nullable=True))
