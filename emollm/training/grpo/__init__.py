"""Reinforcement from checkable rewards: groups of answers to one question are compared with one another, and questions retire."""
