"""Healing: gaps filled from MISO's reports, refused bodies judged anew."""
