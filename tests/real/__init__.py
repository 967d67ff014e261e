"""Real programs that tests start for themselves: a Docker engine, images made here, engines that run in them."""
