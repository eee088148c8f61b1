"""Contract suites for plug-ins, to be subclassed in a plug-in's own tests."""
