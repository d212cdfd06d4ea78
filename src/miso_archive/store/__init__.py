"""The store: an archive's keys, its objects in a folder or a bucket, what lies there."""
