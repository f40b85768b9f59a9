"""The register of issued results: one number a dossier and result, counted a unit, year and symbol."""

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "resultsequence",
        sa.Column("unit_id", sa.String(35), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("symbol", sa.String(32), nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("unit_id", "year", "symbol"),
    )
    # Nothing was ever written to the table (r0003).
    op.add_column("resultnumber", sa.Column("result_code", sa.String(64), nullable=False))
    op.add_column("resultnumber", sa.Column("document_id", sa.Uuid(), nullable=True))
    op.create_foreign_key("resultnumber_document_id_fkey", "resultnumber", "document", ["document_id"], ["id"])
    op.drop_column("resultnumber", "object_key")
    op.drop_column("resultnumber", "sha256")
    op.drop_constraint("resultnumber_dossier_id_key", "resultnumber", type_="unique")
    op.create_unique_constraint(
        "resultnumber_dossier_id_result_code_key", "resultnumber", ["dossier_id", "result_code"]
    )


def downgrade() -> None:
    op.drop_constraint("resultnumber_dossier_id_result_code_key", "resultnumber", type_="unique")
    op.create_unique_constraint("resultnumber_dossier_id_key", "resultnumber", ["dossier_id"])
    op.add_column("resultnumber", sa.Column("sha256", sa.String(64), nullable=True))
    op.add_column("resultnumber", sa.Column("object_key", sa.String(), nullable=True))
    op.drop_constraint("resultnumber_document_id_fkey", "resultnumber", type_="foreignkey")
    op.drop_column("resultnumber", "document_id")
    op.drop_column("resultnumber", "result_code")
    op.drop_table("resultsequence")
