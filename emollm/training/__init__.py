"""Stages, steps and losses; knows no system by name."""
