"""MISO's reports on reserve constraints: read, checked in a process of their own, archived."""
