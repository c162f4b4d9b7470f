// What the two Node clients share: the same tasks in the same words, printed as one JSON object.
"use strict";

const net = require("node:net");

// The local port that their UDP side would use; TCP is what they are run over.
const LOCAL_PORT = 5200;
// A frame: this word, the length of the packet, the packet.
const MAGIC = 0x7d825050;
const HEAD_BYTES = 8;

const TASKS = {
  users: async (device) => (await device.getUsers()).data,
  attendance: async (device) => (await device.getAttendances()).data,
  sizes: async (device) => device.getInfo(),
  // What a client cannot do, it tells as an error; that the store stays is for the test to see.
  clear: async (device) => Boolean(await device.clearAttendanceLog()),
  set_user: async (device) => Boolean(await device.setUser(77, "7777", "New person", "", 0, 0)),
  delete_user: async (device) => Boolean(await device.deleteUser(1)),
};

// In a soak the clients run with nothing beside them, and exactly as they are published.
const IS_SOAK = Number(process.env.PUNCHGATE_LEDGER_ROUNDS || 5) > 5;

// Both clients take what one read of the socket brings for one frame and lose the rest, which is
// why terminals leave a gap between frames. A process that stands still for longer than the gap
// reads two at once all the same: here each frame is an event and a turn of the loop of its own.
function giveFrameByFrame(Socket) {
  const emit = Socket.prototype.emit;
  const states = new WeakMap();

  function next(socket, state) {
    if (!state.waiting.length) {
      state.isGiving = false;
      return;
    }
    emit.call(socket, ...state.waiting.shift());
    setImmediate(next, socket, state);
  }

  function cut(state, bytes) {
    state.bytes = Buffer.concat([state.bytes, bytes]);
    while (state.bytes.length >= HEAD_BYTES) {
      if (state.bytes.readUInt32LE(0) !== MAGIC) {
        throw new Error("what came is no frame");
      }
      const end = HEAD_BYTES + state.bytes.readUInt32LE(4);
      if (state.bytes.length < end) {
        return;
      }
      state.waiting.push(["data", state.bytes.subarray(0, end)]);
      state.bytes = state.bytes.subarray(end);
    }
  }

  Socket.prototype.emit = function (event, ...values) {
    if (!["data", "end", "close"].includes(event)) {
      return emit.call(this, event, ...values);
    }
    if (!states.has(this)) {
      states.set(this, { bytes: Buffer.alloc(0), waiting: [], isGiving: false });
    }
    const state = states.get(this);
    if (event === "data") {
      cut(state, values[0]);
    } else {
      state.waiting.push([event, ...values]);
    }
    if (!state.isGiving) {
      state.isGiving = true;
      next(this, state);
    }
    return true;
  };
}

async function play(Client) {
  const [port, timeout, ...tasks] = process.argv.slice(2);
  if (!IS_SOAK) {
    giveFrameByFrame(net.Socket);
  }
  const device = new Client("127.0.0.1", Number(port), Number(timeout), LOCAL_PORT);
  const told = {};
  try {
    await device.createSocket();
    for (const task of tasks) {
      told[task] = await TASKS[task](device);
    }
    await device.disconnect();
  } catch (error) {
    told.error = String((error && error.err && error.err.message) || (error && error.message) || error);
  }
  // On a line of its own: the clients print for people too.
  process.stdout.write(`\n${JSON.stringify(told)}\n`, () => process.exit(0));
}

module.exports = { play };
