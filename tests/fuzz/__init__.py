"""Fuzzing of every decoder: mutations of real answers, and the errors that each may raise."""
