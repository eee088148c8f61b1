"""Searches that ask Optuna which trial to try next. Only this package imports Optuna."""
