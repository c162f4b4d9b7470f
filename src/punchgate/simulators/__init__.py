"""Virtual terminals: the outside world. They know `wire`, `protocols` and `netkit` of ours."""
