"""PaddleDetection 2.6 as a backend. Only `ppdet.py`'s callers load Paddle, inside functions; the rest of the package imports without it."""
