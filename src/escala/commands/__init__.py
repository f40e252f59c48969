"""What the command line can do, a module a subject: parse, call, print. Nothing here imports NumPy before it runs."""
