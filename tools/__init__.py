"""Commands for developers of this repository, one per file (`python -m tools.NAME`). None of them is part of the package."""
