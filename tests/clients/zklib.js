// node-zklib, in a process of its own: it reads a terminal and prints what it got as JSON.
"use strict";

require("./node_client").play(require("node-zklib"));
