"""Sweeps: from a sweep file to a plan, and the loop that joins a search and a launcher until every run is done."""
