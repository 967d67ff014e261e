"""The trial: machine, runner, interrupts, engine log, exchange."""
