"""Parts of the page's data, each a module (see `runner.views.page.part`)."""
