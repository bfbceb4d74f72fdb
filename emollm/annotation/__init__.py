"""Clips described anew by a chain of agents; every sentence is checked against what was measured, and every reply is kept."""
