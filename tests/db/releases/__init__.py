"""What the code of a landed release asks of the database: its statements, and the columns its models know.

While a new release is rolled out the old one's processes go on working on the migrated schema, so what is recorded here
must go on working too (`tests/db/test_releases.py`). A release is recorded once, when it lands:

    PYTHONPATH=.:platform python -m tests.db.releases.recording > tests/db/releases/NAME.json

Only the newest recording is kept, since an upgrade goes from one release to the next.
"""
