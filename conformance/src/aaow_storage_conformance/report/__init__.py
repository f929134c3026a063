"""Recording and reporting a run: results by clause, waivers, JSON, HTML and terminal. Private to the suite."""
