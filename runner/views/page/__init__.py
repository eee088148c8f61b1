"""Our page on sweeps and runs: live behind a server, or frozen into one file.

A *part* (`parts/`) answers queries about run directories with data. The page's modules (`static/`) get every part through one contract,
from the server (`source-http.js`) or from inside the file (`source-file.js`). A new kind of data is one module in `parts/` and a line in
`part.py`; a new tab is one module in `static/tabs/` and a line in `static/tabs.js`.
"""

from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).with_name("static")
"""The page's files, as the browser loads them."""
TABS: Final = ("answer", "trials", "curves", "detection", "search", "run")
"""Names of the tabs in the page's address, as ``static/tabs.js`` has them."""
