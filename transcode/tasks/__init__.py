"""One module per kind of task: run in a process of the pool, each repeatable, each leaving finished files behind."""
