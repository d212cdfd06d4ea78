"""MISO's reports on binding constraints: read in a process of their own, archived."""
