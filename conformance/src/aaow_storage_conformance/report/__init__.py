"""What becomes of a run: results by clause, waivers, the report and its pages. Private to the suite."""
