"""Tests: the promises of this project, on real parts."""
