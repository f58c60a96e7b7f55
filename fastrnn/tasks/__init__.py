"""The tasks, one module each; `fastrnn.task_specs.get_task` imports them by name."""
