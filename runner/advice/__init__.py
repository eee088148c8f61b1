"""Advice about a data set: a config that suits it and this machine (`runner init`), and hints about what will hurt in a given one."""
