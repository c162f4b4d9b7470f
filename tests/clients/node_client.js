// What the two Node clients share: the same tasks in the same words, printed as one JSON object.
"use strict";

// The local port that their UDP side would use; TCP is what they are run over.
const LOCAL_PORT = 5200;

const TASKS = {
  users: async (device) => (await device.getUsers()).data,
  attendance: async (device) => (await device.getAttendances()).data,
  sizes: async (device) => device.getInfo(),
  // What a client cannot do, it tells as an error; that the store stays is for the test to see.
  clear: async (device) => Boolean(await device.clearAttendanceLog()),
  set_user: async (device) => Boolean(await device.setUser(77, "7777", "New person", "", 0, 0)),
  delete_user: async (device) => Boolean(await device.deleteUser(1)),
};

async function play(Client) {
  const [port, timeout, ...tasks] = process.argv.slice(2);
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
