"""What users and stored data depend on, as the code makes it, beside what was committed of it."""

WRITE = "WRITE_GOLDEN"
"""The variable that has the tests write the files that they compare with."""
