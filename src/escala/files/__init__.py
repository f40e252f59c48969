"""Files and plain data: CSV, tables, JSON."""
