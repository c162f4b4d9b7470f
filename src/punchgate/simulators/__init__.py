"""Virtual terminals: the outside world. Of ours they may know only `wire`."""
